"""A member's format: round trip, exact size, and recovery with tar and sha256sum alone."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_node.vault import volume
from archive_node.vault.tape import TapeLibrary


def member(contents: dict[str, bytes]) -> volume.Member:
    items = [
        volume.Item(uid, hashlib.sha256(content).hexdigest(), len(content), 1_700_000_000)
        for uid, content in contents.items()
    ]
    entries = [
        {"sop_instance_uid": item.sop_instance_uid, "stored_sha256": item.stored_sha256}
        for item in items
    ]
    manifest = {"format": volume.FORMAT, "study": {"description": "Crâne"}, "instances": entries}
    return volume.Member(manifest, items)


def written(contents: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    member(contents).write(file, lambda item: io.BytesIO(contents[item.sop_instance_uid]))
    return file


def placed(contents: dict[str, bytes], file: io.BytesIO) -> list[volume.Placed]:
    found = volume.extents(file)
    return [
        volume.Placed(uid, hashlib.sha256(content).hexdigest(), found[volume.instance_path(uid)])
        for uid, content in contents.items()
    ]


CONTENTS = {"1.2.3": b"abc" * 1000, "1.2.4": b"", "9" * 64: b"x" * 512}


@given(
    st.dictionaries(
        st.from_regex(r"[1-9](\.[0-9]{1,3}){1,15}", fullmatch=True),
        st.binary(max_size=3000),
        max_size=5,
    )
)
def test_every_member_reads_back_and_has_the_size_that_was_announced(contents):
    file = written(contents)
    assert len(file.getvalue()) == member(contents).size_bytes
    seen = []
    volume.prove(file, placed(contents, file), seen.append)
    assert {each.sop_instance_uid for each in seen} == set(contents)


def test_the_manifest_comes_first_and_the_same_study_gives_the_same_bytes():
    assert next(iter(volume.extents(written(CONTENTS)))) == "MANIFEST.json"
    assert written(CONTENTS).getvalue() == written(CONTENTS).getvalue()


def test_an_instance_that_changed_on_its_way_is_not_written():
    with pytest.raises(volume.Damaged, match="changed between"):
        member(CONTENTS).write(io.BytesIO(), lambda item: io.BytesIO(b"y" * item.size_bytes))


@pytest.mark.parametrize("where", ["instances/1.2.3.dcm", "MANIFEST.json", "SHA256SUMS", "header"])
def test_one_flipped_bit_anywhere_is_found(where):
    file = written(CONTENTS)
    expected = placed(CONTENTS, file)
    at = 512 * 20 if where == "header" else volume.extents(file)[where].offset + 3
    if where == "header":
        at = volume.extents(file)["instances/1.2.3.dcm"].offset - 512
    file.getbuffer()[at] ^= 1
    with pytest.raises(volume.Damaged):
        volume.prove(file, expected, lambda each: None)


@pytest.mark.parametrize("kept_bytes", [0, 100, 700, 3000])
def test_a_member_that_was_cut_off_is_found(kept_bytes):
    file = written(CONTENTS)
    expected = placed(CONTENTS, file)
    file.truncate(kept_bytes)
    with pytest.raises(volume.Damaged):
        volume.prove(file, expected, lambda each: None)


@pytest.mark.parametrize("noise", [b"", b"\0" * 10240, b"no tar at all" * 100])
def test_what_is_no_member_is_said_to_be_damaged(noise):
    with pytest.raises(volume.Damaged):
        volume.read_manifest(io.BytesIO(noise))


def test_a_study_is_recovered_with_tar_and_sha256sum_alone(tmp_path: Path):
    for program in ("tar", "sha256sum"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    library = TapeLibrary.create(tmp_path / "vault", name="vault-1", drives=1, volume_bytes=100_000)
    made = member(CONTENTS)
    library.append(
        "CT/1.2/r3-1.tar",
        made.size_bytes,
        lambda file: made.write(file, lambda item: io.BytesIO(CONTENTS[item.sop_instance_uid])),
    )
    out = tmp_path / "recovered"
    out.mkdir()
    tar = tmp_path / "vault" / "A00001" / "CT" / "1.2" / "r3-1.tar"
    subprocess.run(["tar", "-xf", tar, "-C", out], check=True)
    proof = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=True
    )
    assert proof.stdout.count(": OK") == 1 + len(CONTENTS)
    for uid, content in CONTENTS.items():
        assert (out / "instances" / f"{uid}.dcm").read_bytes() == content
    assert json.loads((out / "MANIFEST.json").read_text())["format"] == volume.FORMAT
