"""What happens while the members run for the first seconds: they get ready, the day comes in."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from deploy.demo.hospital import LOOPBACK, Errand, Hospital, Member
from pacs_common.errors import ArgensError
from pacs_common.http import HttpClient

POLL_S = 0.2


class OpeningFailed(Exception):
    """Why the hospital cannot open: one line, and whose log tells more."""

    def __init__(self, message: str, member: Member | None = None) -> None:
        super().__init__(message)
        self.member = member


class Opening:
    """Opens the hospital step by step; `stopping` ends it between or within steps."""

    def __init__(self, hospital: Hospital, stopping: threading.Event) -> None:
        self._hospital = hospital
        self._stopping = stopping

    def run(self) -> None:
        """Wait for every member, bring in the first day, say where all is."""
        self._wait_for_members()
        if not self._stopping.is_set() and not self._hospital.day_marker.exists():
            self._first_day()
        if not self._stopping.is_set():
            say(welcome(self._hospital))

    def put_viewer_in_place(self) -> None:
        """Install the full viewer while the hospital is open already; say why where it fails."""
        errand = self._hospital.viewer
        if errand is None or self._stopping.is_set():
            return
        with tempfile.TemporaryFile("w+") as printed:
            code = self._run(errand, printed)
            printed.seek(0)
            lines = printed.read().strip().splitlines() or ["it said nothing"]
        if self._stopping.is_set():
            return
        if code == 0:
            say("The full viewer (OHIF) is in place: an exam's page opens it.")
        else:
            say(f"{lines[-1].removeprefix('CommandError: ')}. The quick view stands alone.")

    def _wait_for_members(self) -> None:
        deadline = time.monotonic() + self._hospital.ready_timeout_s
        waiting = list(self._hospital.members)
        reasons: dict[str, str] = {}
        while waiting and not self._stopping.is_set():
            for member in list(waiting):
                reasons[member.name] = unready_because(member)
                if not reasons[member.name]:
                    say(f"  {member.title:<8} ready")
                    waiting.remove(member)
            if waiting and time.monotonic() > deadline:
                late = waiting[0]
                limit = f"{self._hospital.ready_timeout_s:g} s"
                raise OpeningFailed(
                    f"the {late.title} is not ready after {limit}: {reasons[late.name]}", late
                )
            self._stopping.wait(POLL_S if waiting else 0)

    def _first_day(self) -> None:
        """Run the errands; what fails is said, and tried again at the next start."""
        for errand in self._hospital.first_day:
            code = self._run(errand)
            if self._stopping.is_set():
                return
            if code != 0:
                say(f"{errand.says} failed (exit status {code}); the next start tries again.")
                return
        self._hospital.day_marker.parent.mkdir(parents=True, exist_ok=True)
        self._hospital.day_marker.touch()

    def _run(self, errand: Errand, output: IO[str] | None = None) -> int:
        say(f"{errand.says} ...")
        process = subprocess.Popen(  # noqa: S603 - argv is the plan's
            errand.argv,
            env={**os.environ, **errand.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends it
        )
        try:
            while process.poll() is None and not self._stopping.wait(POLL_S):
                pass
        finally:
            if process.poll() is None:
                process.terminate()
        return process.wait()


def unready_because(member: Member) -> str:
    """Return why a member is not ready yet, empty when it is."""
    client = HttpClient(f"http://{LOOPBACK}:{member.http_port}", connect_s=1.0, read_s=5.0)
    try:
        client.json("GET", "/readyz")
    except ArgensError as error:
        return str(error)
    return ""


def welcome(hospital: Hospital) -> str:
    """Return where everything is and who may log in."""
    nodes = [member for member in hospital.members if member.dicom_port is not None]
    lines = ["", f"The hospital is open: http://{LOOPBACK}:{hospital.portal.http_port}/", ""]
    lines += ["  account       password", *_accounts(hospital), ""]
    for node in nodes:
        dicom = f"DICOM {node.ae_title} at {LOOPBACK}:{node.dicom_port}"
        lines.append(
            f"  {node.title}: {dicom}, DICOMweb http://{LOOPBACK}:{node.http_port}/dicom-web/"
        )
    lines += [
        "",
        f"API tokens are in {hospital.accounts_file}, logs in {hospital.folder / 'logs'}.",
    ]
    lines += ["Ctrl-C stops everything; the next start keeps the data."]
    return "\n".join(lines)


def _accounts(hospital: Hospital) -> Sequence[str]:
    try:
        people = json.loads(hospital.accounts_file.read_text(encoding="utf-8"))
        return [f"  {name:<13} {person['password']}" for name, person in people.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"  (no accounts: {hospital.accounts_file} cannot be read)"]


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)
