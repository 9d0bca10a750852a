"""What must be true before anything starts: free ports, a folder that can be written."""

from __future__ import annotations

import socket
import tempfile

from deploy.demo.hospital import LOOPBACK, Hospital


class CannotStart(Exception):
    """One line that says what is in the way; exit status 2."""


def check(hospital: Hospital) -> None:
    """Raise CannotStart unless the hospital can be started here and now."""
    _writable(hospital)
    for member in hospital.members:
        for port, purpose in member.ports.items():
            _free(port, purpose)


def _writable(hospital: Hospital) -> None:
    try:
        (hospital.folder / "logs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=hospital.folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise CannotStart(
            f"cannot write to {hospital.folder} (PACS_DEMO_DIR): {error.strerror}"
        ) from None


def _free(port: int, purpose: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotStart(
                f"port {port} is needed for the {purpose} and cannot be had: {error.strerror}"
            ) from None
