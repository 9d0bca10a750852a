"""STOW-RS: what is answered as stored is durable, and every part is accounted for (PS3.18 10.5)."""

from __future__ import annotations

import hashlib
import os
import zlib
from xml.etree import ElementTree

import pytest
from django.test import Client

from dicom_node.audit import reading
from dicom_node.ingest import door, incoming
from dicom_node.models import Instance, Quarantined
from dicom_node.store import blobs, part10
from dicom_node.store.layout import Layout
from tests.node.objects import EXPLICIT, STUDY, ct, encoded
from tests.node.stow_bodies import (
    BOUNDARY,
    FAILED,
    KEPT,
    OTHER,
    RELATED,
    STUDIES,
    Post,
    as_file,
    body,
    meta,
    poster,
    reasons,
    uids,
)
from tests.node.web_answers import require_problem

pytestmark = pytest.mark.slow

MANY = 10_000 if os.environ.get("PACS_TEST_SOAK") else 1500
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def post(layout: Layout, transactional_db: None, ticket) -> Post:
    """POST to the node with a ticket that may store."""
    yield poster(Client(headers={"Authorization": f"Bearer {ticket('dicomweb.store')}"}))
    door.close()


def stored(layout: Layout, uid: str) -> Instance:
    """Return a row whose file is whole on the disk."""
    row = Instance.objects.get(uid=uid)
    assert part10.data_set_sha256(layout.object(row.hour, uid)) == row.received_sha256
    return row


def test_every_part_is_stored_as_it_came_and_named_with_its_address(post, layout):
    objects = [ct(number) for number in range(1, 6)]
    answer = post(body(map(as_file, objects)))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/dicom+json"
    assert uids(answer, KEPT) == [ds.SOPInstanceUID for ds in objects]
    for ds in objects:
        row = stored(layout, ds.SOPInstanceUID)
        assert row.received_sha256 == hashlib.sha256(encoded(ds)).hexdigest()
    told = answer.json()
    assert told["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{STUDY}"]
    first = told[KEPT]["Value"][0]
    assert first["00081190"]["Value"][0].endswith(f"/series/{STUDY}.1/instances/{STUDY}.1.1")
    assert first["00081150"]["Value"] == [CT]
    assert FAILED not in told and OTHER not in told


def test_a_proxy_in_front_tells_the_address_that_the_caller_knows(post):
    answer = post(body([as_file(ct(1))]), HTTP_X_FORWARDED_BASE="https://portal/dicom-web")
    assert answer.json()["00081190"]["Value"] == [f"https://portal/dicom-web/studies/{STUDY}"]


def test_the_same_again_is_stored_again(post):
    content = body([as_file(ct(1)), as_file(ct(1))])
    for _ in range(2):
        answer = post(content)
        assert (answer.status_code, len(uids(answer, KEPT))) == (200, 2)
    assert Instance.objects.count() == 1


def test_a_single_object_needs_no_multipart(post, layout):
    answer = post(as_file(ct(1)), content_type="application/dicom")
    assert answer.status_code == 200
    stored(layout, ct(1).SOPInstanceUID)


def test_the_file_keeps_who_stored_it_and_the_audit_tells(post, layout):
    post(body([as_file(ct(1))]))
    row = Instance.objects.get()
    header = part10.read_header(layout.object(row.hour, row.uid))
    kept = part10.provenance(header.file_meta, row.arrived_at)
    assert (kept.stored_by, kept.source_ae, row.source_ae) == ("tester", "", "")
    noted = reading.page(layout.audit, kind="stored", limit=9).records
    assert [(r["by"], r["study_uid"], r["instances"]) for r in noted] == [("tester", STUDY, 1)]


def test_an_object_of_another_study_than_the_address_fails_and_the_rest_stays(post):
    other = ct(2, study="1.2.9", series="1.2.9.1")
    answer = post(body([as_file(ct(1)), as_file(other)]), f"{STUDIES}/{STUDY}")
    assert answer.status_code == 202
    assert uids(answer, KEPT) == [ct(1).SOPInstanceUID]
    assert (uids(answer, FAILED), reasons(answer)) == ([other.SOPInstanceUID], [0xA900])
    assert Instance.objects.count() == 1


def test_a_ticket_of_one_study_stores_into_no_other(layout, transactional_db, ticket):
    bound = ticket("dicomweb.store", study=STUDY)
    post = poster(Client(headers={"Authorization": f"Bearer {bound}"}))
    assert post(body([as_file(ct(1))])).status_code == 200
    assert post(body([as_file(ct(2, study="1.2.9", series="1.2.9.1"))])).status_code == 409
    require_problem(post(body([as_file(ct(2))]), f"{STUDIES}/1.2.9"), 403)
    door.close()


def test_reading_rights_do_not_store(portal, layout, transactional_db):
    require_problem(poster(portal)(body([as_file(ct(1))])), 403)
    require_problem(poster(Client())(body([as_file(ct(1))])), 401)


