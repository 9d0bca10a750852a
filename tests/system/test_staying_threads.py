"""Gunicorn's threads stay with a busy connection, and with none that others have to wait for."""

from __future__ import annotations

import http.client
import subprocess
import sys
from itertools import pairwise

import pytest

from tests.support.ports import free_port
from tests.support.roles import ROOT, wait_for_port

APPLICATION = """
import threading, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(threading.get_ident()).encode()]
"""


@pytest.fixture
def server(tmp_path):
    """A server of one process and two threads, which tells who answered; returns its port."""
    (tmp_path / "told.py").write_text(APPLICATION)
    port = free_port()
    options = ["--worker-class", "dicom_node.worker.StayingThreads", "--threads", "2"]
    options += ["--bind", f"127.0.0.1:{port}", "--keep-alive", "20", "--no-control-socket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "told:application", *options],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdin=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def answered_by(connection) -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


def test_a_busy_connection_keeps_its_thread(server):
    both = connect(server), connect(server)
    for connection in both:
        connection.request("GET", "/slow")
    assert len({connection.getresponse().read() for connection in both}) == 2
    threads = [answered_by(both[0]) for _ in range(50)]
    changes = sum(one != other for one, other in pairwise(threads))
    assert changes < 10  # each time where a connection goes back and forth
    for connection in both:
        connection.close()


def test_more_connections_than_threads_are_all_answered(server):
    connections = [connect(server) for _ in range(8)]
    for _ in range(3):
        assert all(answered_by(connection) for connection in connections)
    for connection in connections:
        connection.close()
