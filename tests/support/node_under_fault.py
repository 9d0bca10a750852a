"""A node whose DICOM port alone runs, and what a fault test looks at: rows, files, processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2

from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.process_tree import command_line, named, tree
from tests.support.raw_association import Answer, RawAssociation

WAIT_S = 30.0
SCP_PROCESSES = 2  # the default
SOAK = bool(os.environ.get("PACS_TEST_SOAK"))
STUDY = "1.2.826.0.1.3680043.10.1361.77"


def scp_node(folder: Path, **settings: str) -> roles.Role:
    """Return a node that serves its DICOM port alone, its index made, not started."""
    node = roles.node(folder, command="scp", **settings)
    migrated = node.command("migrate")
    assert migrated.returncode == 0, migrated.stderr
    return node


@contextlib.contextmanager
def serving(folder: Path, **settings: str) -> Iterator[roles.Role]:
    """A node's DICOM port until the block ends; leaves no process behind."""
    node = scp_node(folder, **settings).start()
    try:
        wait_serving(node)
        yield node
    finally:
        node.stop()


def wait_listening(node: roles.Role) -> None:
    """Wait until the DICOM port takes connections; fail with the log where it does not."""

    def listens() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((node.host, node.dicom_port), timeout=1).close()
            return True
        assert node.process is not None and node.process.poll() is None, node.log[-3000:]
        return False

    wait_until(listens, lambda: node.log[-3000:])


def wait_serving(node: roles.Role) -> None:
    """Wait until every SCP process is there; the port listens before they are forked."""
    wait_listening(node)
    expected = 1 + int(node.env.get("PACS_SCP_PROCESSES", SCP_PROCESSES))
    wait_until(lambda: len(scp_processes(node)) == expected, lambda: node.log[-3000:])


def wait_until(
    holds: Callable[[], bool], why: Callable[[], str] = lambda: "", wait_s: float = WAIT_S
) -> None:
    """Wait until something holds; fail with `why` where it never does."""
    deadline = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def scp_processes(node: roles.Role) -> list[int]:
    """Return the processes that may serve associations: the port's own and what it forked."""
    assert node.process is not None
    return named(node.process.pid, "node scp")


def small_object(number: int, study: str = STUDY, **attributes: object) -> tuple[str, bytes]:
    """Return a small CT slice of a study as (SOP Instance UID, encoded data set)."""
    ds = ct(number, study=study, series=f"{study}.1", **attributes)
    return str(ds.SOPInstanceUID), encoded(ds)


def store(node: roles.Role, uid: str, data_set: bytes) -> Answer:
    """Send one object by an association of its own and return the answer."""
    with RawAssociation(node.dicom_port).associate() as association:
        answer = association.store(uid, data_set)
        association.release()
    return answer


def objects(node: roles.Role) -> dict[str, Path]:
    """Return each stored file by its UID."""
    found = (Path(node.env["PACS_DATA_DIR"]) / "objects").rglob("*.dcm")
    return {path.name.removesuffix(".dcm"): path for path in found}


def left_overs(node: roles.Role) -> list[Path]:
    """Return what is being written, or was left half-written."""
    return list(Path(node.env["PACS_DATA_DIR"]).rglob("*.part"))


def query(node: roles.Role, statement: str) -> list[tuple]:
    """Return the rows of a statement, read from the node's own database."""
    url = node.env.get("PACS_DATABASE_URL", "")
    if url:
        database = psycopg2.connect(url)
    else:
        database = sqlite3.connect(Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3")
    with contextlib.closing(database):
        cursor = database.cursor()
        cursor.execute(statement)
        return cursor.fetchall()


def indexed(node: roles.Role) -> dict[str, str]:
    """Return each indexed instance's received digest by its UID."""
    return dict(query(node, "SELECT uid, received_sha256 FROM dicom_node_instance"))


def quarantined(node: roles.Role) -> set[tuple[str, str]]:
    """Return (UID, received digest) of each quarantined object."""
    return set(query(node, "SELECT uid, received_sha256 FROM dicom_node_quarantined"))


def data_set_digest(path: Path) -> str:
    """Return the digest of a file's data set, found by the length of its group 0002."""
    with path.open("rb") as file:
        head = file.read(144)
        file.seek(144 + int.from_bytes(head[140:144], "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()


def assert_kept(node: roles.Role, sent: dict[str, bytes]) -> None:
    """Each object that was answered with success is in the index and whole on the disk."""
    rows, files = indexed(node), objects(node)
    for uid, data_set in sent.items():
        digest = hashlib.sha256(data_set).hexdigest()
        assert rows.get(uid) == digest, f"{uid} was answered and is not in the index"
        assert data_set_digest(files[uid]) == digest


def kill(*pids: int) -> None:
    """Kill processes that this test's node started, and wait until they are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(command_line, pids)))


def kill_node(node: roles.Role) -> None:
    """Kill all of a node's processes at once, as a power cut does."""
    assert node.process is not None
    kill(*tree(node.process.pid))
    node.process.wait()
