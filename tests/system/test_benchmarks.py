"""The ingest benchmark runs, measures every receiver that is here, and says what is not."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydicom import dcmread

from tests.benchmarks import asked, days, federation, ingest, measured, peers, web
from tests.benchmarks.images import FIRST, Scanner
from tests.support.services import require


def test_no_two_images_of_a_scanner_share_a_uid(tmp_path):
    scanner = Scanner(FIRST + 108)  # a UID will hold the digits of the placeholders
    first = scanner.write(tmp_path / "a", 3, 2)
    second = scanner.write(tmp_path / "b", 2, 1)
    files = [path for batch in (first, second) for f in batch.folders for path in f.iterdir()]
    read = [dcmread(path) for path in files]
    assert len({ds.SOPInstanceUID for ds in read}) == 5
    assert len({ds.StudyInstanceUID for ds in read}) == len({ds.PatientID for ds in read}) == 3
    assert sorted(int(ds.InstanceNumber) for ds in read) == [1, 1, 1, 2, 2]
    for ds in read:
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert len(ds.PixelData) == 512 * 512 * 2


@pytest.mark.soak  # make bench-quick runs it in the gate
def test_a_small_run_counts_what_each_receiver_holds_and_puts_the_ratios_first(capsys, tmp_path):
    for program in ("storescu", "storescp", "Orthanc"):
        require(program)
    asked = ["--quick", "--images", "4", "--associations", "2", "--json", str(tmp_path / "found")]
    asked += ["--day-rounds", "0"]
    assert ingest.main([*asked, "--only", "argens-sqlite", "orthanc", "storescp"]) == 0
    table = capsys.readouterr().out.partition("images a second, as a ratio")[2]
    assert table.index("argens-sqlite / orthanc") < table.index("receiver")
    for name in ("argens-sqlite", "orthanc", "storescp"):
        assert f"\n{name} " in table
    found = measured.read(tmp_path / "found")
    assert {one.who for one in found} == {"argens-sqlite", "orthanc", "storescp"}
    assert {one.workload for one in found} == {"4 CT of 512 KB, 2 associations"}
    assert all(one.least == one.value == one.most and one.rounds == 1 for one in found)


def test_a_receiver_that_loses_an_image_fails_the_benchmark(tmp_path):
    for program in ("storescu", "storescp"):
        require(program)
    lossy = peers.storescp(tmp_path)
    held = lossy.held
    lossy.held = lambda: held() - 1
    with pytest.raises(RuntimeError, match="answered 2 objects and holds 1"):
        ingest.measure("storescp", lambda _: lossy, tmp_path, Scanner().write(tmp_path / "s", 2, 1))


def test_days_are_sent_in_turn_to_one_receiver_that_holds_them_all(tmp_path, monkeypatch):
    require("storescu")

    def little(folder, scale, number):
        batch = Scanner(FIRST + 100 * (number + 1)).write(folder, 2, 1)
        return replace(batch, name=f"day of scale {scale}")

    monkeypatch.setattr(days, "write", little)
    starts = {"argens-sqlite": peers.storescp}
    options = ingest._options(["--quick", "--rounds", "0", "--day-rounds", "2", "--days", "3"])
    options.rounds = 0
    rows = list(ingest._rows(options, starts, tmp_path))
    assert [row.workload for row in rows[:2]] == ["day of scale 0.001, 1 association"] * 2
    assert [row.workload for row in rows[2:]] == ["3 Fréjus days in turn, each of them"] * 3
    assert not list(tmp_path.iterdir())  # neither a day's files nor a store stays


def test_days_that_have_no_room_are_refused_in_one_line(capsys, monkeypatch, tmp_path):
    require("storescu")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000_000_000))
    assert days.refusal(tmp_path, 1, 1) == ""
    assert days.refusal(tmp_path, 1, 10).startswith("10 Fréjus days want 34 GB of ")
    asked = ["--days", "10", "--only", "storescp", "--folder", str(tmp_path)]
    assert ingest.main(asked) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("nothing is measured: ") and "20 GB are free" in line


def test_an_absent_receiver_is_named(capsys, monkeypatch):
    require("storescu")

    def gone(folder):
        raise peers.Absent("Orthanc is not installed")

    monkeypatch.setattr(peers, "orthanc", gone)
    asked = ["--quick", "--images", "1", "--associations", "1", "--day-rounds", "0"]
    assert ingest.main([*asked, "--only", "orthanc"]) == 0
    assert "not measured: orthanc (Orthanc is not installed)" in capsys.readouterr().out


@pytest.mark.soak  # make bench-quick runs it in the gate
def test_a_small_run_asks_both_for_every_kind_and_puts_the_ratios_last(capsys, tmp_path):
    for program in ("storescu", "Orthanc"):
        require(program)
    assert web.main(["--quick", "--kinds", "raw frames", "series metadata"]) == 0
    told = capsys.readouterr().out
    for name in ("argens", "orthanc"):
        assert told.count(f"{name:<8} raw frames") == 4  # one and eight clients, twice
        assert told.count(f"{name:<8} series metadata") == 2
    ratios = told.partition("as a ratio to Orthanc's")[2]
    assert (ratios.count("(goal 2)"), ratios.count("(goal 5)")) == (4, 2)


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *_):
        pass


def test_an_answer_that_is_not_whole_fails_the_web_benchmark():
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RuntimeError, match="401"):
            asked.ask_all(server.server_port, ["/dicom-web/studies"], {}, 1, os.getpid())
        server.shutdown()


@pytest.mark.soak  # make bench-quick runs it in the gate
@pytest.mark.timeout(300)
def test_a_small_federation_is_searched_at_every_door_and_what_the_portal_adds_comes_last(capsys):
    assert (
        federation.main(["--nodes", "3", "--studies", "60", "--rounds", "1", "--late", "0.3"]) == 0
    )
    *table, page, live, qido = capsys.readouterr().out.splitlines()
    rows = [line for line in table if " ms" in line]
    assert len(rows) == 2 * 4 * 3  # all well and in trouble, four questions, three doors
    late = [float(line.split()[-6]) for line in rows if "1 late" in line]
    assert all(slowest >= 300 for slowest in late)  # the late one is waited for
    for line, door in ((page, "page"), (live, "live"), (qido, "QIDO")):
        assert line.startswith(door) and "adds at most" in line
