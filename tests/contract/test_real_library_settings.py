"""How a real library is written in the settings; docs/tape-library.md is held to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archive_node import vault_setting
from archive_node.vault.library import options
from archive_node.vault_setting import BadSpec, VaultDefaults
from tests.support.tape_stand_ins.use import ONE, put


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"drives": ""}, "drives of vault-1 are its devices"),
        ({"drives": "/dev/nst0|/dev/nst0"}, "drives of vault-1"),
        ({"mode": "zip"}, "mode of vault-1"),
        ({"colour": "red"}, "no option of library is called 'colour'"),
        ({"mtx": "mtx '"}, "mtx of vault-1"),
        ({"mtx": " "}, "mtx of vault-1 is a command"),
        ({"stuck_s": "soon"}, "stuck_s of vault-1"),
        ({"block": "1"}, "block of vault-1"),
    ],
)
def test_nonsense_in_the_settings_is_refused(tar_rig, written, told):
    with pytest.raises(BadSpec, match=told):
        tar_rig.vault(**written)


DOCS = (Path(__file__).parents[2] / "docs" / "tape-library.md").read_text(encoding="utf-8")


def test_the_example_of_the_docs_is_understood(tmp_path):
    (written,) = re.findall(r"^PACS_VAULTS=onsite=(library:.*)$", DOCS, re.MULTILINE)
    found = options.read(
        vault_setting.read("onsite", written), VaultDefaults(2, 35 * 10**9, tmp_path)
    )
    assert (found.changer, found.mode, found.volume_bytes) == (
        "/dev/sch0",
        "tar",
        2_500_000_000_000,
    )
    assert found.drives == ("/dev/nst0", "/dev/nst1")
    words = found.words("write", device="/dev/nst1", target="/dev/nst1")
    assert words == ["dd", "of=/dev/nst1", "bs=262144", "iflag=fullblock"]


def test_the_docs_name_every_option_and_no_other():
    told = set(re.findall(r"^\| `([a-z_]+)` \|", DOCS, re.MULTILINE))
    assert told == options.NAMES


def test_a_vault_keeps_its_notes_when_it_is_renamed(tar_rig):
    vault = tar_rig.vault()
    put(vault, ONE, b"bytes")
    renamed = tar_rig.vault(new=False, name="onsite")
    assert (renamed.name, renamed.library_id) == ("onsite", vault.library_id)
    assert renamed.find(ONE) == "A00001"
