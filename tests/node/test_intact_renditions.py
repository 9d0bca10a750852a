"""Nothing is made, or kept, of a stored file that is not what arrived any more."""

from __future__ import annotations

import os
import time

import imagecodecs
import numpy as np
import pytest

from dicom_node.chores import digests
from dicom_node.models import Instance
from dicom_node.prepared import intact
from dicom_node.prepared.intact import require_intact
from dicom_node.store import part10, verified
from dicom_node.store.verified import Identity
from pacs_common.errors import ArgensError
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import parts_of, require_problem

IMAGE = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"
LOSSLESS_JPEG = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.70'
PIXELS = (np.arange(64 * 64, dtype="<u2") // 16).reshape(64, 64)


@pytest.fixture
def stored(take, layout):
    """Take an image in; returns the path of its file."""
    ds = ct(Rows=64, Columns=64)
    ds.PixelData = PIXELS.tobytes()
    take(ds)
    row = Instance.objects.get()
    return layout.object(row.hour, row.uid)


def damage(path) -> bytes:
    """Change one bit of the pixels; returns the sound content."""
    sound = path.read_bytes()
    place = sound.rindex(PIXELS[32].tobytes())
    path.chmod(0o600)
    path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
    return sound


def test_a_damaged_file_gives_no_rendition_and_the_repaired_one_the_right_pixels(stored, portal):
    sound = damage(stored)
    for path, accept in (
        (f"{IMAGE}/frames/1", LOSSLESS_JPEG),
        (IMAGE, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"),
        (f"{IMAGE}/rendered", "image/png"),
        (f"{IMAGE}/thumbnail", "image/jpeg"),
    ):
        detail = require_problem(portal.get(path, headers={"Accept": accept}), 500)
        assert "damaged" in detail
    stored.write_bytes(sound)
    (part,) = parts_of(portal.get(f"{IMAGE}/frames/1", headers={"Accept": LOSSLESS_JPEG}))
    assert np.array_equal(imagecodecs.ljpeg_decode(part.body), PIXELS)


def test_a_damaged_file_is_not_sent_as_it_is_stored(stored, portal):
    damage(stored)
    for path, accept in (
        (f"{IMAGE}/frames/1", 'multipart/related; type="application/octet-stream"'),
        (IMAGE, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        (IMAGE, "application/dicom; transfer-syntax=*"),
        (f"{IMAGE}/bulkdata/7FE00010", "application/octet-stream"),
        (f"{IMAGE}/pixeldata", 'multipart/related; type="application/octet-stream"'),
        (IMAGE, 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2'),
    ):
        require_problem(portal.get(path, headers={"Accept": accept}), 500)


def test_a_damaged_document_is_not_sent(take, layout, portal):
    pdf = ct(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", EncapsulatedDocument=b"%PDF-1.4 xy")
    pdf.MIMETypeOfEncapsulatedDocument = "application/pdf"
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(pdf, keyword)
    take(pdf)
    row = Instance.objects.get()
    path = layout.object(row.hour, row.uid)
    as_it_is = {"Accept": "application/pdf"}
    assert portal.get(f"{IMAGE}/rendered", headers=as_it_is).status_code == 200
    path.write_bytes(path.read_bytes().replace(b"1.4 xy", b"1.4 xz"))
    require_problem(portal.get(f"{IMAGE}/rendered", headers=as_it_is), 500)


def test_what_is_remembered_of_a_file_that_was_damaged_since_makes_no_picture(stored, portal):
    as_png = {"Accept": "image/png"}
    assert portal.get(f"{IMAGE}/rendered", headers=as_png).status_code == 200
    damage(stored)
    windowed = portal.get(f"{IMAGE}/rendered?window=40,80,linear", headers=as_png)
    require_problem(windowed, 500)


@pytest.fixture
def hashed(monkeypatch):
    """The files that were hashed to be held against their digest of arrival."""
    found, honest = [], part10.data_set_sha256
    monkeypatch.setattr(part10, "data_set_sha256", lambda path: found.append(path) or honest(path))
    return found


@pytest.fixture
def noted(stored, layout, monkeypatch):
    """What the chores noted of the verified file, as a process knows it that never read it."""
    monkeypatch.setattr(verified, "SETTLED_S", 0)
    assert digests.compute(layout) == 1
    monkeypatch.setattr(intact, "_VERDICTS", {})
    return Instance.objects.get()


def test_what_the_chores_verified_is_not_hashed_again(stored, noted, hashed, portal):
    require_intact(stored, noted.received_sha256, noted.verified)
    for path in (f"{IMAGE}/frames/1", f"{IMAGE}/rendered", IMAGE, f"{IMAGE}/bulkdata/7FE00010"):
        answer = portal.get(path)
        assert answer.status_code == 200
        answer.close()
    assert hashed == []


def test_a_verified_file_that_is_damaged_afterwards_is_hashed_and_refused(
    stored, noted, hashed, portal
):
    status = stored.stat()
    damage(stored)
    os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stored.stat().st_mtime_ns == status.st_mtime_ns and stored.stat().st_ino == status.st_ino
    for path, accept in (
        (f"{IMAGE}/frames/1", LOSSLESS_JPEG),
        (f"{IMAGE}/frames/1", "multipart/related; type=application/octet-stream"),
        (f"{IMAGE}/rendered", "image/png"),
    ):
        require_problem(portal.get(path, headers={"Accept": accept}), 500)
    assert hashed == [stored]


def test_a_file_put_in_the_place_of_a_verified_one_is_hashed(stored, noted, hashed):
    other = stored.with_name("other")
    other.write_bytes(stored.read_bytes())
    status = stored.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(stored)
    require_intact(stored, noted.received_sha256, noted.verified)
    assert hashed == [stored]


def test_a_verdict_ages(stored, noted, hashed, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + verified.BELIEVED_S + 1)
    for _ in range(2):
        require_intact(stored, noted.received_sha256, noted.verified)
    assert hashed == [stored]
    monkeypatch.setattr(time, "time", lambda: now + 2 * verified.BELIEVED_S + 2)
    require_intact(stored, noted.received_sha256, noted.verified)
    assert hashed == [stored, stored]


def test_a_file_that_may_have_changed_while_it_was_hashed_is_not_marked(stored):
    before, now = Identity.of(stored.stat()), time.time()
    settled = now + verified.SETTLED_S + 1
    assert verified.mark(before, before, before.changed_ns / 1e9, now) is None
    assert verified.mark(before, before._replace(changed_ns=0), settled, settled) is None
    marked = verified.mark(before, before, settled, settled)
    assert verified.believed_at(marked, before, settled) == int(settled)
    for field in Identity._fields:
        other = before._replace(**{field: getattr(before, field) + 1})
        assert verified.believed_at(marked, other, settled) is None
    assert verified.believed_at(marked, before, settled - 60) is None


def test_a_file_is_hashed_again_only_when_it_was_written_anew(stored, hashed):
    row = Instance.objects.get()
    for _ in range(3):
        require_intact(stored, row.received_sha256)
    assert len(hashed) == 1
    damage(stored)
    for _ in range(2):
        with pytest.raises(ArgensError, match="not what arrived"):
            require_intact(stored, row.received_sha256)
    assert len(hashed) == 2


def test_a_file_that_lost_its_head_is_damaged(stored):
    row = Instance.objects.get()
    stored.chmod(0o600)
    stored.write_bytes(b"nothing")
    with pytest.raises(ArgensError, match="damaged"):
        require_intact(stored, row.received_sha256)
