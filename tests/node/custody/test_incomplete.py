"""Which studies may lack objects, by how their transfers ended."""

from __future__ import annotations

import pytest

from dicom_node.arrivals import transfers
from dicom_node.arrivals.transfers import RELEASED, Account, Refusal
from dicom_node.models import Study, Transfer
from tests.node.objects import SERIES, STUDY, ct

OTHER = "1.2.9"


@pytest.fixture
def send(take):
    """Store objects over an association that ends as told; what is None breaks off half-way."""

    def send(*objects, why=RELEASED, refused=()):
        account = Account({"ae_title": "CT1", "address": "10.0.0.7"}, "ARGENS_CT")
        for ds in objects:
            account.begin()
            if ds is not None:
                account.stored(take(ds))
        for uid in refused:
            account.begin()
            account.refused(Refusal(0xA900, "no series", uid))
        if why is not None:
            account.end(why)
        else:
            account._tell(None, "")

    return send


@pytest.fixture
def incomplete(archive):
    """Ask which studies are told as incomplete."""

    def incomplete():
        told = archive("custody.read").get("/api/custody/studies").json()["studies"]
        return [one["study_uid"] for one in told if one["incomplete"]]

    return incomplete


def test_a_study_whose_association_was_released_is_complete(send, incomplete):
    send(ct(1), ct(2))
    assert incomplete() == []


@pytest.mark.parametrize(("objects", "why"), [((1,), "aborted by the peer"), ((1, None), RELEASED)])
def test_a_study_that_broke_off_is_incomplete_until_a_transfer_of_it_ends_well(
    send, incomplete, objects, why
):
    send(*(number and ct(number) for number in objects), why=why)
    assert incomplete() == [STUDY]
    send(ct(1, study=OTHER, series=f"{OTHER}.1"))
    assert incomplete() == [STUDY]
    send(ct(1), ct(2))
    assert incomplete() == []


def test_a_study_of_which_an_object_was_refused_is_incomplete_until_it_came(send, incomplete, take):
    send(ct(1), ct(1, study=OTHER, series=f"{OTHER}.1"), refused=[f"{SERIES}.2"])
    assert incomplete() == sorted([STUDY, OTHER])
    send(ct(2))
    assert incomplete() == []


def test_a_transfer_that_lasts_says_nothing_yet_and_one_that_a_restart_cut_does(send, incomplete):
    send(ct(1), None, why=None)
    assert incomplete() == []
    before = Study.objects.get().changed_at
    transfers.close_open()
    assert incomplete() == [STUDY]
    assert Study.objects.get().changed_at > before


def test_the_end_of_a_transfer_is_a_change_of_its_studies(send, take):
    take(ct(1))
    before = Study.objects.get().changed_at
    send(ct(1), why="aborted by the peer")
    assert Transfer.objects.get().duplicates == 1
    assert Study.objects.get().changed_at > before
