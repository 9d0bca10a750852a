"""Files stored as lossless JPEG in the place of what arrived (custody rule 4)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from dicom_node.chores import digests, renditions
from dicom_node.config import CONFIG, Keeping
from dicom_node.custody import facts, recall
from dicom_node.dimse.scu.encoding import encode
from dicom_node.dimse.scu.outgoing import Damaged, Data
from dicom_node.dimse.scu.plan import Plan
from dicom_node.index import rebuild
from dicom_node.ingest.ingest import Arrival, Outcome
from dicom_node.models import Commitment, Instance, Preparation, Study
from dicom_node.prepared import at_rest, preparing
from dicom_node.store import blobs, part10
from dicom_node.store.journal import COPIED, Journal
from pacs_common.errors import DiskFull
from tests.node.commitment_peers import cts
from tests.node.objects import SERIES, STUDY, ct, encoded, put_away
from tests.node.test_commitment import reasons
from tests.node.test_frames import OCTETS, get
from tests.node.web_answers import parts_of, require_problem, whole

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"
PIXELS = np.arange(64 * 64, dtype="<u2").reshape(64, 64) // 16
FRAMES = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames"
KEPT_COLUMNS = (
    "received_sha256", "stored_sha256", "pixel_sha256", "size_bytes", "transfer_syntax",
    "arrived_at", "hour", "damaged",
)  # fmt: skip


def slice_(number: int = 1, **attributes: object):
    return ct(number, **{"Rows": 64, "Columns": 64, "PixelData": PIXELS.tobytes()} | attributes)


def row(number: int = 1) -> Instance:
    return Instance.objects.select_related("series__study").get(uid=f"{SERIES}.{number}")


def columns(number: int = 1) -> dict[str, object]:
    return Instance.objects.filter(uid=f"{SERIES}.{number}").values(*KEPT_COLUMNS).get()


def compress() -> None:
    assert preparing.prepare(Study.objects.get(), lambda: True, Keeping.AT_REST)


@pytest.fixture
def file(layout) -> Callable:
    return lambda number=1: layout.object(row(number).hour, row(number).uid)


@pytest.fixture
def arrived(take, layout) -> dict[str, object]:
    """Take a slice in and compute its digests; its columns as they are then."""
    take(slice_())
    digests.compute(layout)
    return columns()


def test_the_lossless_jpeg_takes_the_place_of_what_arrived(arrived, file):
    before = Study.objects.get()
    compress()
    content, now = file().read_bytes(), columns()
    ds = dcmread(io.BytesIO(content))
    assert np.array_equal(ds.pixel_array, PIXELS)
    assert str(ds.file_meta.TransferSyntaxUID) == now["transfer_syntax"] == JPEG
    assert now["stored_sha256"] == hashlib.sha256(content).hexdigest() != arrived["stored_sha256"]
    assert now["size_bytes"] == len(content) < arrived["size_bytes"]
    for same in ("received_sha256", "pixel_sha256", "arrived_at", "hour"):
        assert now[same] == arrived[same]
    step = arrived["size_bytes"] - len(content)
    after = Study.objects.get()
    assert (before.size_bytes - after.size_bytes, before.online_bytes - after.online_bytes) == (
        step,
        step,
    )
    assert Preparation.objects.get().saved_bytes == step


def test_the_file_says_what_arrived(arrived, file):
    compress()
    told = part10.recompressed(file())
    assert (told.received_sha256, told.received_bytes) == (
        arrived["received_sha256"],
        arrived["size_bytes"],
    )
    assert part10.data_set_sha256(file()) == arrived["received_sha256"]


def test_a_flipped_bit_in_a_compressed_file_is_damage(arrived, file):
    compress()
    content = bytearray(file().read_bytes())
    content[-20] ^= 1
    file().write_bytes(content)
    assert part10.data_set_sha256(file()) != arrived["received_sha256"]


def test_a_resend_of_what_arrived_changes_nothing(arrived, take, ingest, file):
    compress()
    content = file().read_bytes()
    assert take(slice_()).outcome == Outcome.DUPLICATE
    assert file().read_bytes() == content


def test_a_resend_in_the_syntax_that_is_stored_now_changes_nothing(arrived, ingest, file):
    compress()
    with file().open("rb") as stored:
        part10.data_set_offset(stored)
        body = stored.read()
    assert ingest.take(Arrival(body, JPEG)).outcome == Outcome.DUPLICATE


def test_other_pixels_under_the_uid_are_quarantined_as_before(arrived, take):
    compress()
    other = slice_(PixelData=(PIXELS + 1).tobytes())
    assert take(other).outcome == Outcome.QUARANTINED


def test_an_index_made_anew_equals_the_one_before(arrived, layout):
    compress()
    before = columns()
    rebuild.rebuild(layout)
    assert columns() == before | {"stored_sha256": "", "pixel_sha256": ""}
    digests.compute(layout)
    assert columns() == before


def test_damage_is_still_known_in_an_index_made_anew(arrived, layout, file, portal):
    compress()
    content = bytearray(file().read_bytes())
    content[-20] ^= 1
    file().write_bytes(content)
    rebuild.rebuild(layout)
    assert columns()["received_sha256"] == arrived["received_sha256"]
    require_problem(get(portal, "1", OCTETS, FRAMES), 500)
    digests.compute(layout)
    assert columns()["damaged"]


def test_the_check_of_the_disk_finds_it_whole(arrived):
    compress()
    call_command("fsck")


def test_a_crash_between_the_file_and_its_row_loses_nothing(arrived, layout, portal):
    compress()
    after = columns()
    study = Study.objects.get()
    Instance.objects.update(**arrived | {"damaged": True})  # its row is as it was before the crash
    step = arrived["size_bytes"] - after["size_bytes"]
    Study.objects.update(size_bytes=study.size_bytes + step, online_bytes=study.online_bytes + step)
    (part,) = parts_of(get(portal, "1", OCTETS, FRAMES))
    assert part.body == PIXELS.tobytes()
    compress()
    assert columns() == after
    assert Study.objects.get().online_bytes == study.online_bytes


def test_it_is_committed_before_and_after_its_row_tells_of_it(arrived, layout, file):
    compress()
    assert decided(layout) == 0
    Instance.objects.update(**arrived)  # a crash came between the file and its row
    assert decided(layout) == 0
    assert not columns()["damaged"]
    content = bytearray(file().read_bytes())
    content[-20] ^= 1
    file().write_bytes(content)
    assert decided(layout) == 0x0110
    assert columns()["damaged"]


def decided(layout) -> int | None:
    Commitment.objects.all().delete()
    return reasons(layout, *cts(f"{SERIES}.1"))[f"{SERIES}.1"]


@pytest.fixture
def between(arrived, monkeypatch) -> Callable:
    """Do something when the file is compressed already and its row does not tell of it yet."""

    def between(act: Callable[[], None]) -> None:
        index, done = at_rest._index, []

        def stopped(image: Instance, path: Path) -> None:
            assert columns() == arrived
            act()
            done.append(image.uid)
            index(image, path)

        monkeypatch.setattr(at_rest, "_index", stopped)
        compress()
        assert done == [f"{SERIES}.1"]
        assert columns()["transfer_syntax"] == JPEG

    return between


@pytest.mark.parametrize("taken", [{JPEG, EXPLICIT}, {EXPLICIT}])
def test_it_is_sent_between_its_file_and_its_row(between, layout, taken):
    def send() -> None:
        (item,) = Plan.of(Instance.objects.all(), layout).items()
        syntax, data = encode(item, taken)
        assert syntax == (JPEG if JPEG in taken else EXPLICIT)
        assert np.array_equal(pixels_of(data, syntax), PIXELS)
        assert not columns()["damaged"]

    between(send)


def test_a_plan_of_before_sends_what_is_there_now(arrived, layout):
    (item,) = Plan.of(Instance.objects.all(), layout).items()
    compress()
    syntax, data = encode(item, {EXPLICIT, JPEG})
    assert (syntax, item.transfer_syntax) == (JPEG, EXPLICIT)
    assert np.array_equal(pixels_of(data, syntax), PIXELS)


def test_damage_is_never_taken_for_compression(arrived, layout, file):
    (item,) = Plan.of(Instance.objects.all(), layout).items()
    compress()
    content = bytearray(file().read_bytes())
    content[-20] ^= 1
    file().write_bytes(content)
    with pytest.raises(Damaged):
        encode(item, {EXPLICIT, JPEG})


@pytest.mark.parametrize("syntax", ["*", EXPLICIT, JPEG])
def test_it_is_retrieved_between_its_file_and_its_row_under_its_own_name(between, portal, syntax):
    address = FRAMES.removesuffix("/frames")
    told = EXPLICIT if syntax == EXPLICIT else JPEG

    def retrieve() -> None:
        accept = f"application/dicom; transfer-syntax={syntax}"
        for accepted in (accept, f'multipart/related; type="application/dicom"; {accept[19:]}'):
            answer = portal.get(address, headers={"Accept": accepted})
            content = whole(answer) if accepted == accept else parts_of(answer)[0].body
            ds = dcmread(io.BytesIO(content))
            assert np.array_equal(ds.pixel_array, PIXELS)
            assert str(ds.file_meta.TransferSyntaxUID) == told
        assert portal.get(f"{address}/rendered").status_code == 200
        assert portal.get(f"{address}/metadata").status_code == 200

    between(retrieve)


def pixels_of(data: Data, syntax: str) -> np.ndarray:
    ds = part10.parse_data_set(data if isinstance(data, bytes) else b"".join(data), syntax)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    return ds.pixel_array


def test_a_disk_that_is_full_leaves_what_arrived(arrived, file, monkeypatch):
    content = file().read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs, "_write_chunk", full)
    with pytest.raises(DiskFull):
        compress()
    assert file().read_bytes() == content
    assert columns() == arrived
    assert [path.name for path in file().parent.iterdir()] == [file().name]


def test_what_the_archive_was_offered_stays_as_it_is(arrived, layout):
    facts.manifest(Study.objects.get(), Journal(layout.journal))
    compress()
    assert columns() == arrived


def test_what_came_after_the_offer_is_compressed(arrived, layout, take):
    told = facts.manifest(Study.objects.get(), Journal(layout.journal))
    take(slice_(2))
    digests.compute(layout)
    compress()
    assert columns() == arrived
    assert columns(2)["transfer_syntax"] == JPEG
    assert told["journal"] == []


def test_what_the_archive_has_a_copy_of_stays_as_it_is(arrived, layout):
    record = {"study_uid": STUDY, "sop_instance_uid": f"{SERIES}.1", "stored_sha256": "0"}
    Journal(layout.journal).append(COPIED, [record])
    compress()
    assert columns() == arrived


def test_nothing_is_replaced_before_its_digests_are_known(take, file):
    take(slice_())
    content = file().read_bytes()
    compress()
    assert file().read_bytes() == content


def test_a_file_that_is_not_what_arrived_is_not_replaced(arrived, file):
    content = bytearray(file().read_bytes())
    content[-100] ^= 1
    file().write_bytes(content)
    compress()
    assert file().read_bytes() == bytes(content)
    assert columns()["stored_sha256"] == arrived["stored_sha256"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelData": np.random.default_rng(1).integers(0, 1 << 16, 4096, "<u2").tobytes(),
         "BitsStored": 16, "HighBit": 15},  # noise does not shrink
        {"PixelData": (PIXELS | 0xF000).tobytes()},  # bits outside Bits Stored
    ],
)  # fmt: skip
def test_what_lossless_jpeg_cannot_hold_stays_as_it_is(take, layout, file, attributes):
    take(slice_(**attributes))
    digests.compute(layout)
    content = file().read_bytes()
    compress()
    assert file().read_bytes() == content


def test_it_is_evicted_and_recalled_like_any_other(arrived, layout, file):
    compress()
    path, content = file(), file().read_bytes()
    put_away(layout, f"{SERIES}.1")
    assert not path.exists()
    assert recall.put_back(layout, row(), io.BytesIO(content), len(content), reserve_bytes=1)
    assert path.read_bytes() == content
    compress()
    assert path.read_bytes() == content


def test_the_archive_waits_until_files_are_what_they_will_be(arrived, monkeypatch):
    assert facts.studies([Study.objects.get()])[0]["digests_ready"]
    monkeypatch.setattr(facts, "CONFIG", replace(CONFIG, renditions=Keeping.AT_REST))
    assert not facts.studies([Study.objects.get()])[0]["digests_ready"]
    renditions.settle(Study.objects.get(), lambda: True)
    assert facts.studies([Study.objects.get()])[0]["digests_ready"]


def test_a_study_waits_for_its_digests(take, layout, monkeypatch):
    take(slice_())
    monkeypatch.setattr(renditions, "CONFIG", replace(CONFIG, renditions=Keeping.AT_REST))
    assert not renditions.due(0).exists()
    digests.compute(layout)
    assert renditions.due(0).exists()


def test_frames_and_objects_are_the_same_as_before(arrived, portal):
    compress()
    (raw,) = parts_of(get(portal, "1", OCTETS, FRAMES))
    assert raw.body == PIXELS.tobytes()
    (stored,) = parts_of(get(portal, "1", f"{OCTETS}; transfer-syntax=*", FRAMES))
    assert stored.content_type.endswith(JPEG)
    (whole_object,) = parts_of(portal.get(FRAMES.removesuffix("/frames")))
    assert encoded(slice_()) == whole_object.body[-len(encoded(slice_())) :]
