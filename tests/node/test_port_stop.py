"""A port that is stopped ends whatever its peers are doing, or are not doing, at that moment."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from dicom_node.config import CONFIG
from dicom_node.config.access import Tls
from dicom_node.dimse.association.tls import ServerTls
from dicom_node.dimse.server import port
from dicom_node.dimse.server.port import DicomServer, Listener, listen
from tests.support.certificates import Authority
from tests.support.raw_association import RawAssociation

pytestmark = pytest.mark.slow  # real peers, real waiting


@pytest.fixture
def tls(tmp_path) -> ServerTls:
    paper = Authority(tmp_path).issue("node")
    return ServerTls(Tls(1, "", paper.certificate, paper.key, None, "none", "bcp195"))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stops(server: DicomServer) -> bool:
    """Whether the server stops though nobody at the other end does anything."""
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    stopping.join(10)
    return not stopping.is_alive()


def test_a_handshake_that_hangs_holds_up_no_stop(layout, transactional_db, tls, monkeypatch):
    monkeypatch.setattr(port, "HANDSHAKE_S", 60.0)
    listener = Listener(listen("127.0.0.1", 0), tls)
    server = DicomServer(layout, [listener], reserve_bytes=CONFIG.reserve_bytes)
    with socket.create_connection(("127.0.0.1", server.port)):
        until(lambda: server._threads)
        assert stops(server)


def test_an_association_holds_up_no_stop(layout, transactional_db):
    listener = Listener(listen("127.0.0.1", 0))
    server = DicomServer(layout, [listener], reserve_bytes=CONFIG.reserve_bytes)
    with RawAssociation(server.port).associate():
        assert stops(server)


def test_a_connection_that_is_taken_while_the_port_stops_holds_up_no_stop(
    layout, transactional_db, monkeypatch
):
    server = DicomServer(
        layout, [Listener(listen("127.0.0.1", 0))], reserve_bytes=CONFIG.reserve_bytes
    )

    def late(self, *args):
        server._stopping.wait(10)
        until(lambda: not server._acceptor.is_alive())
        time.sleep(0.1)
        associate(self, *args)

    associate = DicomServer._associate
    monkeypatch.setattr(DicomServer, "_associate", late)
    with socket.create_connection(("127.0.0.1", server.port)):
        until(lambda: server._threads)
        assert stops(server)
