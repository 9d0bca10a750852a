"""A backup is whole or not there; a restore looks at everything before it touches anything."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pacs_common.backup import commands, making, manifest, restoring
from pacs_common.backup.contents import Back, Content
from pacs_common.backup.databases import Postgresql, Sqlite
from pacs_common.backup.making import Role
from pacs_common.backup.setting import Backups, read_backups
from pacs_common.env import Env, SettingError
from pacs_common.errors import BadInput, Conflict, Unavailable
from pacs_common.measures import kept_backups
from tests.support.postgres import cluster

pytestmark = pytest.mark.slow

KNOWN = ["app.0001_initial"]
ROWS = 200


def fill(path: Path, rows: int = ROWS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY, what TEXT)")
        db.executemany("INSERT INTO thing (what) VALUES (?)", [("x" * 500,)] * rows)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM thing").fetchone()[0]


@pytest.fixture
def role(tmp_path: Path) -> Role:
    data = tmp_path / "data"
    fill(data / "index.sqlite3")
    (data / "journal").mkdir()
    (data / "journal" / "2026-11.jsonl").write_text('{"kind": "held"}\n')
    (data / "secret-key").write_text("s3cret")
    (data / "secret-key").chmod(0o600)
    return Role(
        "node", "CT", data, Sqlite(data / "index.sqlite3"),
        before=[Content("note", data / "note")],
        after=[
            Content("journal", data / "journal", Back.GROWS, "*.jsonl"),
            Content("secret-key", data / "secret-key", Back.STAYS),
        ],
    )  # fmt: skip


def restore(role: Role, source: Path, *, replacing: bool = False) -> None:
    folder, found = restoring.checked(source, role, KNOWN)
    restoring.require_empty(role, folder, replace=replacing)
    restoring.restore(role, folder, found, lambda back: None)


def test_what_was_lost_is_back_as_it_was(role, tmp_path):
    made = making.make(role, tmp_path / "backups", KNOWN)
    modes = {path.stat().st_mode & 0o077 for path in [made, *made.rglob("*")] if path.is_file()}
    assert modes == {0} and made.stat().st_mode & 0o077 == 0  # it holds secrets
    for path in (role.database.path, role.data_dir / "secret-key"):
        path.unlink()
    (role.data_dir / "journal" / "2026-11.jsonl").unlink()
    restore(role, tmp_path / "backups")
    assert count(role.database.path) == ROWS
    assert (role.data_dir / "secret-key").read_text() == "s3cret"
    assert (role.data_dir / "secret-key").stat().st_mode & 0o777 == 0o600
    assert (role.data_dir / "journal" / "2026-11.jsonl").read_text() == '{"kind": "held"}\n'
    assert not (role.data_dir / restoring.MARK).exists()


def test_when_the_last_good_one_was_made_is_told(role, tmp_path):
    before = time.time()
    making.make(role, tmp_path / "backups", KNOWN)
    told = {family.name: family.samples[0].value for family in kept_backups.gauges(role.data_dir)}
    assert before - 1 < told["argens_backup_timestamp_seconds"] < time.time() + 1
    assert told["argens_backup_size_bytes"] > 1000


def test_a_database_that_is_written_meanwhile_is_a_snapshot(role, tmp_path):
    with closing(sqlite3.connect(role.database.path)) as writer:
        writer.execute("INSERT INTO thing (what) VALUES ('not committed')")
        made = making.make(role, tmp_path / "backups", KNOWN)
        writer.rollback()
    assert count(made / "database.sqlite3") == ROWS


def test_only_the_newest_are_kept_and_other_roles_are_let_alone(role, tmp_path):
    dest = tmp_path / "backups"
    other = making.make(replace(role, name="CR"), dest, KNOWN)
    made = [making.make(role, dest, KNOWN, keep=2) for _ in range(4)]
    assert list(manifest.whole_ones(dest, "node", "CT")) == made[-2:]
    assert other.exists() and not list(dest.glob(".gone-*"))


def test_only_what_is_a_backup_of_this_very_role_is_removed(role, tmp_path):
    dest = tmp_path / "backups"
    first = making.make(role, dest, KNOWN)
    time_of = first.name.removeprefix("argens-node-CT-")
    others = [
        making.make(replace(role, name="CT-2"), dest, KNOWN),  # begins like CT's
        dest / f"argens-node-CT-{time_of}-by-hand",
        dest / f".new-argens-node-CT-2-{time_of}",  # under way
        dest / "argens-node-CT-20200101T000000.000000Z",  # another's, by its manifest
        dest / "argens-node-CT-20200102T000000.000000Z",  # no manifest that can be read
        dest / "argens-node-CT-20200103T000000.000000Z",  # leads elsewhere
    ]
    for folder in others[1:3]:
        shutil.copytree(first, folder)
    shutil.copytree(others[0], others[3])
    others[4].mkdir()
    (others[4] / "manifest.json").write_text("{}")
    shutil.copytree(first, tmp_path / "elsewhere")
    others[5].symlink_to(tmp_path / "elsewhere")
    making.make(role, dest, KNOWN, keep=1)
    assert not first.exists()
    assert [folder for folder in others if not (folder / "manifest.json").is_file()] == []


@pytest.mark.parametrize("torn", ["digest", "pages"])
def test_the_older_ones_stay_where_the_new_one_cannot_be_read_again(
    role, tmp_path, monkeypatch, torn
):
    dest = tmp_path / "backups"
    older = [making.make(role, dest, KNOWN) for _ in range(2)]
    noted = kept_backups.last_at(role.data_dir)
    dump = Sqlite.dump

    def tearing(database: Sqlite, target: Path) -> None:
        dump(database, target)
        content = bytearray(target.read_bytes())
        content[4096:] = bytes(len(content) - 4096)
        target.write_bytes(content)

    def misread(folder: Path, found: manifest.Manifest) -> None:
        raise BadInput("its digest differs")

    if torn == "pages":
        monkeypatch.setattr(Sqlite, "dump", tearing)
    else:
        monkeypatch.setattr(manifest, "check", misread)
    with pytest.raises((BadInput, Unavailable), match=r"digest|database"):
        making.make(role, dest, KNOWN, keep=1)
    assert list(manifest.whole_ones(dest, "node", "CT")) == older
    assert kept_backups.last_at(role.data_dir) == noted


def told(role: Role, *argv: str) -> str:
    """Run the command as manage.py does, with settings that name a folder of their own."""
    parser = argparse.ArgumentParser()
    commands.add_backup(parser)
    settings = Backups(backup_dir=role.data_dir.parent / "nightly", backups_kept=2)
    return commands.backup(role, KNOWN, settings, vars(parser.parse_args(argv)))


def test_without_a_folder_the_settings_say_where_and_how_many(role, tmp_path):
    for _ in range(3):
        assert "it holds secrets" in told(role)
    assert len(list(manifest.whole_ones(tmp_path / "nightly", "node", "CT"))) == 2
    for _ in range(3):
        told(role, str(tmp_path / "by-hand"))
    assert len(list((tmp_path / "by-hand").glob("argens-*"))) == 3
    told(role, "--keep", "1")
    assert len(list((tmp_path / "nightly").glob("argens-*"))) == 1


@pytest.mark.parametrize("keep", ["0", "-1", "two", "", "1.5", "²"])
def test_a_number_to_keep_that_makes_no_sense_is_refused(role, tmp_path, capsys, keep):
    with pytest.raises(SystemExit):
        told(role, "--keep", keep)
    assert "argument --keep: N is 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "nightly").exists()


@pytest.mark.parametrize("kept", ["0", "-3", "all"])
def test_a_setting_that_makes_no_sense_is_refused(kept):
    with pytest.raises(SettingError, match="PACS_BACKUPS_KEPT"):
        read_backups(Env({"PACS_BACKUPS_KEPT": kept}), "node")


def test_a_role_whose_restore_was_broken_off_is_not_backed_up(role, tmp_path):
    (role.data_dir / restoring.MARK).write_text("argens-node-CT-then")
    with pytest.raises(Conflict, match="broken off"):
        told(role)
    assert not (tmp_path / "nightly").exists()


def test_a_database_that_is_not_empty_is_replaced_for_a_reason_alone_and_stays_beside(
    role, tmp_path
):
    making.make(role, tmp_path / "backups", KNOWN)
    fill(role.database.path, 1)
    with pytest.raises(Conflict, match="--replace"):
        restore(role, tmp_path / "backups")
    assert count(role.database.path) == ROWS + 1
    restore(role, tmp_path / "backups", replacing=True)
    assert count(role.database.path) == ROWS
    (aside,) = role.data_dir.glob("index.sqlite3.before-restore-*Z")
    assert count(aside) == ROWS + 1


@pytest.mark.parametrize(
    "spoiled", ["database.sqlite3", "files/secret-key", "files/journal/2026-11.jsonl"]
)
def test_a_flipped_byte_is_found_before_anything_is_touched(role, tmp_path, spoiled):
    made = making.make(role, tmp_path / "backups", KNOWN)
    content = bytearray((made / spoiled).read_bytes())
    content[-1] ^= 1
    (made / spoiled).write_bytes(content)
    role.database.path.unlink()
    with pytest.raises(BadInput, match="its digest differs"):
        restore(role, made)
    assert not role.database.path.exists()


def test_a_torn_one_is_none(role, tmp_path):
    made = making.make(role, tmp_path / "backups", KNOWN)
    (made / "manifest.json").unlink()
    with pytest.raises(BadInput, match="holds none of node CT"):
        restore(role, tmp_path / "backups")
    with pytest.raises(BadInput):
        restore(role, made)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": "archive"}, "backup of archive CT, not of node CT"),
        ({"name": "CR"}, "backup of node CR, not of node CT"),
        ({"engine": "postgresql"}, "PACS_DATABASE_URL names sqlite"),
        ({"migrations": ["app.0001_initial", "app.0099_later"]}, "newer version .*0099_later"),
        ({"format": "argens-backup-9"}, "not argens-backup-1"),
        ({"begun_at": "yesterday"}, "cannot be read"),
        ({"files": [{"path": "../../etc/passwd", "size_bytes": 1, "sha256": "", "mode": 0,
                     "part": "journal"}]}, "outside"),
        ({"files": 7}, "cannot be read"),
    ],
)  # fmt: skip
def test_one_that_does_not_fit_is_refused_with_the_reason(role, tmp_path, change, why):
    made = making.make(role, tmp_path / "backups", KNOWN)
    told = json.loads((made / "manifest.json").read_text()) | change
    (made / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match=why):
        restore(role, made)


def test_a_journal_that_grew_since_stays_and_another_one_is_not_overwritten(role, tmp_path):
    made = making.make(role, tmp_path / "backups", KNOWN)
    journal = role.data_dir / "journal" / "2026-11.jsonl"
    grown = journal.read_text() + '{"kind": "released"}\n'
    journal.write_text(grown)
    (role.data_dir / "secret-key").write_text("newer")
    restore(role, made, replacing=True)
    assert journal.read_text() == grown
    assert (role.data_dir / "secret-key").read_text() == "newer"
    journal.write_text('{"kind": "another"}\n')
    with pytest.raises(Conflict, match="another content"):
        restore(role, made, replacing=True)


def test_a_role_that_still_runs_is_not_restored():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(Conflict, match="stop the role first"):
            restoring.require_stopped("0.0.0.0", server.getsockname()[1])
        port = server.getsockname()[1]
    restoring.require_stopped("127.0.0.1", port)


def test_a_folder_that_cannot_be_written_and_a_database_that_is_away_say_so(role, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file"):
        making.make(role, tmp_path / "file", KNOWN)
    with pytest.raises(Unavailable, match="unable to open"):
        making.make(
            replace(role, database=Sqlite(tmp_path / "none.sqlite3")), tmp_path / "b", KNOWN
        )
    assert list(manifest.whole_ones(tmp_path / "b", "node", "CT")) == []
    making.make(role, tmp_path / "b", KNOWN)
    assert not list((tmp_path / "b").glob(".new-*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from pacs_common.backup import contents, databases, making, manifest, restoring
from pacs_common.backup.contents import Back, Content
from pacs_common.backup.databases import Sqlite
from pacs_common.backup.making import Role
data, what, at, source = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
step = [0]
def dies(function):
    def counted(*args, **options):
        step[0] += 1
        if step[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return counted
for module, name in ((manifest, "sync"), (databases, "sync"), (contents, "sync"), (os, "fsync"),
                     (Path, "rename"), (Path, "replace"), (Path, "unlink"), (os, "replace")):
    setattr(module, name, dies(getattr(module, name)))
role = Role("node", "CT", data, Sqlite(data / "index.sqlite3"), before=[], after=[
    Content("journal", data / "journal", Back.GROWS, "*.jsonl"),
    Content("secret-key", data / "secret-key", Back.STAYS)])
if what == "backup":
    making.make(role, source, ["app.0001_initial"])
else:
    folder, found = restoring.checked(source, role, ["app.0001_initial"])
    restoring.require_empty(role, folder, replace=at == 0)
    restoring.restore(role, folder, found, lambda back: None)
"""


