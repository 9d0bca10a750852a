"""A member's format: round trip, exact size, what is found when it is changed, in clear or not."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_node.vault import encryption, tar, volume
from archive_node.vault.member import Member
from archive_node.vault.volume import Item

NAME = "CT/1.2/r3-1.tar"
KEY = encryption.Key("2026", bytes(range(32)))
KEYS = {"2026": KEY.secret}
CONTENTS = {"1.2.3": b"abc" * 1000, "1.2.4": b"", "9" * 64: b"x" * 512}
KINDS = pytest.mark.parametrize("key", [None, KEY], ids=["in clear", "encrypted"])


HELD_BACK = b"held back" * 300  # in quarantine, of a UID that is stored too


def item(uid: str, content: bytes) -> Item:
    return Item(uid, hashlib.sha256(content).hexdigest(), len(content), 1_700_000_000)


def held_back() -> Item:
    return dataclasses.replace(item("1.2.3", HELD_BACK), quarantined=True)


def member(
    contents: dict[str, bytes], key: encryption.Key | None = None, held: Item | None = None
) -> Member:
    items = [item(uid, content) for uid, content in contents.items()]
    entries = [
        {
            "sop_instance_uid": each.sop_instance_uid,
            "stored_sha256": each.stored_sha256,
            "size_bytes": each.size_bytes,
        }
        for each in items
    ]
    manifest = {
        "format": volume.FORMAT,
        "node": "CT",
        "study_uid": "1.2",
        "member": NAME,
        "revision": 3,
        "study": {"description": "Crâne"},
        "instances": entries,
    }
    if held is not None:
        entry = {name: getattr(held, name) for name in entries[0]}
        manifest["quarantine"] = [entry | {"path": held.path}]
        items.append(held)
    return Member(manifest, items, key)


def of(contents: dict[str, bytes], piece_bytes: int = 700):
    """Give an instance's bytes in pieces, as a network does."""

    def content(item: Item) -> Iterator[bytes]:
        raw = HELD_BACK if item.quarantined else contents[item.sop_instance_uid]
        yield from (raw[at : at + piece_bytes] for at in range(0, len(raw), piece_bytes))

    return content


def written(contents: dict[str, bytes], key: encryption.Key | None = None) -> io.BytesIO:
    file = io.BytesIO()
    member(contents, key).write(file, of(contents))
    return file


def prove(file: io.BytesIO, contents: dict[str, bytes], seen=lambda each: None) -> None:
    opened = volume.opened(file, NAME, KEYS)
    digests = {uid: hashlib.sha256(content).hexdigest() for uid, content in contents.items()}
    expected = [
        volume.Placed(each.sop_instance_uid, digests[each.sop_instance_uid], each.extent)
        for each in opened.placed()
    ]
    opened.prove(expected, seen)


def extents(file: io.BytesIO) -> dict[str, tar.Extent]:
    return dict(tar.entries(file))


def path(uid: str, key: encryption.Key | None) -> str:
    return f"instances/{uid}.dcm{'.sealed' if key else ''}"


@KINDS
@given(
    st.dictionaries(
        st.from_regex(r"[1-9](\.[0-9]{1,3}){1,15}", fullmatch=True),
        st.binary(max_size=3000),
        max_size=5,
    )
)
def test_every_member_reads_back_and_has_the_size_that_was_announced(key, contents):
    file = written(contents, key)
    assert len(file.getvalue()) == member(contents, key).size_bytes
    seen = []
    prove(file, contents, seen.append)
    assert {each.sop_instance_uid for each in seen} == set(contents)


@KINDS
def test_one_instance_is_read_alone_by_what_the_catalogue_keeps_of_it(key):
    made = member(CONTENTS, key)
    file = written(CONTENTS, key)
    opened = volume.opened(file, NAME, KEYS)
    assert opened.placed() == made.placed
    for placed in made.placed:
        assert b"".join(opened.content(placed)) == CONTENTS[placed.sop_instance_uid]


