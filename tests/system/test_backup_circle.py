"""Each role is backed up at work, loses what it had, and is what it was: on both databases.

`make test` has the archive on SQLite and the others on PostgreSQL, `make soak` all on either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import roles
from tests.support.data_sets import STUDY, ct
from tests.support.postgres import Cluster, cluster
from tests.support.stow import as_file
from tests.system.observed import samples, send, until, value

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NAMES = ("node", "archive", "portal")


ON_POSTGRESQL = {"both": ("node", "portal"), "sqlite": (), "postgresql": NAMES}


@pytest.fixture(
    params=[
        "both",
        pytest.param("sqlite", marks=pytest.mark.soak),
        pytest.param("postgresql", marks=pytest.mark.soak),
    ]
)
def urls(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, str], Cluster]]:
    """The databases of the roles that have one on PostgreSQL, and the server."""
    with cluster() as server:
        yield {name: server.create(name) for name in ON_POSTGRESQL[request.param]}, server


def lose(role: roles.Role, server: Cluster, name: str) -> None:
    """Destroy a role's database and its own keys."""
    folder = Path(role.env["PACS_DATA_DIR"])
    for path in [*folder.glob("*.sqlite3*"), *folder.glob("*.pem"), *folder.glob("secret*")]:
        path.unlink()
    if "PACS_DATABASE_URL" in role.env:
        server.execute(f'DROP DATABASE "{name}"')
        server.create(name)


def at_once(three: Iterable[roles.Role], *argv: str) -> list[tuple[roles.Role, Any]]:
    """Run a command of each role, side by side."""
    with ThreadPoolExecutor() as pool:
        return list(zip(three, pool.map(lambda role: role.command(*argv), three), strict=True))


def studies(portal: roles.Role, token: str) -> list[str]:
    answer = httpx.get(
        f"{portal.url}/dicom-web/studies", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    return sorted(study["0020000D"]["Value"][0] for study in answer.json())


def write(folder: Path, *objects: object) -> Path:
    folder.mkdir()
    for number, ds in enumerate(objects):
        (folder / f"{number}.dcm").write_bytes(as_file(ds))
    return folder


def test_each_role_comes_back_from_its_backup(tmp_path: Path, urls):
    databases, server = urls
    named = {name: {"PACS_DATABASE_URL": url} for name, url in databases.items()}
    node = roles.node(tmp_path, PACS_PREPARE_AFTER_S="0", **named.get("node", {}))
    archive = roles.archive(tmp_path, {"CT": node}, **named.get("archive", {}))
    portal = roles.portal(
        tmp_path, {"CT": node}, archive.url, PACS_AUDIT_COLLECT_S="1", **named.get("portal", {})
    )
    three = dict(zip(NAMES, (node, archive, portal), strict=True))
    backups = tmp_path / "backups"
    with roles.running(node, archive, portal):
        send(node, write(tmp_path / "one", ct(1), ct(2)))
        until(lambda: value(archive, "argens_archive_copies", proof="verified") == 1)
        token = roles.accounts(tmp_path)["clinician"]["token"]
        assert studies(portal, token) == [STUDY]
        for role, done in at_once(three.values(), "backup", str(backups), "--keep", "3"):
            assert done.returncode == 0 and "holds secrets" in done.stdout, done.stderr
            assert ("argens_backup_timestamp_seconds", ()) in samples(role)
        running = node.command("restore", str(backups), "--replace", "a try")
        assert running.returncode == 1 and "stop the role first" in running.stderr
        send(node, write(tmp_path / "two", ct(1, study="1.2.99", series="1.2.99.1")))
        until(lambda: value(archive, "argens_archive_copies", proof="verified") == 2)
        assert studies(portal, token) == sorted([STUDY, "1.2.99"])
        assert portal.command("audit", "anchor").returncode == 0
    refused = node.command("restore", str(backups))
    assert refused.returncode == 1 and "--replace WHY" in refused.stderr
    for name, role in three.items():
        lose(role, server, name)
    for role, done in at_once(three.values(), "restore", str(backups)):
        assert done.returncode == 0, done.stderr
        if role is portal:
            assert "are as they were written" in done.stdout and "are lost" in done.stdout
    with roles.running(node, archive, portal):
        assert studies(portal, token) == sorted([STUDY, "1.2.99"])  # the token, its key, the index
        until(lambda: value(archive, "argens_archive_copies", proof="verified") == 2)
        verified = portal.command("audit", "verify")
        assert verified.returncode == 0, verified.stderr
        shown = portal.command("shell", "-c", RESTORED)
        assert "True" in shown.stdout, shown.stderr
    left = list((tmp_path / "portal").glob("audit-anchors.before-restore-*.jsonl"))
    assert len(left) == 1


RESTORED = """
from pacs_web.audit.models import AuditEvent
print({"portal", "archive"} <= set(
    AuditEvent.objects.filter(action="backup-restored").values_list("source", flat=True)))
"""
