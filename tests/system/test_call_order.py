"""The order of system calls behind one success: the proof for the power cut (custody rule 1).

SIGKILL keeps the page cache, so only the trace shows that each step waits for the one before:
write < fdatasync < final name < directory sync < commit < answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.node_under_fault import (
    assert_kept,
    scp_processes,
    serving,
    small_object,
)
from tests.support.raw_association import RawAssociation
from tests.support.traced import Call, calls, strace

TRACED = (
    "trace=write,writev,pwrite64,pwritev,fsync,fdatasync,link,linkat,rename,renameat,renameat2,"
    "sendto,sendmsg,recvfrom"
)
WRITES = {"write", "writev", "pwrite64", "pwritev"}
SYNCS = {"fsync", "fdatasync"}
NAMINGS = {"link", "linkat", "rename", "renameat", "renameat2"}
SENDS = {"sendto", "sendmsg", "write", "writev"}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    with postgres.cluster() as cluster:
        yield {"PACS_DATABASE_URL": cluster.create("argens")}


def only(found: list[Call], what: str) -> Call:
    assert len(found) == 1, f"{what}: {found}"
    return found[0]


def is_on(call: Call, name: str) -> bool:
    """True where the call's first argument is a descriptor of a file or socket of that name."""
    return name in call.text.split(">", 1)[0]


def commits(trace: list[Call], database: dict[str, str]) -> list[Call]:
    """Return the calls by which the row becomes visible to others."""
    if not database:
        return [c for c in trace if c.name in WRITES and is_on(c, "index.sqlite3-wal")]
    port = database["PACS_DATABASE_URL"].split(":")[-1].partition("/")[0]
    words = ("COMMIT", "CommandComplete")
    to_server = [c for c in trace if c.name in {"sendto", "recvfrom"} and f":{port}]" in c.text]
    return [c for c in to_server if any(word in c.text for word in words)]


@pytest.mark.slow
def test_each_step_to_success_waits_for_the_one_before(database, tmp_path):
    uid, data_set = small_object(1)
    log = tmp_path / "trace"
    with serving(tmp_path, **database) as node:
        with RawAssociation(node.dicom_port).associate() as association:
            assert association.echo() == 0
            with strace(scp_processes(node), log, "-e", TRACED):
                assert association.store(uid, data_set).status == 0
            association.release()
        assert_kept(node, {uid: data_set})
        peer = f"127.0.0.1:{node.dicom_port}->"
    trace = calls(log)
    (hour,) = {path.parent for path in (tmp_path / "node-ct/objects").rglob("*.dcm")}
    named = only([c for c in trace if c.name in NAMINGS and f'{uid}.dcm"' in c.text], "final name")
    part = Path(named.text.split('"')[1]).name
    written = [c for c in trace if c.name in WRITES and is_on(c, part)]
    synced = [c for c in trace if c.name in SYNCS and is_on(c, part)]
    folder = [c for c in trace if c.name in SYNCS and is_on(c, f"<{hour}")]
    committed = commits(trace, database)
    answered = [c for c in trace if c.name in SENDS and peer in c.text.split(",", 1)[0]]

    assert written and synced and folder and committed
    last_write = max(c.returned for c in written)
    last_sync = only([c for c in synced if c.began > last_write], "sync after the last write")
    assert last_sync.returned < named.began
    after_naming = [c for c in folder if c.began > named.returned]
    assert after_naming, "the folder was not synced after the file got its name"
    assert after_naming[0].returned < min(c.began for c in committed)
    assert max(c.returned for c in committed) < min(c.began for c in answered)
    for call in [last_sync, named, after_naming[0]]:
        assert call.text.rstrip().endswith("= 0"), call
