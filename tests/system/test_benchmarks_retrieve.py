"""The retrieve benchmark runs, counts what every client got, and fails where that is not whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.benchmarks import exams, measured, peers, retrieve, taking
from tests.benchmarks.images import Batch, Scanner
from tests.benchmarks.ingest import send
from tests.benchmarks.peers import Peer
from tests.benchmarks.retrieve import Study
from tests.support.services import require

PROGRAMS = ("storescu", "storescp", "getscu", "movescu", "dcmqrscp")


@pytest.mark.soak  # make bench-quick runs it in the gate
@pytest.mark.timeout(180)
def test_a_small_run_takes_both_studies_by_every_door_and_puts_the_ratios_last(capsys, tmp_path):
    for program in (*PROGRAMS, "Orthanc"):
        require(program)
    found = tmp_path / "found.json"
    small = ["--quick", "--images", "4", "--frames", "2", "--clients", "2", "--json", str(found)]
    assert retrieve.main(small) == 0
    told, _, ratios = capsys.readouterr().out.partition("as a ratio of medians")
    assert [told.count(f"{name:<8} ") for name in retrieve.NAMES] == [6, 6, 4]
    assert ratios.count("argens / orthanc") == 6 and ratios.count("argens / dcmqrscp") == 4
    rates = [one for one in measured.read(found) if one.is_more_better]
    assert len(rates) == 16 and all(one.value > 0 for one in rates)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    exam = exams.slices(tmp_path / "ct", 3, Scanner())
    return Study("CT", exam, 3 * 530_000, 3 * exam.frame_bytes)


@pytest.mark.parametrize("door", ["C-GET", "C-MOVE"])
def test_a_server_that_lost_a_file_fails_the_benchmark(door, study: Study, tmp_path: Path):
    for program in PROGRAMS:
        require(program)
    with taking.sinks(tmp_path, 1) as sinks:
        server = peers.dcmqrscp(tmp_path, {sink.ae_title: sink.port for sink in sinks})
        try:
            send(server.port, Batch([study.exam.folder], 3, 0))
            assert server.held() == 3
            retrieve.measure("dcmqrscp", server, study, door, sinks)
            next((tmp_path / "received").glob("CT*")).unlink()
            with pytest.raises(RuntimeError, match=r"2 of 3 objects|ended with"):
                retrieve.measure("dcmqrscp", server, study, door, sinks)
        finally:
            server.stop()


@contextmanager
def answering(body: bytes) -> Iterator[Peer]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", 'multipart/related; boundary="=b="')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Peer(0, server.server_port, 0, lambda: 0, lambda: None)
        server.shutdown()


def test_parts_are_counted_wherever_a_boundary_falls(monkeypatch):
    parts = [b"\r\n\r\n" + b"-" * size + b"\r\n" for size in range(40)]
    body = b"--=b=" + b"--=b=".join(parts) + b"--=b=--\r\n"
    with answering(body) as server:
        for size in range(5, 60, 7):
            monkeypatch.setattr(taking, "BUFFER_BYTES", size)
            assert taking.by_web(server, "/", 2) == [taking.Taken(40, len(body))] * 2


def test_an_answer_without_its_end_is_refused():
    with answering(b"--=b=\r\n\r\nhalf of a") as server:
        with pytest.raises(RuntimeError, match="without its last boundary"):
            taking.by_web(server, "/", 1)


def test_an_absent_server_is_named_and_nobody_else_is_in_its_place(capsys, monkeypatch):
    for program in PROGRAMS:
        require(program)

    def gone(folder, destinations):
        raise peers.Absent("dcmqrscp is not installed")

    monkeypatch.setattr(peers, "dcmqrscp", gone)
    few = ["--quick", "--images", "1", "--frames", "1", "--only", "dcmqrscp"]
    assert retrieve.main(few) == 0
    assert "not measured: dcmqrscp (dcmqrscp is not installed)" in capsys.readouterr().out
