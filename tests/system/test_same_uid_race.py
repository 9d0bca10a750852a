"""One UID from several associations at once, and a patient who differs from himself."""

from __future__ import annotations

import hashlib
import threading

import pytest

from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import (
    data_set_digest,
    indexed,
    left_overs,
    objects,
    quarantined,
    query,
    serving,
    small_object,
    store,
)
from tests.support.raw_association import CT_IMAGE, EXPLICIT, IMPLICIT, RawAssociation

SENDERS = 6
ROUNDS = 5
CONTEXTS = ((1, CT_IMAGE, (EXPLICIT,)), (3, CT_IMAGE, (IMPLICIT,)))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("race")) as node:
        yield node


def at_once(node, uid: str, ways: list[tuple[int, bytes]]) -> list[int]:
    """Send one UID over as many associations as there are (context, data set), and return
    the statuses; every association is open before the first byte of an object goes out.
    """
    together = threading.Barrier(len(ways))
    statuses: list[int] = [-1] * len(ways)

    def send(place: int, context: int, data_set: bytes) -> None:
        with RawAssociation(node.dicom_port).associate(*CONTEXTS) as association:
            together.wait(30)
            statuses[place] = association.store(uid, data_set, context).status
            association.release()

    threads = [threading.Thread(target=send, args=(place, *way)) for place, way in enumerate(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return statuses


def until_success(node, uid: str, ways: list[tuple[int, bytes]]) -> None:
    """Send at once, then again whatever was asked to be sent later, as a modality does."""
    for (context, data_set), status in zip(ways, at_once(node, uid, ways), strict=True):
        if status == 0xA700:
            with RawAssociation(node.dicom_port).associate(*CONTEXTS) as association:
                status = association.store(uid, data_set, context).status
                association.release()
        assert status == 0


@pytest.mark.parametrize("number", range(ROUNDS))
def test_equal_bytes_over_several_associations_are_one_object(node, number):
    uid, data_set = small_object(number, f"1.2.826.0.1.99.1.{number}")
    until_success(node, uid, [(1, data_set)] * SENDERS)
    assert indexed(node)[uid] == hashlib.sha256(data_set).hexdigest()
    assert data_set_digest(objects(node)[uid]) == indexed(node)[uid]
    assert uid not in {known for known, _ in quarantined(node)}
    assert not left_overs(node)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_different_bytes_one_is_stored_and_the_others_wait_for_a_decision(node, number):
    study = f"1.2.826.0.1.99.2.{number}"
    sent = {}
    for other in range(3):
        uid, data_set = small_object(1, study, AccessionNumber=f"A{other}")
        sent[hashlib.sha256(data_set).hexdigest()] = data_set
    until_success(node, uid, [(1, data_set) for data_set in sent.values()] * 2)
    stored = indexed(node)[uid]
    assert data_set_digest(objects(node)[uid]) == stored
    assert {d for known, d in quarantined(node) if known == uid} == sent.keys() - {stored}
    assert not left_overs(node)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_same_image_in_two_transfer_syntaxes_is_one_object(node, number):
    study = f"1.2.826.0.1.99.3.{number}"
    ds = ct(1, study=study, series=f"{study}.1")
    uid = str(ds.SOPInstanceUID)
    until_success(node, uid, [(1, encoded(ds, EXPLICIT)), (3, encoded(ds, IMPLICIT))] * 2)
    assert data_set_digest(objects(node)[uid]) == indexed(node)[uid]
    assert uid not in {known for known, _ in quarantined(node)}


def test_counts_of_a_study_that_came_over_many_associations_are_right(node):
    study = "1.2.826.0.1.99.4"
    made = dict(small_object(number, study) for number in range(1, 25))
    uids = list(made)

    def send(mine: list[str]) -> None:
        with RawAssociation(node.dicom_port).associate() as association:
            for uid in mine:
                assert association.store(uid, made[uid]).status == 0
            association.release()

    threads = [threading.Thread(target=send, args=(uids[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    counts = query(
        node,
        "SELECT s.instance_count, e.instance_count, s.series_count FROM dicom_node_study s "
        f"JOIN dicom_node_series e ON e.study_id = s.id WHERE s.uid = '{study}'",
    )
    assert counts == [(24, 24, 1)]


def test_a_patient_with_two_birth_dates_keeps_both_and_neither_overwrites(node):
    study, other = "1.2.826.0.1.99.5", "1.2.826.0.1.99.6"
    one, first = small_object(1, study, PatientBirthDate="19500417")
    two, second = small_object(2, study, PatientBirthDate="19500418")
    three, third = small_object(1, other, PatientBirthDate="19500419")
    for uid, data_set in ((one, first), (two, second), (three, third)):
        assert store(node, uid, data_set).status == 0
        assert data_set_digest(objects(node)[uid]) == hashlib.sha256(data_set).hexdigest()
    found = query(
        node, f"SELECT uid, birth_date FROM dicom_node_study WHERE uid IN ('{study}', '{other}')"
    )
    assert dict(found) == {study: "19500417", other: "19500419"}
