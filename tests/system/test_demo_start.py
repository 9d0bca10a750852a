"""How the demo starts and stops: its plan, and real processes in the members' places."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.demo.hospital import plan
from pacs_common.env import Env, SettingError
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def stand_in(folder: Path, *behaviours: str, errands: tuple = (), **more: object) -> Path:
    """Write a plan: two nodes and a portal unless behaviours say otherwise."""
    behaviours = behaviours or ("fine", "fine", "portal")
    ports = [free_port() for _ in range(2 * len(behaviours))]
    members = [
        {
            "name": "portal" if behaviour == "portal" else f"node{number}",
            "port": ports[number],
            "dicom_port": None if behaviour == "portal" else ports[-1 - number],
            "behaviour": behaviour,
        }
        for number, behaviour in enumerate(behaviours)
    ]
    path = folder / "plan.json"
    content = {"folder": str(folder), "members": members, "errands": errands, **more}
    path.write_text(json.dumps(content))
    return path


def ports_of(plan_file: Path) -> list[int]:
    members = json.loads(plan_file.read_text())["members"]
    return [port for one in members for port in (one["port"], one["dicom_port"]) if port]


class Demo:
    """A running demo whose output is read as it comes."""

    def __init__(self, plan_file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.demo_stand_in", str(plan_file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def read_until(self, words: str) -> str:
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.said} {self.process.stderr.read()}"
            self.said += line
        return self.said

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=40)
        return self.process.returncode, self.said + out, err

    def stop(self, signum: int) -> tuple[int, str, str]:
        self.process.send_signal(signum)
        return self.end()


@contextmanager
def demo(plan_file: Path) -> Iterator[Demo]:
    running = Demo(plan_file)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.communicate(timeout=40)


def alive(folder: Path) -> list[str]:
    """Return the stand-ins (by their pid files) that still run."""
    found = []
    for file in folder.glob("*.pid"):
        try:
            state = Path(f"/proc/{file.read_text()}/stat").read_text().split()[2]
        except OSError:
            continue
        if state != "Z":
            found.append(file.stem)
    return found


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_every_process_and_returns_0(tmp_path, signum):
    with demo(stand_in(tmp_path)) as running:
        running.read_until("Ctrl-C stops everything")
        assert sorted(alive(tmp_path)) == ["node0", "node1", "portal"]
        status, said, err = running.stop(signum)
    assert (status, err) == (0, "")
    assert "The hospital is closed." in said
    assert alive(tmp_path) == []


def test_it_says_where_everything_is_and_who_may_log_in(tmp_path):
    plan_file = stand_in(tmp_path)
    http_port, _, portal_port = (m["port"] for m in json.loads(plan_file.read_text())["members"])
    with demo(plan_file) as running:
        said = running.read_until("Ctrl-C stops everything")
    for words in (
        "node0    ready", f"http://127.0.0.1:{portal_port}/", "clinician     vertige-42",
        "DICOM ARGENS_NODE0 at 127.0.0.1:", f"http://127.0.0.1:{http_port}/dicom-web/",
    ):  # fmt: skip
        assert words in said
    assert "t-secret" not in said


def test_the_first_day_comes_in_once(tmp_path):
    plan_file = stand_in(tmp_path, errands=(("make", 0, 0), ("send", 0, 0)))
    for _ in range(2):
        with demo(plan_file) as running:
            running.read_until("Ctrl-C stops everything")
            assert running.stop(signal.SIGINT)[0] == 0
    assert (tmp_path / "errands").read_text().split() == ["make", "send"]


def test_a_first_day_that_failed_is_said_and_tried_again(tmp_path):
    plan_file = stand_in(tmp_path, errands=(("make", 0, 0), ("send", 0, 1), ("more", 0, 0)))
    for _ in range(2):
        with demo(plan_file) as running:
            said = running.read_until("Ctrl-C stops everything")
            assert "Errand send failed (exit status 1); the next start tries again." in said
    assert (tmp_path / "errands").read_text().split() == ["make", "send"] * 2


def test_the_full_viewer_comes_after_the_hospital_is_open(tmp_path):
    errands = [("day", 0, 0), ("viewer", 0, 0)]
    with demo(stand_in(tmp_path, errands=errands, last_is_viewer=True)) as running:
        said = running.read_until("full viewer (OHIF) is in place")
        assert said.index("The hospital is open") < said.index("is in place")
    assert (tmp_path / "errands").read_text() == "day\nviewer\n"


def test_a_hospital_without_the_full_viewer_says_why_and_stays_open(tmp_path):
    errands = [("day", 0, 0), ("viewer", 0, 1)]
    with demo(stand_in(tmp_path, errands=errands, last_is_viewer=True)) as running:
        said = running.read_until("The quick view stands alone")
        assert "viewer cannot be done: no network. The quick view stands alone." in said
        assert "CommandError" not in said
        assert len(alive(tmp_path)) == 3
        assert running.stop(signal.SIGTERM)[0] == 0


def test_ctrl_c_in_the_middle_of_the_first_day_stops_it_too(tmp_path):
    with demo(stand_in(tmp_path, errands=(("long", 60, 0),))) as running:
        running.read_until("Errand long ...")
        wait_for(lambda: (tmp_path / "long.pid").exists() and "long" in alive(tmp_path))
        status, said, err = running.stop(signal.SIGINT)
    assert (status, err) == (0, "")
    assert "failed" not in said
    assert alive(tmp_path) == []
    assert not (tmp_path / "day" / "sent").exists()


def test_a_member_that_dies_at_start_is_named_with_the_end_of_its_log(tmp_path):
    with demo(stand_in(tmp_path, "fine", "dies", "portal")) as running:
        status, _, err = running.end()
    assert status == 1
    first, *tail = err.splitlines()
    log = tmp_path / "logs" / "node1.log"
    assert first == f"the node1 ended by itself (exit status 3); its log is {log}, which ends:"
    assert tail == ["  first line", "  no such table: studies"]
    assert alive(tmp_path) == []


def test_a_member_that_never_gets_ready_is_named(tmp_path):
    with demo(stand_in(tmp_path, "fine", "never ready", "portal", ready_timeout_s=2)) as running:
        status, _, err = running.end()
    assert status == 1
    assert err.startswith("the node1 is not ready after 2 s: ")
    assert "503: the index is being read" in err
    assert alive(tmp_path) == []


def test_a_member_that_dies_later_is_started_again(tmp_path):
    with demo(stand_in(tmp_path)) as running:
        running.read_until("Ctrl-C stops everything")
        os.kill(int((tmp_path / "node1.pid").read_text()), signal.SIGKILL)
        said = running.read_until("is started again")
        assert "The node1 ended by itself (signal 9)" in said
        wait_for(lambda: (tmp_path / "node1.starts").read_text() == "xx")
        assert running.stop(signal.SIGINT)[0] == 0
    assert alive(tmp_path) == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_port_that_is_taken_is_one_line(tmp_path, number):
    plan_file = stand_in(tmp_path)
    port = ports_of(plan_file)[number]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with demo(plan_file) as running:
            status, said, err = running.end()
    use = "HTTP" if number == 0 else "DICOM, ARGENS_NODE0"
    assert (status, said) == (2, "")
    assert err == (
        f"port {port} is needed for the node0 ({use}) and cannot be had: Address already in use\n"
    )
    assert alive(tmp_path) == []


def test_a_demo_that_is_killed_leaves_no_member_behind(tmp_path):
    with demo(stand_in(tmp_path)) as running:
        running.read_until("Ctrl-C stops everything")
        running.process.kill()
        running.end()
    wait_for(lambda: alive(tmp_path) == [])


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACS_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.demo"],
        cwd=ROOT,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = start(PACS_DEMO_DIR=str(tmp_path / "file" / "demo"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"cannot write to {tmp_path}/file/demo (PACS_DEMO_DIR): Not a directory\n"
    )


@pytest.mark.parametrize("scale", ["much", "0", "-1", "nan"])
def test_a_nonsense_scale_is_one_line(tmp_path, scale):
    done = start(PACS_DEMO_DIR=str(tmp_path), PACS_DEMO_SCALE=scale)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("setting PACS_DEMO_SCALE: ") and done.stderr.count("\n") == 1


def test_the_plan_has_the_ports_and_titles_of_the_design(tmp_path):
    hospital = plan(Env({"PACS_DEMO_DIR": str(tmp_path)}))
    assert [(m.name, m.http_port, m.dicom_port, m.ae_title) for m in hospital.members] == [
        ("node-ct", 8101, 11112, "ARGENS_CT"),
        ("node-rf", 8102, 11113, "ARGENS_RF"),
        ("node-cr", 8103, 11114, "ARGENS_CR"),
        ("archive", 8200, None, ""),
        ("portal", 8000, None, ""),
    ]
    for member in hospital.members:
        assert member.env["PACS_DATA_DIR"] == str(tmp_path / member.name)
        assert member.env["PACS_TRUST_DIR"] == str(tmp_path / "trust")
        assert member.env["PACS_HTTP_BIND"] == "127.0.0.1"
        assert member.env["PACS_HTTP_PORT"] == str(member.http_port)


def test_the_plan_sends_each_source_to_its_own_node(tmp_path):
    errands = plan(Env({"PACS_DEMO_DIR": str(tmp_path)})).first_day
    assert [errand.argv[-4:] for errand in errands[1:]] == [
        ("DEMO_CT", "127.0.0.1", "11112", f"{tmp_path}/day/CT"),
        ("DEMO_RF", "127.0.0.1", "11113", f"{tmp_path}/day/RF"),
        ("DEMO_CR", "127.0.0.1", "11114", f"{tmp_path}/day/CR"),
    ]
    assert errands[0].argv[-4:] == ("--out", f"{tmp_path}/day", "--scale", "0.05")


def test_nonsense_settings_are_refused_by_the_plan():
    with pytest.raises(SettingError):
        plan(Env({"PACS_QUIET_S": "soon"}))


def wait_for(condition, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
