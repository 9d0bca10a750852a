"""The file of keys: read in both forms, refused where others may read it or it makes no sense."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from archive_node import config, key_file
from pacs_common.env import Env, SettingError

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


@pytest.fixture
def kept(tmp_path: Path):
    def keep(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "keys"
        path.write_text(text)
        path.chmod(mode)
        return path

    return keep


@pytest.mark.parametrize(
    "text",
    [json.dumps({"2026": TEXT}), f"2026 = {TEXT}\n", f"# the first\n\n2026={TEXT}  # of 2026\n"],
)
def test_both_forms_are_read(kept, text):
    assert key_file.read(kept(text)) == {"2026": KEY}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_may_read_is_refused(kept, mode):
    with pytest.raises(key_file.BadKeyFile, match="may be read by others"):
        key_file.read(kept(f"2026 = {TEXT}", mode))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"2026 = {TEXT[:-8]}", "not 32 bytes"),
        ("2026 = no base64 at all", "not 32 bytes"),
        ("2026", "not 32 bytes"),
        (f"a/b = {TEXT}", "the id of a key"),
        (f"a = {TEXT}\na = {TEXT}", "written twice"),
        ('{"a": "' + TEXT + '", "a": "' + TEXT + '"}', "written twice"),
        ("{not json", "begins like JSON"),
        ('{"a": 7}', "not 32 bytes"),
    ],
)
def test_nonsense_is_refused_and_no_key_is_told(kept, text, why):
    with pytest.raises(key_file.BadKeyFile, match=why) as refused:
        key_file.read(kept(text))
    assert TEXT[:12] not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(key_file.BadKeyFile, match="No such file"):
        key_file.read(tmp_path / "none")


def given(tmp_path: Path, **environ: str) -> config.ArchiveConfig:
    return config.read(Env({"PACS_DATA_DIR": str(tmp_path / "data"), **environ}))


def test_a_vault_that_names_a_key_which_is_not_given_is_refused_at_start(tmp_path, kept):
    vaults = {"PACS_VAULTS": "a=tape:/x?key=2027"}
    with pytest.raises(SettingError, match="has no key '2027', which a names"):
        given(tmp_path, **vaults, PACS_ARCHIVE_KEYS_FILE=str(kept(f"2026 = {TEXT}")))
    with pytest.raises(SettingError, match="has no key"):
        given(tmp_path, **vaults)


def test_the_keys_are_part_of_no_text_about_the_settings(tmp_path, kept):
    read = given(tmp_path, PACS_ARCHIVE_KEYS_FILE=str(kept(f"2026 = {TEXT}")))
    assert read.keys == {"2026": KEY}
    assert repr(KEY)[2:12] not in repr(read) and TEXT not in repr(read)
