"""The programs that a benchmark measures side by side, each a process tree on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from tests.support import roles
from tests.support.ports import free_port
from tests.support.process_tree import processor_s, wait_quiet

START_TIMEOUT_S = 60.0
REST_S, REST_TIMEOUT_S = 2.0, 600.0
AT_ONCE = {"PACS_PREPARE_AFTER_S": "1"}  # renditions are made when images come, and then it rests
AE_TITLE = "ARGENS_CT"  # that all are called by
MAX_PDU_BYTES = 131072  # the most that DCMTK's programs take
INSTANCES = "SELECT count(*) FROM dicom_node_instance"
UNREAD = f"{INSTANCES} WHERE stored_sha256 = ''"
UNPREPARED = "SELECT count(*) FROM dicom_node_study WHERE prepared_revision < revision"
PLUGINS = Path("/usr/share/orthanc/plugins")
DICOMWEB_PLUGIN = PLUGINS / "libOrthancDicomWeb.so"
POSTGRESQL_PLUGIN = PLUGINS / "libOrthancPostgreSQLIndex.so"
DCMTK = {"TCP_NODELAY": "1"}  # what its programs ask of their sockets, Orthanc's included


class Absent(Exception):
    """The program is not installed here."""


@dataclass
class Peer:
    """A running receiver: where it listens, its first process, and how many objects it holds."""

    port: int
    http_port: int
    pid: int
    held: Callable[[], int]
    stop: Callable[[], None]
    details: dict[str, Any] = field(default_factory=dict)
    waiting: Callable[[], int] = lambda: 0
    """How much it has still to do with what came: digests, renditions."""

    def rest(self) -> None:
        """Wait until it does nothing by itself any more; raises RuntimeError."""
        deadline = time.monotonic() + REST_TIMEOUT_S
        while time.monotonic() < deadline:
            wait_quiet(self.pid)
            before = processor_s(self.pid)
            time.sleep(REST_S)
            if not self.waiting() and processor_s(self.pid) - before <= 0.1 * REST_S:
                return
        raise RuntimeError("a server does not come to rest")


def argens(folder: Path, database_url: str = "", **settings: str) -> Peer:
    """Start a whole node (run: DICOM, HTTP, chores) with its defaults."""
    own = {"PACS_DATABASE_URL": database_url} if database_url else {}
    node = roles.node(folder, "CT", **own, **settings)
    for name in ("PACS_RESERVE_BYTES", "PACS_IN_USE_S"):  # a test's, not the default
        node.env.pop(name, None)
    try:
        node.start().wait_ready()
        assert node.process is not None
        _wait_listening(node.dicom_port, node.process, folder / f"{node.name}.log")
    except BaseException:
        node.stop()
        raise

    index = Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3"
    return Peer(
        node.dicom_port,
        node.http_port,
        node.process.pid,
        lambda: _number(database_url, index, INSTANCES),
        node.stop,
        {"node": node},
        lambda: sum(_number(database_url, index, count) for count in (UNREAD, UNPREPARED)),
    )


def orthanc(folder: Path, **settings: Any) -> Peer:
    """Start Orthanc as it comes (SQLite, storage synced), its associations closed at once."""
    argv, port, http_port = orthanc_configured(folder, **settings)
    log = folder / "orthanc.log"
    process = start(argv, log)
    _wait_listening(port, process, log)

    def held() -> int:
        statistics = httpx.get(f"http://127.0.0.1:{http_port}/statistics", timeout=30)
        return int(statistics.json()["CountInstances"])

    return Peer(port, http_port, process.pid, held, lambda: stop(process))


def orthanc_configured(folder: Path, **settings: Any) -> tuple[list[str], int, int]:
    """Return how Orthanc is started, its DICOM port and its HTTP port; raises Absent."""
    executable = program("Orthanc", "/usr/sbin/Orthanc")
    port, http_port = free_port(), roles.free_port()
    configuration = {
        "Name": "ORTHANC",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAssociationCloseDelay": 0,
        "Plugins": [],
        **settings,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    return [executable, str(path)], port, http_port


def orthanc_on_the_web(folder: Path, **settings: Any) -> Peer:
    """Start Orthanc with its DICOMweb plug-in; raises Absent."""
    if not DICOMWEB_PLUGIN.is_file():
        raise Absent("Orthanc's DICOMweb plug-in is not installed")
    web = {"Enable": True, "Root": "/dicom-web/", "EnableWado": False}
    return orthanc(folder, Plugins=[str(DICOMWEB_PLUGIN)], DicomWeb=web, **settings)


def orthanc_on_postgresql(folder: Path, database_url: str, **settings: Any) -> Peer:
    """Start Orthanc with its index in a PostgreSQL database, its files on the disk; raises Absent.

    The DICOMweb plug-in is there too, where it is installed.
    """
    if not POSTGRESQL_PLUGIN.is_file():
        raise Absent("Orthanc's PostgreSQL plug-in is not installed")
    plugins = [str(path) for path in (POSTGRESQL_PLUGIN, DICOMWEB_PLUGIN) if path.is_file()]
    index = {
        "EnableIndex": True,
        "EnableStorage": False,
        "ConnectionUri": database_url.replace("postgres://", "postgresql://", 1),
        "Lock": False,
    }
    web = {"Enable": True, "Root": "/dicom-web/", "EnableWado": False}
    return orthanc(folder, Plugins=plugins, PostgreSQL=index, DicomWeb=web, **settings)


def storescp(folder: Path) -> Peer:
    """Start DCMTK's receiver, a process for each association: files, no index, no sync."""
    executable = program("storescp")
    kept = folder / "received"
    kept.mkdir()
    port = free_port()
    argv = [executable, "--fork", "-aet", "STORESCP", "+B", "-od", str(kept), str(port)]
    log = folder / "storescp.log"
    process = start(argv, log)
    _wait_listening(port, process, log)
    return Peer(port, 0, process.pid, lambda: len(os.listdir(kept)), lambda: stop(process))