def test_other_content_of_a_uid_is_kept_in_quarantine_and_said_with_a_warning(post):
    post(body([as_file(ct(1))]))
    answer = post(body([as_file(ct(1, StudyDescription="another"))]))
    assert answer.status_code == 202
    (item,) = answer.json()[KEPT]["Value"]
    assert item["00081196"]["Value"] == [0xB007]
    assert Quarantined.objects.get().reason == "same-uid"


def without_uid() -> bytes:
    return meta(CT, "") + encoded(ct(1, SOPInstanceUID=None))


NONSENSE = {
    "not DICOM": (b"%PDF-1.7 and so on, longer than a preamble would be" * 9, OTHER, 0xC000),
    "no preamble": (as_file(ct(1))[128:], OTHER, 0xC000),
    "nothing": (b"", OTHER, 0xC000),
    "cut in the meta group": (as_file(ct(1))[:180], OTHER, 0xC000),
    "no meta group": (part10.PREAMBLE + encoded(ct(1)), OTHER, 0xC000),
    "a meta length beyond all": (
        part10.PREAMBLE + b"\2\0\1\0OB\0\0\xff\xff\xff\x7f" + bytes(99),
        OTHER,
        0xC000,
    ),
    "no data set": (meta(CT, "1.2.3"), FAILED, 0xC000),
    "cut in the pixels": (as_file(ct(1))[:-9], FAILED, 0xC000),
    "no SOP Instance UID": (without_uid(), OTHER, 0xA900),
    "an unsafe UID": (as_file(ct(1, SOPInstanceUID="1/../../2")), OTHER, 0xC000),
    "another class than its meta": (meta(MR, "1.2") + encoded(ct(1)), FAILED, 0xA900),
    "a class of no storage": (meta("1.2.840.10008.1.3.10", "1.2") + encoded(ct(1)), FAILED, 0x0122),
    "a syntax of nobody": (meta(CT, "1.2", "1.2.3.4") + encoded(ct(1)), FAILED, 0xC122),
    "a bomb": (meta(CT, "1.2", DEFLATED) + b"", FAILED, 0xC000),
}  # fmt: skip