@pytest.mark.parametrize("size_bytes", [0, 1, 99, 100, 101, 200, 250])
def test_a_sealed_file_takes_what_it_says_at_every_border_of_a_segment(size_bytes):
    content = bytes(range(250))[:size_bytes]
    sealed = encryption.Sealed(KEY, NAME, segment_bytes=100)
    stored = b"".join(sealed.protect("a", [content[:30], content[30:]], size_bytes))
    assert len(stored) == sealed.stored_bytes(size_bytes)
    assert b"".join(sealed.reveal("a", io.BytesIO(stored).read, len(stored))) == content


def segments(stored: bytes) -> tuple[bytes, list[bytes]]:
    head, rest = stored[:51], stored[51:]
    return head, [rest[at : at + 116] for at in range(0, len(rest), 116)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda parts: [parts[1], parts[0], *parts[2:]], id="two exchanged"),
        pytest.param(lambda parts: parts[:-1], id="the last cut off"),
        pytest.param(lambda parts: parts[1:], id="the first left out"),
        pytest.param(lambda parts: [parts[0], *parts], id="one twice"),
        pytest.param(lambda parts: [bytes([parts[0][0] ^ 1]) + parts[0][1:], *parts[1:]], id="bit"),
    ],
)
def test_segments_can_be_neither_changed_nor_exchanged_nor_cut_off(change):
    sealed = encryption.Sealed(KEY, NAME, segment_bytes=100)
    head, parts = segments(b"".join(sealed.protect("a", [bytes(350)], 350)))
    stored = head + b"".join(change(parts))
    with pytest.raises(volume.Damaged):
        b"".join(sealed.reveal("a", io.BytesIO(stored).read, len(stored)))


@pytest.mark.parametrize(("member_name", "name"), [(NAME, "b"), ("CT/1.2/r3-2.tar", "a")])
def test_a_sealed_file_is_read_under_its_own_name_alone(member_name, name):
    stored = b"".join(encryption.Sealed(KEY, NAME).protect("a", [b"bytes"], 5))
    with pytest.raises(volume.Damaged, match="changed"):
        other = encryption.Sealed(KEY, member_name)
        b"".join(other.reveal(name, io.BytesIO(stored).read, len(stored)))


def test_nothing_that_tells_of_the_patient_leaves_in_clear():
    raw = written({"1.2.3": b"Lefevre^Jean" * 100}, KEY).getvalue()
    assert b"Lefevre" not in raw and "Crâne".encode() not in raw
    assert b'"key_id": "2026"' in raw and b'"study_uid": "1.2"' in raw


def test_the_same_bytes_are_never_encrypted_alike():
    assert written(CONTENTS, KEY).getvalue() != written(CONTENTS, KEY).getvalue()


def test_a_member_tells_which_key_is_missing():
    with pytest.raises(encryption.KeyMissing, match="has no key '2026'"):
        volume.opened(written(CONTENTS, KEY), NAME, {"2027": KEY.secret})


def test_another_key_of_the_same_id_is_not_taken_for_damage():
    with pytest.raises(encryption.KeyMissing, match="another key"):
        volume.opened(written(CONTENTS, KEY), NAME, {"2026": bytes(32)})


def test_an_old_member_keeps_the_key_that_it_was_written_with():
    file = written(CONTENTS, KEY)
    keys = {"2027": bytes(32), **KEYS}
    assert volume.opened(file, NAME, keys).key_id == "2026"


def test_a_member_under_another_name_is_found():
    with pytest.raises(volume.Damaged, match=r"that of CT/1\.2/r3-1\.tar"):
        volume.opened(written(CONTENTS, KEY), "CT/1.2/r4-1.tar", KEYS)


def test_a_key_tells_nothing_of_itself():
    assert repr(KEY) == "Key(key_id='2026')"
    assert KEY.check not in KEY.secret.hex()


def test_the_manifest_comes_first_and_the_same_study_gives_the_same_bytes():
    assert next(iter(extents(written(CONTENTS)))) == "MANIFEST.json"
    assert written(CONTENTS).getvalue() == written(CONTENTS).getvalue()


@KINDS
@pytest.mark.parametrize("content", [b"y" * 3000, b"abc" * 999, b"abc" * 1001, b""])
def test_an_instance_that_changed_on_its_way_is_not_written(key, content):
    with pytest.raises(volume.Damaged):
        member(CONTENTS, key).write(io.BytesIO(), of({**CONTENTS, "1.2.3": content}))


