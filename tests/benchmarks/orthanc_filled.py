"""Orthanc with what a node's index holds, as small objects without pixels."""

from __future__ import annotations

import http.client
import io
import threading
import time
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info

from tests.benchmarks import asking, peers
from tests.benchmarks.peers import Absent, Peer
from tests.support import postgres
from tests.support.data_sets import EXPLICIT


def start(
    name: str, folder: Path, index: Path, size: int, cluster: postgres.Cluster | None
) -> Peer:
    """Start Orthanc and give it what the node's SQLite index holds; raises Absent."""
    folder.mkdir()
    settings = {"SyncStorageArea": False, "DicomAlwaysAllowFind": True}
    try:
        if name == "orthanc-postgresql":
            if cluster is None:
                raise Absent("PostgreSQL is not installed")
            url = cluster.create(f"orthanc{size}")
            peer = peers.orthanc_on_postgresql(folder, url, **settings)
        elif peers.DICOMWEB_PLUGIN.is_file():
            peer = peers.orthanc_on_the_web(folder, **settings)
        else:
            peer = peers.orthanc(folder, **settings)
    except Absent as absent:
        print(f"not measured: {name} ({absent})", flush=True)
        raise
    try:
        start = time.monotonic()
        load(peer, index)
    except BaseException:
        peer.stop()
        raise
    print(f"{name:<18} took {size:,} in {time.monotonic() - start:.0f} s", flush=True)
    return peer


def load(peer: Peer, index: Path, senders: int = 4) -> None:
    """Give Orthanc the content of an index over its REST interface."""
    source, lock = asking.objects(index), threading.Lock()
    failures: list[str] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", peer.http_port, timeout=120)
        while not failures:
            with lock:
                encoded = next(source, None)
            if encoded is None:
                return
            connection.request("POST", "/instances", _PREAMBLE + encoded)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failures.append(f"Orthanc answered {answer.status}")

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def _preamble() -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2"
    meta.TransferSyntaxUID, meta.ImplementationClassUID = EXPLICIT, "1.2"
    file = io.BytesIO()
    write_file_meta_info(file, meta)
    return b"\0" * 128 + b"DICM" + file.getvalue()


_PREAMBLE = _preamble()
