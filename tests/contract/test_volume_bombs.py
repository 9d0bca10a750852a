"""A volume from elsewhere may claim anything: reading it is bounded and comes to an end."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from archive_node.vault import encryption, tar, volume

NAME = "CT/1.2/r1-1.tar"
KEY = encryption.Key("2026", bytes(range(32)))
OUTER = {"format": volume.SEALED_FORMAT, "node": "CT", "study_uid": "1.2", "member": NAME}


def claiming(name: str, size_bytes: int, then: bytes = b"") -> io.BytesIO:
    """Return a tar whose first entry says that it is so long."""
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    return io.BytesIO(entry.tobuf(tarfile.GNU_FORMAT) + then + bytes(10240))


class Endless(io.BytesIO):
    """A medium that has as many zeros as are asked for, after what it begins with."""

    def read(self, size_bytes: int | None = -1, /) -> bytes:
        assert size_bytes is not None and 0 <= size_bytes <= 1 << 20, "asked for all at once"
        found = super().read(size_bytes)
        return found + bytes(size_bytes - len(found))


@pytest.mark.parametrize("size_bytes", [volume.MOST_AT_ONCE_BYTES + 1, 1 << 40, 1 << 62])
def test_a_manifest_that_claims_terabytes_is_not_read(size_bytes):
    begun = claiming(volume.MANIFEST, size_bytes).getvalue()[:512]
    with pytest.raises(volume.Damaged, match=f"says that it is {size_bytes} bytes long"):
        volume.read_manifest(Endless(begun))


@pytest.mark.parametrize("size_bytes", [-1, -512, -1024, -(1 << 40)])
def test_a_negative_size_leads_round_in_no_circle(size_bytes):
    with pytest.raises(tar.Damaged, match="bytes long"):
        list(tar.entries(claiming(volume.MANIFEST, size_bytes)))


def test_digests_that_claim_terabytes_are_not_read():
    raw = json.dumps({"format": volume.FORMAT, "instances": []}).encode()
    file = io.BytesIO(
        tar.header(volume.MANIFEST, len(raw), 0)
        + raw
        + tar.padding(len(raw))
        + tar.header(volume.SUMS, 1 << 41, 0)
    )
    with pytest.raises(volume.Damaged, match=f"{volume.SUMS} says that it is"):
        volume.read_manifest(Endless(file.getvalue()))


def test_a_manifest_nested_without_end_is_no_manifest():
    raw = b"[" * 200_000
    entry = tar.header(volume.MANIFEST, len(raw), 0) + raw + tar.padding(len(raw))
    with pytest.raises(volume.Damaged, match="cannot be read"):
        volume.read_manifest(io.BytesIO(entry + bytes(10240)))


@pytest.mark.parametrize("segment_bytes", [0, -1, 1 << 40, "many", None, 1.5])
def test_segments_of_nonsense_are_no_member(segment_bytes):
    keyed = {"key_id": KEY.key_id, "key_check": KEY.check, "segment_bytes": segment_bytes}
    raw = json.dumps(OUTER | keyed).encode()
    entry = tar.header(volume.MANIFEST, len(raw), 0) + raw + tar.padding(len(raw))
    with pytest.raises(volume.Damaged, match="tells no size of a segment"):
        volume.read_manifest(io.BytesIO(entry + bytes(10240)), NAME, {KEY.key_id: KEY.secret})
