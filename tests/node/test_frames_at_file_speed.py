"""Frames that are stored or kept leave from their file: nothing is parsed or made again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dicom_node.dicomweb import frames
from dicom_node.models import Instance, Study
from dicom_node.prepared import kept
from dicom_node.prepared.study_frames import map_frames
from dicom_node.store import part10
from dicom_node.wsgi import application
from tests.node.objects import SERIES, ct
from tests.node.statements import statements
from tests.node.test_frames import FRAMES, JPEG, LOOP, LOSSLESS_JPEG, OCTETS, get, loop
from tests.node.web_answers import parts_of, require_problem, whole

SINGLE_JPEG = f"image/jpeg; transfer-syntax={LOSSLESS_JPEG}"


def object_file(layout) -> Path:
    row = Instance.objects.get(uid=f"{SERIES}.1")
    return layout.object(row.hour, row.uid)


def forbid_parsing(monkeypatch) -> None:
    """Fail whoever parses a stored file from now on."""

    def parsed(*_):
        raise AssertionError("the object was parsed")

    monkeypatch.setattr(part10, "read_object", parsed)
    monkeypatch.setattr(part10, "read_header", parsed)


def map_it() -> None:
    """Keep in the index where the frames lie, as preparation does."""
    map_frames(Instance.objects.get())


def kept_files(layout) -> list[Path]:
    return [path for path in layout.renditions.rglob("*") if path.is_file()]


class FileWrapper:
    """What a WSGI server sends by sendfile (PEP 3333), as gunicorn reads it."""

    def __init__(self, file, block_size: int = 0) -> None:
        self.file = file

    def sent(self, size: int) -> bytes:
        handle = self.file.fileno()
        return os.pread(handle, size, os.lseek(handle, 0, os.SEEK_CUR))


def served(portal, numbers: str, accept: str) -> tuple[dict[str, str], FileWrapper]:
    """Ask the WSGI application; returns the headers, and the file that the server is to send."""
    told = {}
    environ = portal._base_environ(PATH_INFO=f"{FRAMES}/{numbers}", HTTP_ACCEPT=accept)
    environ |= {"wsgi.file_wrapper": FileWrapper}
    body = application(environ, lambda status, headers: told.update(headers, status=status))
    assert told.pop("status") == "200 OK"
    assert isinstance(body, FileWrapper)
    return told, body


def test_one_uncompressed_frame_is_sent_from_the_stored_file(take, portal, layout):
    take(loop())
    headers, wrapped = served(portal, "2", "application/octet-stream")
    assert os.path.samestat(os.fstat(wrapped.file.fileno()), object_file(layout).stat())
    assert wrapped.sent(int(headers["Content-Length"])) == LOOP[1].tobytes()
    wrapped.file.close()
    assert whole(get(portal, "2", "application/octet-stream")) == LOOP[1].tobytes()


def test_a_mapped_frame_needs_no_parsing(take, portal, monkeypatch):
    take(loop())
    whole(get(portal, "1"))  # maps the file
    forbid_parsing(monkeypatch)
    (part,) = parts_of(get(portal, "3"))
    assert part.body == LOOP[2].tobytes()


def test_a_frame_costs_one_select(take, portal):
    take(loop())
    whole(get(portal, "1"))  # notes the access
    with statements() as asked:
        whole(get(portal, "2"))
    assert [statement.split()[0] for statement in asked] == ["SELECT"]


def test_reading_frames_counts_as_access(take, portal):
    take(loop())
    assert Study.objects.get().last_access_at is None
    whole(get(portal, "1"))
    assert Study.objects.get().last_access_at is not None


@pytest.mark.parametrize(
    "accept", [JPEG, SINGLE_JPEG, f"{OCTETS}; transfer-syntax={LOSSLESS_JPEG}"]
)
def test_a_lossless_frame_is_kept_and_not_made_again(take, portal, monkeypatch, accept):
    take(loop())
    first = whole(get(portal, "2", SINGLE_JPEG))
    forbid_parsing(monkeypatch)
    answer = get(portal, "2", accept)
    body = parts_of(answer)[0].body if accept != SINGLE_JPEG else whole(answer)
    assert body == first
    assert np.array_equal(imagecodecs.ljpeg_decode(body), LOOP[1])


def test_the_whole_answer_of_a_kept_frame_is_one_file(take, portal, layout):
    take(loop())
    whole(get(portal, "2", JPEG))
    headers, wrapped = served(portal, "2", JPEG)
    (file,) = kept_files(layout)
    assert os.path.samestat(os.fstat(wrapped.file.fileno()), file.stat())
    assert wrapped.sent(int(headers["Content-Length"])) == file.read_bytes()
    wrapped.file.close()
    assert whole(get(portal, "2", JPEG)) == file.read_bytes()


@pytest.mark.parametrize("place", [0, 20, 100, 300, -100, -3])
def test_a_damaged_kept_frame_is_never_sent(take, portal, layout, place):
    take(loop())
    good = parts_of(get(portal, "2", JPEG))[0].body
    (file,) = kept_files(layout)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert parts_of(get(portal, "2", JPEG))[0].body == good
    assert parts_of(get(portal, "2", JPEG))[0].body == good
    (file,) = kept_files(layout)
    assert bytes(content) != file.read_bytes()


def test_a_kept_frame_that_is_damaged_later_is_noticed(take, portal, layout):
    take(loop())
    good = [parts_of(get(portal, "2", JPEG))[0].body for _ in range(2)][1]  # verified by now
    (file,) = kept_files(layout)
    file.write_bytes(file.read_bytes()[:-200])
    assert parts_of(get(portal, "2", JPEG))[0].body == good


def test_a_frame_that_does_not_shrink_is_tried_once(take, portal, layout):
    noise = np.random.default_rng(1).integers(0, 1 << 16, (64, 64), "<u2")
    take(ct(Rows=64, Columns=64, BitsStored=16, HighBit=15, PixelData=noise.tobytes()))
    told = require_problem(get(portal, "1", JPEG), 406)
    map_it()
    file = object_file(layout)
    file.write_bytes(bytes(file.stat().st_size))  # nothing could be tried any more
    assert require_problem(get(portal, "1", JPEG), 406) == told


def test_a_file_of_another_size_than_indexed_is_not_sent_as_it_lies(take, portal, layout):
    take(loop())
    whole(get(portal, "1"))
    with object_file(layout).open("ab") as file:
        file.write(bytes(64))
    assert "damaged" in require_problem(get(portal, "2"), 500)


def test_the_web_server_in_front_is_told_which_file_to_send(take, portal, layout, monkeypatch):
    take(loop())
    whole(get(portal, "2", JPEG))
    monkeypatch.setattr(frames, "CONFIG", replace(frames.CONFIG, accel_prefix="/_kept/"))
    answer = get(portal, "2", JPEG)
    (file,) = kept_files(layout)
    assert answer["X-Accel-Redirect"] == f"/_kept/{file.relative_to(layout.renditions)}"
    assert "boundary=argens" in answer["Content-Type"]
    assert whole(answer) == b""


def test_nothing_is_kept_where_that_is_switched_off(take, portal, layout, monkeypatch):
    take(loop())
    source = frames.Source
    monkeypatch.setattr(frames, "Source", lambda image: source(image, keeps=False))
    assert whole(get(portal, "2", JPEG))
    assert kept_files(layout) == []


def test_what_is_remembered_of_a_kept_file_ends(take, portal, layout, monkeypatch):
    take(loop())
    whole(get(portal, "2", JPEG))
    good = parts_of(get(portal, "2", JPEG))[0].body
    (file,) = kept_files(layout)
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[300] ^= 1
    with file.open("r+b") as same:
        same.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if the disk had rotted
    monkeypatch.setattr(kept, "VERIFIED_S", -1.0)
    assert parts_of(get(portal, "2", JPEG))[0].body == good


def test_frames_of_an_object_that_has_none_are_refused_like_before(real, portal):
    require_problem(get(portal, "1", path=f"{real('test-SR.dcm')}/frames"), 406)
