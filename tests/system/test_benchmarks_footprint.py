"""The footprint benchmark runs, names whom it compares, and fails where an image is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import footprint, measured, peers, starting
from tests.benchmarks.images import Scanner
from tests.benchmarks.peers import Peer
from tests.benchmarks.starting import Stopped
from tests.support.ports import free_port
from tests.support.services import require


@pytest.mark.soak  # make bench-quick runs it in the gate
@pytest.mark.timeout(180)
def test_a_small_run_starts_both_and_puts_the_goals_last(capsys, tmp_path: Path):
    require("Orthanc")
    found = tmp_path / "found.json"
    small = ["--quick", "--parts", "start", "--sizes", "20", "--json", str(found)]
    assert footprint.main(small) == 0
    told, _, goals = capsys.readouterr().out.partition("medians of argens")
    assert told.count("argens ") == 4 and told.count("orthanc ") == 2
    assert goals.count("(goal 2 s)") == 4 and goals.count("of Orthanc's") == 3  # the heading too
    assert all(0.01 < one.value < 60 for one in measured.read(found))


@pytest.mark.soak  # make bench-quick runs it in the gate
def test_memory_and_disk_grow_with_what_came(tmp_path: Path):
    for program in ("storescu", "Orthanc"):
        require(program)
    found = tmp_path / "found.json"
    few = ["--quick", "--parts", "memory", "disk", "--images", "8", "--only", "orthanc"]
    assert footprint.main([*few, "--json", str(found)]) == 0
    values = {one.workload: one.value for one in measured.read(found)}
    assert 5 < values["memory at rest, empty"] < 1000
    assert values["disk, CT as they came"] > 1000 > values["disk, CT compressed"] > 300


def test_a_server_that_loses_an_image_fails_the_benchmark(tmp_path: Path):
    for program in ("storescu", "storescp"):
        require(program)
    lossy = peers.storescp(tmp_path)
    try:
        lossy.held = lambda: 1
        with pytest.raises(RuntimeError, match="2 objects were sent and 1 are held"):
            footprint._memory("storescp", (tmp_path, lossy), Scanner().write(tmp_path / "s", 2, 1))
    finally:
        lossy.stop()


def test_a_server_that_has_work_left_is_not_at_rest(monkeypatch):
    monkeypatch.setattr(peers, "REST_S", 0.01)
    monkeypatch.setattr(peers, "REST_TIMEOUT_S", 1.0)
    with subprocess.Popen(["sleep", "60"]) as idle:
        left = iter([3, 0])
        Peer(0, 0, idle.pid, lambda: 0, idle.kill, waiting=lambda: next(left)).rest()
        assert next(left, None) is None
        with pytest.raises(RuntimeError, match="does not come to rest"):
            Peer(0, 0, idle.pid, lambda: 0, idle.kill, waiting=lambda: 1).rest()
        idle.kill()


def test_a_server_that_ends_at_its_start_fails_the_benchmark():
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ""])

    dead = Stopped("argens", "empty index", start, peers.stop, free_port(), free_port(), "/readyz")
    with pytest.raises(RuntimeError, match="argens with empty index does not start"):
        starting.time_to_answers(dead)


def test_a_file_of_two_names_takes_its_disk_once(tmp_path: Path):
    before = footprint.disk_bytes(tmp_path)
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert 1 << 20 <= footprint.disk_bytes(tmp_path) - before < 1.1 * (1 << 20)
