"""Numbers that all processes of a role add to: none lost with a process, none fatal to one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pacs_common.measures import asked
from pacs_common.measures.served import Counted, note_route

COUNTING = """
import os, sys
from pathlib import Path
from pacs_common.measures import shared_files
shared_files.keep_in(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge, Histogram
SEEN = Counter("seen_total", "Seen.", ["kind"])
OPEN = Gauge("open", "Open.", ["port"], multiprocess_mode="livesum")
TOOK = Histogram("took_seconds", "Took.", ["kind"], buckets=(1, 2))
"""


def run(folder: Path, code: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COUNTING + code, str(folder)],
        capture_output=True, text=True, check=False, timeout=60, **options,
    )  # fmt: skip


def told(folder: Path) -> dict[str, float]:
    done = run(folder, "print(shared_files.told().decode())")
    assert done.returncode == 0, done.stderr
    lines = [line.rpartition(" ") for line in done.stdout.splitlines() if line[:1] not in {"", "#"}]
    return {name: float(value) for name, _, value in lines}


FORKED = """
SEEN.labels("ct").inc()
for _ in range(3):
    if not os.fork():
        SEEN.labels("ct").inc(2); OPEN.labels("dicom").inc(); TOOK.labels("ct").observe(1.5)
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def test_forked_processes_add_up_and_what_the_dead_held_open_is_not_open(tmp_path):
    assert run(tmp_path, FORKED).returncode == 0
    found = told(tmp_path)
    assert found['seen_total{kind="ct"}'] == 7
    assert found['took_seconds_bucket{kind="ct",le="2.0"}'] == 3
    assert found['took_seconds_bucket{kind="ct",le="1.0"}'] == 0
    assert 'open{port="dicom"}' not in found


def test_what_dead_processes_counted_is_one_file_and_the_sums_never_fall(tmp_path):
    for runs in (1, 2, 3):
        assert run(tmp_path, FORKED).returncode == 0
        assert told(tmp_path)['seen_total{kind="ct"}'] == 7 * runs
        assert told(tmp_path)['seen_total{kind="ct"}'] == 7 * runs
    left = sorted(file.name for file in tmp_path.glob("*.db"))
    assert left == ["counter_0.db", "histogram_0.db"]


def test_a_file_that_a_power_cut_spoiled_costs_its_own_numbers(tmp_path):
    assert run(tmp_path, FORKED).returncode == 0
    (tmp_path / "counter_99999999.db").write_bytes(b"\xff" * 4096)
    assert told(tmp_path)['seen_total{kind="ct"}'] == 7


def test_a_disk_without_room_neither_kills_who_counts_nor_stops_it(tmp_path):
    """The limit on the size of files makes every allotment fail, as a full disk does."""

    def no_room() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    code = """
for number in range(6000):
    SEEN.labels(f"kind-{number}").inc()
print(SEEN.labels("kind-5999")._value.get())
"""
    done = run(tmp_path, code, preexec_fn=no_room)
    assert (done.returncode, done.stdout.strip()) == (0, "1.0"), done.stderr
    assert "not shared" in done.stderr


def test_room_that_runs_out_later_leaves_the_numbers_in_memory(tmp_path):
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
SEEN.labels("first").inc(5)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for number in range(6000):
    SEEN.labels(f"kind-{number}").inc()
print(SEEN.labels("first")._value.get(), SEEN.labels("kind-5999")._value.get())
"""
    done = run(tmp_path, code)
    assert (done.returncode, done.stdout.split()) == (0, ["5.0", "1.0"]), done.stderr


def test_every_hole_of_a_file_is_allotted_before_it_is_written(tmp_path):
    code = """
for number in range(6000):
    SEEN.labels(f"kind-{number}").inc()
"""
    assert run(tmp_path, code).returncode == 0
    (file,) = tmp_path.glob("counter_*.db")
    assert file.stat().st_size > 256 << 10  # it grew
    assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_a_folder_that_cannot_be_made_leaves_a_process_its_own_numbers(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "below", 'SEEN.labels("ct").inc(); print(shared_files.told())')
    assert done.returncode == 0 and 'seen_total{kind="ct"} 1.0' in done.stdout


class Match:
    url_name, view_name, route = None, "", "studies/<str:study_uid>/header"


class Request:
    def __init__(self, environ: dict[str, object], match: object) -> None:
        self.META, self.resolver_match = environ, match


def ask(path: str, match: object, answer: list[bytes], *headers: tuple[str, str], method="GET"):
    def application(environ, start_response):
        note_route(lambda request: None)(Request(environ, match))
        start_response("200 OK", list(headers))
        return answer

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": "7"}
    return Counted(application)(environ, lambda *told: None)


def sample(name: str, **labels: str) -> float:
    from prometheus_client import REGISTRY

    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.skipif("PROMETHEUS_MULTIPROC_DIR" in os.environ, reason="another role's process")
def test_http_is_counted_by_route_and_a_length_that_is_not_told_is_measured():
    route = {"route": "studies/<study_uid>/header"}
    answer = ask("/studies/1.2.3/header", Match, [b"abc", b"de"])
    assert b"".join(answer) == b"abcde"
    assert sample("argens_http_sent_bytes_total", **route) == 5
    whole = [b"abc"]
    assert ask("/studies/1.2.3/header", Match, whole, ("Content-Length", "3")) is whole
    assert sample("argens_http_sent_bytes_total", **route) == 8
    ask("/studies/1.2.3/header", Match, [], ("Content-Length", "900"), method="HEAD")
    assert sample("argens_http_sent_bytes_total", **route) == 8
    assert sample("argens_http_received_bytes_total", **route) == 21
    got = sample("argens_http_requests_total", **route, method="GET", status="200")
    assert got == 2
    ask("/nothing/1.2.3", None, [], method="BREW\n")
    assert sample("argens_http_requests_total", route="none", method="other", status="200") == 1


@pytest.mark.parametrize(
    ("date", "took_s", "ahead"),
    [
        ("Sat, 28 Nov 2026 12:00:00 GMT", 0.0, 0.0),
        ("Sat, 28 Nov 2026 12:05:00 GMT", 0.0, 300.2),
        ("Sat, 28 Nov 2026 11:55:00 GMT", 0.2, -299.7),
        ("Sat, 28 Nov 2026 11:59:58 GMT", 4.0, 0.0),  # it may have been told two seconds ago
        ("yesterday", 0.0, None),
        (None, 0.0, None),
    ],
)
def test_a_clock_is_judged_by_what_whole_seconds_can_tell(date, took_s, ahead):
    assert asked.skew_s(date, took_s, now=1_795_867_200.3) == ahead