def killed_at(step: int, what: str, role: Role, source: Path) -> bool:
    """Run it in a process that dies at its n-th effect on the disk; True where it did."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(role.data_dir), what, str(step), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.slow
def test_killed_at_any_moment_no_backup_is_taken_for_a_good_one(role, tmp_path):
    dest, step = tmp_path / "backups", 1
    while killed_at(step, "backup", role, dest):
        for folder in manifest.whole_ones(dest, "node", "CT"):
            manifest.check(folder, manifest.read(folder))
        step += 2
    assert step > 8
    made = making.make(role, dest, KNOWN)
    manifest.check(made, manifest.read(made))
    assert not list(dest.glob(".new-*"))


@pytest.mark.slow
def test_a_restore_that_was_killed_at_any_moment_is_run_again(role, tmp_path):
    made, step, was_killed = making.make(role, tmp_path / "backups", KNOWN), 1, True
    while was_killed:
        for path in [*role.data_dir.glob("index*"), *role.data_dir.glob("secret*")]:
            path.unlink()
        was_killed = killed_at(step, "restore", role, made)
        restore(role, made, replacing=not (role.data_dir / restoring.MARK).exists())
        assert count(role.database.path) == ROWS
        assert (role.data_dir / "secret-key").read_text() == "s3cret"
        assert not (role.data_dir / restoring.MARK).exists()
        step += 2
    assert step > 8


@pytest.mark.slow
def test_a_postgresql_database_goes_and_comes_whole(role, tmp_path):
    with cluster() as server:
        server.create("one")
        database = Postgresql("one", "127.0.0.1", str(server.port), "postgres", "")
        own = replace(role, database=database)
        assert database.is_empty()
        server.execute("CREATE TABLE thing AS SELECT generate_series(1, 200) AS id", "one")
        made = making.make(own, tmp_path / "backups", KNOWN)
        server.execute("INSERT INTO thing VALUES (201); CREATE TABLE later (id int)", "one")
        with pytest.raises(Conflict):
            restore(own, made)
        for _ in range(2):  # what was put back is like what was there
            restore(own, made, replacing=True)
            assert server.execute("SELECT count(*) FROM thing", "one") == "200"
            assert server.execute("SELECT to_regclass('later')", "one") == ""
            made = making.make(own, tmp_path / "backups", KNOWN)
        making.verify(own, made)
        (made / "database.dump").write_bytes((made / "database.dump").read_bytes()[:-400])
        with pytest.raises(Unavailable):
            database.verify(made / "database.dump")
        with pytest.raises(Unavailable):
            database.put_back(made / "database.dump", "")
        assert server.execute("SELECT count(*) FROM thing", "one") == "200"
    with pytest.raises(Unavailable, match="pg_dump"):
        making.make(own, tmp_path / "backups", KNOWN)
    assert os.environ.get("PGPASSWORD") is None
