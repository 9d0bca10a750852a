"""An upgrade that fails goes back: code, database, and the role works as before.

The machine is this one's Debian, overlaid; a stand-in for systemctl starts the node by hand.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from tests.support import overlaid, postgres
from tests.support.overlaid import Overlaid
from tests.support.ports import free_port
from tests.support.releases import release
from tests.support.roles import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
LAST = max(path.stem for path in (ROOT / "dicom_node/migrations").glob("0*.py"))
MIGRATION = """
from django.db import migrations

{code}

class Migration(migrations.Migration):
    dependencies = [("dicom_node", "{before}")]
    operations = [{operation}]
"""
MORE = MIGRATION.format(
    before=LAST,
    code="",
    operation='migrations.RunSQL("CREATE TABLE more (id integer)")',
)
FAILS = MIGRATION.format(
    before="9998_more",
    code="def fail(apps, editor):\n    raise RuntimeError('this data does not fit')\n",
    operation="migrations.RunPython(fail)",
)
QUICK = "\nREADY_S=8\n"  # seconds, until what does not get ready has failed
MORE_ONLY = {"dicom_node/migrations/9998_more.py": MORE}


@dataclass
class Node:
    """A machine with a node on it, and the way to the node's database."""

    machine: Overlaid
    url: str
    http_port: int

    def tables(self) -> set[str]:
        """What the database has."""
        if self.url:
            with closing(psycopg2.connect(self.url)) as database, database.cursor() as cursor:
                cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                return {name for (name,) in cursor.fetchall()}
        script = "import sqlite3; print(*(row[0] for row in sqlite3.connect("
        script += (
            "'/var/lib/argens/node/index.sqlite3').execute('SELECT name FROM sqlite_master')))"
        )
        return set(self.machine.run("python3", "-c", script).stdout.split())

    def migrations(self) -> str:
        """Which migrations the database and the release in use say there are."""
        return self.machine.run("argens", "node", "showmigrations").stdout

    def upgrade(self, source: Path) -> tuple[int, str, str]:
        """Run the upgrade of a release: exit status, output, errors."""
        done = self.machine.run("bash", f"{source}/deploy/install.sh", "node", "--upgrade")
        return done.returncode, done.stdout, done.stderr


# How code and database go back is the same for both; what is the database's own is tested with its
# backups: so the second is for soak.
@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """A node that was installed, took a peer, and runs."""
    if request.param == "sqlite":
        yield from installed(tmp_path, "", "--sqlite")
        return
    with postgres.cluster() as server:
        url = server.create("node")
        (tmp_path / "url").write_text(url)
        yield from installed(tmp_path, url, "--database-url-file", str(tmp_path / "url"))


def installed(tmp_path: Path, url: str, *database: str) -> Iterator[Node]:
    place = tmp_path / "machine"
    place.mkdir()
    tmp_path.chmod(0o755)
    with overlaid.machine(place) as machine:
        lock = (ROOT / "requirements.txt").read_bytes()
        overlaid.give_libraries(machine, hashlib.sha256(lock).hexdigest())
        first = release(tmp_path / "first")
        ports = free_port(), free_port()
        asked = ["node", "--name", "CT", "--issuer", "HOSPITAL", "--host", "ct.example"]
        asked += ["--dicom-port", str(ports[0]), "--http-port", str(ports[1]), "--no-nginx"]
        done = machine.run("bash", f"{first}/deploy/install.sh", *asked, *database)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the node is ready" in done.stdout
        yield Node(machine, url, ports[1])


def current(node: Node) -> str:
    return (node.machine.root / "opt/argens/current").readlink().name


def test_a_migration_that_fails_leaves_the_node_as_it_was(node: Node, tmp_path: Path):
    old, tables, migrations = current(node), node.tables(), node.migrations()
    files = {**MORE_ONLY, "dicom_node/migrations/9999_fails.py": FAILS}
    status, said, errors = node.upgrade(release(tmp_path / "newer", files))
    assert status == 1 and "this data does not fit" in errors, said + errors
    (told,) = [line for line in errors.splitlines() if "is in use again" in line]
    assert "failed at: The database of the node" in told
    assert f"release {old} is in use again, so are the databases of before" in told
    (backup,) = re.findall(r"backups: (\S+)\)", told)
    assert (node.machine.root / backup.lstrip("/") / "manifest.json").is_file()
    assert "the node is ready" in said.rpartition("Starting")[2]
    assert current(node) == old
    assert "more" not in node.tables() and node.tables() == tables
    assert node.migrations() == migrations
    audit = (node.machine.root / "var/lib/argens/node").rglob("audit/*.jsonl")
    assert any("the upgrade to" in file.read_text() for file in audit)


def test_a_node_that_does_not_get_ready_goes_back_with_its_database(node: Node, tmp_path: Path):
    old, tables = current(node), node.tables()
    files = {**MORE_ONLY, "deploy/install/services.sh": QUICK}
    broken = {**files, "dicom_node/wsgi.py": "\nraise RuntimeError('broken')\n"}
    status, said, errors = node.upgrade(release(tmp_path / "broken", broken))
    assert status == 1 and "failed at: Starting" in errors, said + errors
    assert f"release {old} is in use again, so are the databases of before" in errors
    assert "the node is ready" in said.rpartition("Starting")[2]
    assert current(node) == old and node.tables() == tables

    status, said, errors = node.upgrade(release(tmp_path / "newer", files))
    assert status == 0 and "the node is ready" in said, said + errors
    assert current(node) != old and "more" in node.tables()


def test_an_upgrade_without_a_backup_is_none(node: Node, tmp_path: Path):
    old, tables = current(node), node.tables()
    folder = node.machine.root / "var/backups/argens/node"
    folder.rmdir()
    folder.write_text("no folder")
    status, said, errors = node.upgrade(release(tmp_path / "newer", MORE_ONLY))
    assert status == 1 and "failed at: A backup of the node" in errors, said + errors
    assert f"release {old} is in use again, the databases were not touched" in errors
    assert "the node is ready" in said
    assert current(node) == old and node.tables() == tables


def test_a_database_that_cannot_be_put_back_is_told_and_not_started(node: Node, tmp_path: Path):
    files = {
        **MORE_ONLY,
        "dicom_node/migrations/9999_fails.py": FAILS,
        "deploy/install/database.sh": "\nput_back() { echo 'disk full' >&2; return 1; }\n",
    }
    status, _, errors = node.upgrade(release(tmp_path / "newer", files))
    assert status == 1 and "disk full" in errors
    assert "could not be put back, so it stays stopped" in errors
    (command,) = re.findall(r"then: (argens node restore \S+ --replace '[^']+');", errors)
    assert not (node.machine.root / "run/node.pid").exists()
    mended = node.machine.run("bash", "-c", command)
    assert mended.returncode == 0, mended.stderr
    assert "more" not in node.tables()