def bomb() -> bytes:
    """Return a deflated data set of a hundred megabytes of zeros in a hundred kilobytes."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    ds = encoded(ct(1, PixelData=None))
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + (100 << 20).to_bytes(4, "little")
    zeros = (engine.compress(bytes(1 << 20)) for _ in range(100))
    return engine.compress(ds + pixels) + b"".join(zeros) + engine.flush()


@pytest.mark.parametrize("name", NONSENSE)
def test_what_cannot_be_kept_fails_with_its_reason_and_harms_no_neighbour(post, layout, name):
    content, sequence, reason = NONSENSE[name]
    if name == "a bomb":
        content += bomb()
    answer = post(body([as_file(ct(7)), content, as_file(ct(8))]))
    assert answer.status_code == 202
    assert uids(answer, KEPT) == [ct(7).SOPInstanceUID, ct(8).SOPInstanceUID]
    assert reasons(answer, sequence) == [reason]
    assert Instance.objects.count() == 2
    assert not list(layout.objects.rglob("*.part"))
    alone = post(body([content]))
    assert (alone.status_code, reasons(alone, sequence)) == (409, [reason])


def test_a_meta_group_that_lies_about_its_length_is_read_to_its_end(post, layout):
    content = bytearray(as_file(ct(1)))
    content[140:144] = (9).to_bytes(4, "little")
    assert post(body([bytes(content)])).status_code == 200
    stored(layout, ct(1).SOPInstanceUID)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, "1.2.840.10008.1.2.2"])
def test_objects_of_each_encoding_are_stored(post, layout, syntax):
    content = encoded(ct(1), syntax)
    if syntax == DEFLATED:
        engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = engine.compress(encoded(ct(1))) + engine.flush()
    answer = post(body([meta(CT, ct(1).SOPInstanceUID, syntax) + content]))
    assert answer.status_code == 200
    assert stored(layout, ct(1).SOPInstanceUID).transfer_syntax == syntax


BROKEN = {
    "no boundary": (body([as_file(ct(1))]), 'multipart/related; type="application/dicom"'),
    "another boundary": (body([as_file(ct(1))]), RELATED.replace(BOUNDARY, "another")),
    "a boundary of 300": (b"x", RELATED.replace(BOUNDARY, "b" * 300)),
    "a boundary beyond ASCII": (b"x", RELATED.replace(BOUNDARY, "bébé")),
    "no end": (body([as_file(ct(1))])[: -len(BOUNDARY) - 6], RELATED),
    "no part": (body([]), RELATED),
    "an endless header": (b"--" + BOUNDARY.encode() + b"\r\nX: " + b"y" * 99999, RELATED),
    "headers without end": (
        b"--" + BOUNDARY.encode() + b"\r\n" + b"X: y\r\n" * 99 + b"\r\n",
        RELATED,
    ),
    "a blank line": (b"\r\n", RELATED),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_body_that_cannot_be_read_is_a_bad_request_and_leaves_nothing(post, layout, name):
    content, content_type = BROKEN[name]
    require_problem(post(content, content_type=content_type), 400)
    assert Instance.objects.count() == 0
    assert not list(layout.objects.rglob("*.part"))


def test_of_a_body_that_breaks_off_the_whole_parts_stay_and_are_told(post, layout):
    content = body(map(as_file, [ct(1), ct(2), ct(3)]))
    answer = post(content[: len(content) - 300])
    assert answer.status_code == 202
    assert uids(answer, KEPT) == [ct(1).SOPInstanceUID, ct(2).SOPInstanceUID]
    assert reasons(answer) == [0xC000]
    assert Instance.objects.count() == 2
    assert not list(layout.objects.rglob("*.part"))


def test_what_is_not_dicom_is_an_unsupported_media_type(post):
    for kind in ("text/plain", RELATED.replace("dicom", "dicom+xml"), "", "application/zip"):
        require_problem(post(b"x", content_type=kind), 415)


def test_an_answer_that_nobody_takes_is_refused_before_anything_is_stored(post):
    require_problem(post(body([as_file(ct(1))]), HTTP_ACCEPT="image/png"), 406)
    assert Instance.objects.count() == 0


def test_the_answer_is_xml_for_who_asks_for_it(post):
    answer = post(body([as_file(ct(1))]), HTTP_ACCEPT="application/dicom+xml")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/dicom+xml")
    root = ElementTree.fromstring(answer.content)
    named = [node.text for node in root.iterfind(".//*[@tag='00081155']/*")]
    assert named == [ct(1).SOPInstanceUID]


def test_a_part_of_another_type_fails_alone(post):
    mixed = body([as_file(ct(1))])[: -len(BOUNDARY) - 6] + body([b"hello"], "text/plain")
    answer = post(mixed)
    assert (answer.status_code, reasons(answer, OTHER)) == (202, [0xC000])


def test_limits_of_parts_and_bytes_are_a_setting(post, node_setting):
    node_setting(stow_max_parts=2)
    answer = post(body(map(as_file, [ct(1), ct(2), ct(3)])))
    assert (answer.status_code, len(uids(answer, KEPT))) == (202, 2)
    node_setting(stow_max_bytes=500)
    require_problem(post(body([as_file(ct(4))])), 413)


def test_a_full_disk_is_said_as_out_of_resources(post, monkeypatch):
    """The reserve is what makes a disk full: here more than any disk has."""
    door.close()
    monkeypatch.setattr(door, "CONFIG", Reserve(1 << 60))
    answer = post(body([as_file(ct(1)), as_file(ct(2))]))
    assert (answer.status_code, reasons(answer)) == (503, [0xA700, 0xA700])
    assert answer["Retry-After"]


def test_a_fault_of_ours_costs_one_object_and_not_the_body(post, monkeypatch):
    """One object makes a later step fail as no object should."""
    real = incoming.check_identity

    def faulty(scanner, origin):
        found = real(scanner, origin)
        if found.instance == ct(2).SOPInstanceUID:
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(incoming, "check_identity", faulty)
    answer = post(body(map(as_file, [ct(1), ct(2), ct(3)])))
    assert (answer.status_code, len(uids(answer, KEPT))) == (202, 2)
    assert (uids(answer, FAILED), reasons(answer)) == ([ct(2).SOPInstanceUID], [0x0110])


class Reserve:
    """The node's settings with another reserve."""

    def __init__(self, reserve_bytes: int) -> None:
        from dicom_node.config import CONFIG

        self.reserve_bytes, self.data_dir = reserve_bytes, CONFIG.data_dir


@pytest.fixture
def node_setting(monkeypatch):
    """Change settings of the running node: `node_setting(stow_max_parts=2)`."""
    from dataclasses import replace

    from dicom_node.dicomweb import stow

    def change(**values: int) -> None:
        monkeypatch.setattr(stow, "CONFIG", replace(stow.CONFIG, **values))

    return change


@pytest.mark.slow
def test_thousands_of_parts_are_thousands_of_instances(post, layout):
    answer = post(body(as_file(ct(number)) for number in range(1, MANY + 1)))
    assert (answer.status_code, len(uids(answer, KEPT))) == (200, MANY)
    assert Instance.objects.count() == MANY


def test_an_object_larger_than_any_form_is_streamed(post, layout):
    large = ct(1, Rows=4096, Columns=4096, PixelData=bytes(32 << 20))
    assert post(body([as_file(large)])).status_code == 200
    assert stored(layout, large.SOPInstanceUID).size_bytes > 32 << 20


def test_each_part_is_synced_before_it_is_answered(post, monkeypatch):
    synced = []
    real = blobs.Partial.sync
    monkeypatch.setattr(blobs.Partial, "sync", lambda self: (real(self), synced.append(self))[0])
    answer = post(body(map(as_file, [ct(1), ct(2)])))
    assert (answer.status_code, len(synced)) == (200, 2)
