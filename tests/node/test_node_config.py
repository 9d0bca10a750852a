"""The node's settings: the default is enough, and nonsense is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_node.config import Peer, read
from pacs_common.env import Env, SettingError


def config(tmp_path, **settings: str):
    return read(Env({"PACS_DATA_DIR": str(tmp_path), **settings}))


def test_an_empty_environment_is_enough(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read(Env({}))
    assert found.data_dir == Path("var/node").absolute()
    assert found.trust_dir.is_relative_to(Path("var").absolute())
    assert found.database_url == f"sqlite:///{found.data_dir}/index.sqlite3"
    assert (found.ae_title, found.dicom_bind, found.http_bind) == (
        "ARGENS",
        "127.0.0.1",
        "127.0.0.1",
    )
    assert found.accept_loopback is False
    assert (found.peers, found.destinations, found.portal_url) == ({}, {}, "")


def test_a_secret_is_made_once_and_kept_to_the_owner(tmp_path):
    first = config(tmp_path).secret_key
    assert len(first) >= 50
    assert config(tmp_path).secret_key == first
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "given").write_text("from a file\n")
    found = config(tmp_path, PACS_SECRET_KEY_FILE=str(tmp_path / "given"))
    assert found.secret_key == "from a file"


def test_move_destinations_and_peers_are_read(tmp_path):
    found = config(
        tmp_path,
        PACS_MOVE_DESTINATIONS="WS1=10.0.0.1:104, WS 2=ws2.local:11112",
        PACS_PEERS="CT1=10.0.0.7",
    )
    assert found.destinations["WS1"] == Peer("WS1", "10.0.0.1", 104)
    assert found.destinations["WS 2"] == Peer("WS 2", "ws2.local", 11112)
    assert found.peers == {"CT1": "10.0.0.7"}


def test_private_classes_are_read(tmp_path):
    longest = "1." + "2" * 62
    found = config(tmp_path, PACS_PRIVATE_CLASSES=f" 1.2.840.113619.4.26 ,{longest},")
    assert found.private_classes == ("1.2.840.113619.4.26", longest)
    assert config(tmp_path).private_classes == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PACS_AE_TITLE", ""),
        ("PACS_AE_TITLE", "SEVENTEEN_LETTERS"),
        ("PACS_AE_TITLE", "BACK\\SLASH"),
        ("PACS_AE_TITLE", "ÉTOILE"),
        ("PACS_NODE_NAME", ""),
        ("PACS_DICOM_PORT", "dicom"),
        ("PACS_DICOM_PORT", "65536"),
        ("PACS_HTTP_PORT", "-1"),
        ("PACS_ACCEPT_LOOPBACK", "perhaps"),
        ("PACS_MAX_ASSOCIATIONS", "0"),
        ("PACS_RESERVE_BYTES", "2GB"),
        ("PACS_IN_USE_S", "nan"),
        ("PACS_IN_USE_S", "-1"),
        ("PACS_PEERS", "CT1"),
        ("PACS_PEERS", "CT1=a,CT1=b"),
        ("PACS_PEERS", "SEVENTEEN_LETTERS=10.0.0.7"),
        ("PACS_MOVE_DESTINATIONS", "WS1=10.0.0.1"),
        ("PACS_MOVE_DESTINATIONS", "WS1=10.0.0.1:0"),
        ("PACS_MOVE_DESTINATIONS", "WS1=10.0.0.1:²"),
        ("PACS_MOVE_DESTINATIONS", "WS1=:104"),
        ("PACS_LOG_LEVEL", "LOUD"),
        ("PACS_DATABASE_URL", "nonsense"),
        ("PACS_DATABASE_URL", "oracle://x/y"),
        ("PACS_PORTAL_URL", "portal:8000"),
        ("PACS_PORTAL_URL", "http://"),
        ("PACS_PORTAL_URL", "http://["),
        ("PACS_SECRET_KEY_FILE", "/nowhere/at/all"),
        ("PACS_PRIVATE_CLASSES", "CT"),
        ("PACS_PRIVATE_CLASSES", "1.2.3.4;1.2.3.5"),
        ("PACS_PRIVATE_CLASSES", "1.2..3"),
        ("PACS_PRIVATE_CLASSES", "1.2.3.4,../../etc"),
        ("PACS_PRIVATE_CLASSES", "1." + "2" * 63),
        ("PACS_PRIVATE_CLASSES", "1.2.840.10008.1.1"),
        ("PACS_PRIVATE_CLASSES", "1.2.840.10008.1.2.4.70"),
        ("PACS_PRIVATE_CLASSES", "1.2.840.10008.5.1.4.38.1"),
        ("PACS_KEEP_NON_PATIENT", "palettes"),
    ],
)
def test_nonsense_is_refused_in_one_line_that_names_the_setting(tmp_path, name, value):
    with pytest.raises(SettingError) as refused:
        config(tmp_path, **{name: value})
    assert refused.value.message.startswith(f"setting {name}: ")
    assert len(refused.value.message.splitlines()) == 1


def test_a_data_folder_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in its place")
    with pytest.raises(SettingError, match=r"^[^\n]*file[^\n]*\Z"):
        config(tmp_path / "file")


def test_every_setting_says_what_it_does(tmp_path):
    env = Env({"PACS_DATA_DIR": str(tmp_path)})
    read(env)
    names = [declared.name for declared in env.declared]
    assert len(names) == len(set(names))
    assert all(name.startswith("PACS_") for name in names)
    assert all(declared.doc.endswith(".") for declared in env.declared)
