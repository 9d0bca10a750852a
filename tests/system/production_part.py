"""A role as a hospital runs it: each of its processes by itself, behind nginx."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ports import free_port
from tests.support.roles import ROOT

GUNICORN = [str(Path(sys.executable).parent / "gunicorn"), "-c", "deploy/gunicorn.conf.py"]
ROLES = {"node": "dicom_node", "archive": "archive_node", "web": "pacs_web"}


@dataclass
class Part:
    """One role's processes, its settings and its two ports: gunicorn's and nginx's."""

    role: str
    folder: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address behind nginx."""
        return f"https://localhost:{self.tls_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told, and nothing of the tests' own."""
        path = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return {**path, **self.env, "DJANGO_SETTINGS_MODULE": f"{ROLES[self.role]}.settings"}

    def manage(self, *words: str, said: str = "") -> str:
        """Run a command of the role to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", self.role, *words],
            cwd=ROOT,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *words: str) -> None:
        """Start a process of the role; without words, gunicorn."""
        argv = [sys.executable, "manage.py", self.role, *words] if words else GUNICORN
        with (self.folder / "out.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    argv,
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def terminate(self) -> None:
        """Ask every process to end."""
        for process in self.processes:
            process.terminate()

    def stop(self) -> None:
        """Wait for the end of every process that was asked."""
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        """What its processes have printed."""
        return (self.folder / "out.log").read_text(errors="replace")


def at_once(*commands: Callable[[], str]) -> list[str]:
    """Run commands at once and return what they printed, in their order."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return [done.result() for done in [pool.submit(command) for command in commands]]