@KINDS
@pytest.mark.parametrize("where", ["instance", "MANIFEST.json", "SHA256SUMS", "header"])
def test_one_flipped_bit_anywhere_is_found(key, where):
    file = written(CONTENTS, key)
    name = path("1.2.3", key) if where in {"instance", "header"} else where
    at = extents(file)[name].offset + (-500 if where == "header" else 3)
    file.getbuffer()[at] ^= 1
    with pytest.raises(volume.Damaged):
        prove(file, CONTENTS)


@KINDS
def test_the_digests_are_of_what_lies_in_the_tar(key):
    """So `sha256sum -c` proves a medium without the key."""
    file = written(CONTENTS, key)
    sums = tar_content(file, "SHA256SUMS").decode()
    for name, extent in extents(file).items():
        assert name == "SHA256SUMS" or f"{tar.digest(file, extent)}  {name}\n" in sums


def tar_content(file: io.BytesIO, name: str) -> bytes:
    return b"".join(tar.chunks(file, extents(file)[name]))


@KINDS
@pytest.mark.parametrize("kept_bytes", [0, 100, 700, 3000])
def test_a_member_that_was_cut_off_is_found(key, kept_bytes):
    file = written(CONTENTS, key)
    file.truncate(kept_bytes)
    with pytest.raises(volume.Damaged):
        prove(file, CONTENTS)


@KINDS
def test_a_member_that_lost_its_end_is_found(key):
    file = written(CONTENTS, key)
    last = list(extents(file).values())[-1]
    file.truncate(last.offset + last.size_bytes + 511)
    with pytest.raises(volume.Damaged):
        prove(file, CONTENTS)


def test_an_instance_that_is_not_in_the_member_is_named():
    file = written(CONTENTS)
    opened = volume.opened(file, NAME, {})
    foreign = volume.Placed("7.7", "0" * 64, tar.Extent(0, 5))
    with pytest.raises(volume.Damaged, match=r"7\.7 is not in the member"):
        opened.prove([*opened.placed(), foreign], lambda each: None)


@pytest.mark.parametrize("noise", [b"", b"\0" * 10240, b"no tar at all" * 100])
def test_what_is_no_member_is_said_to_be_damaged(noise):
    with pytest.raises(volume.Damaged):
        volume.read_manifest(io.BytesIO(noise))


@KINDS
def test_the_real_tar_lists_a_member_as_it_was_written(key, tmp_path):
    (tmp_path / "m.tar").write_bytes(written(CONTENTS, key).getvalue())
    listed = subprocess.run(
        ["tar", "-tf", tmp_path / "m.tar"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == list(extents(written(CONTENTS, key)))


def test_a_member_in_clear_holds_its_manifest_as_it_was_given():
    manifest = json.loads(tar_content(written(CONTENTS), "MANIFEST.json"))
    assert manifest["study"] == {"description": "Crâne"}


@KINDS
def test_a_file_of_the_quarantine_stands_beside_the_instance_of_its_uid(key):
    made, file = member(CONTENTS, key, held_back()), io.BytesIO()
    made.write(file, of(CONTENTS))
    assert len(file.getvalue()) == made.size_bytes
    opened = volume.opened(file, NAME, KEYS)
    assert opened.placed() == made.placed
    last = opened.placed()[-1]
    assert (last.sop_instance_uid, last.quarantined) == ("1.2.3", True)
    assert b"".join(opened.content(last)) == HELD_BACK
    digest = hashlib.sha256(HELD_BACK).hexdigest()
    assert f"quarantine/{digest}.dcm{'.sealed' if key else ''}" in extents(file)
    seen = []
    opened.prove(opened.placed(), seen.append)
    assert len(seen) == len(CONTENTS) + 1
    file.getbuffer()[last.extent.offset + 60] ^= 1
    with pytest.raises(volume.Damaged):
        volume.opened(file, NAME, KEYS).prove(made.placed, seen.append)


def test_the_longest_name_in_quarantine_takes_one_block():
    name = held_back().path + encryption.SUFFIX
    assert len(tar.header(name, 1, 0)) == 512