def dcmqrscp(folder: Path, destinations: Mapping[str, int] | None = None) -> Peer:
    """Start DCMTK's archive, a process for each association: files and a flat index, no sync.

    `destinations` are AE titles of loopback with their ports.
    """
    executable = program("dcmqrscp")
    kept = folder / "received"
    kept.mkdir()
    port = free_port()
    hosts = "".join(f"{ae} = ({ae}, 127.0.0.1, {at})\n" for ae, at in (destinations or {}).items())
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = {MAX_PDU_BYTES}\nMaxAssociations = 64\n"
        f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{AE_TITLE} {kept} RW (100, 1000mb) ANY\nAETable END\n"
    )
    log = folder / "dcmqrscp.log"
    process = start([executable, "-c", str(configuration), "+B"], log)
    _wait_listening(port, process, log)

    def held() -> int:
        return len([name for name in os.listdir(kept) if name != "index.dat"])

    return Peer(port, 0, process.pid, held, lambda: stop(process))


def sender() -> str:
    """Return the path of storescu; raises Absent."""
    return program("storescu")


def program(name: str, elsewhere: str = "") -> str:
    """Return the path of a program; raises Absent."""
    found = shutil.which(name) or (elsewhere if Path(elsewhere).is_file() else None)
    if not found:
        raise Absent(f"{name} is not installed")
    return found


def start(argv: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own; what it says is added to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            env={**os.environ, **DCMTK},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it forked (it leads a group of its own)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            said = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args} ended with {process.returncode}: {said}")
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}")


def _number(database_url: str, index: Path, statement: str) -> int:
    """Return a count of the node's database."""
    if database_url:
        with contextlib.closing(psycopg2.connect(database_url)) as database:
            with database.cursor() as cursor:
                cursor.execute(statement)
                return int(cursor.fetchone()[0])
    with contextlib.closing(sqlite3.connect(index)) as database:
        return int(database.execute(statement).fetchone()[0])
