"""A hospital whose members are small programs, for the tests of how the demo starts and stops.

    python -m tests.system.demo_stand_in PLAN.json

The plan names a folder and members: {"name", "port", "dicom_port", "behaviour"}, and errands.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path

from deploy.demo.hospital import Errand, Hospital, Member
from deploy.demo.start import run


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /readyz: 200, or 503 for a member that never gets ready."""

    ready = True

    def do_GET(self) -> None:
        status = 200 if self.ready else 503
        body = json.dumps({"ready": self.ready, "detail": "the index is being read"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def serve(folder: Path, name: str, port: int, behaviour: str) -> None:
    """Be one member."""
    (folder / f"{name}.pid").write_text(str(os.getpid()))
    with (folder / f"{name}.starts").open("a") as file:
        file.write("x")
    if behaviour == "dies":
        print("first line\nno such table: studies", file=sys.stderr)
        sys.exit(3)
    if behaviour == "portal":
        accounts = {"clinician": {"password": "vertige-42", "token": "t-secret"}}
        (folder / "accounts.json").write_text(json.dumps(accounts))
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Handler.ready = behaviour != "never ready"
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def errand(folder: Path, name: str, seconds: float, status: int) -> None:
    """Be one errand of the first day."""
    (folder / f"{name}.pid").write_text(str(os.getpid()))
    with (folder / "errands").open("a") as file:
        file.write(f"{name}\n")
    time.sleep(seconds)
    if status:
        print(f"CommandError: {name} cannot be done: no network", file=sys.stderr)
    sys.exit(status)


def hospital(plan: dict) -> Hospital:
    """Return the hospital that a plan describes."""
    folder = plan["folder"]
    me = (sys.executable, "-m", "tests.system.demo_stand_in")
    members = tuple(
        Member(
            name=one["name"],
            title=one["name"],
            argv=(*me, "serve", folder, one["name"], str(one["port"]), one["behaviour"]),
            http_port=one["port"],
            dicom_port=one.get("dicom_port"),
            ae_title=f"ARGENS_{one['name'].upper()}",
        )
        for one in plan["members"]
    )
    errands = tuple(
        Errand(f"Errand {name}", (*me, "errand", folder, name, str(seconds), str(status)), {})
        for name, seconds, status in plan.get("errands", [])
    )
    viewer = errands[-1] if plan.get("last_is_viewer") else None
    first_day = errands[:-1] if viewer else errands
    limit_s = plan.get("ready_timeout_s", 30)
    return Hospital(Path(folder), members, first_day, viewer, limit_s)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1] == "errand":
        errand(Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
    else:
        sys.exit(run(hospital(json.loads(Path(sys.argv[1]).read_text()))))
