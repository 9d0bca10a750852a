"""Syslog over TLS (RFC 5425): messages (RFC 5424) with their length before them, on a connection.

There is no answer to a message. What was sent is taken as received once the receiver has not broken
the connection off by its orderly end.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

PRIORITY = 10 * 8 + 5  # security messages, notice (PS3.15 A.6)
MESSAGE_ID = "DICOM+RFC3881"
APPLICATION = "argens"
WAIT_S = 10.0
ADMISSION_S, LOOK_S = 2.0, 0.02


@dataclass(frozen=True)
class Receiver:
    """Where messages go, whom to believe, and with which certificate to come ("" for none)."""

    host: str
    port: int
    authorities: str = ""
    certificate: str = ""
    key: str = ""

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages on a connection of their own; raises OSError where it is not certain."""
        context = self._context()
        with socket.create_connection((self.host, self.port), WAIT_S) as plain:
            with context.wrap_socket(plain, server_hostname=self.host) as connection:
                _await_admission(connection)
                for message in messages:
                    connection.sendall(frame(message))
                _end(connection)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authorities or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


def syslog_message(at: datetime, content: bytes) -> bytes:
    """Return a message of RFC 5424 with UTF-8 content."""
    when = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = "".join(one for one in socket.gethostname() if 33 <= ord(one) <= 126)[:255] or "-"
    head = f"<{PRIORITY}>1 {when} {host} {APPLICATION} {os.getpid()} {MESSAGE_ID} - "
    return head.encode("ascii") + b"\xef\xbb\xbf" + content


def frame(message: bytes) -> bytes:
    """Return a message with its length before it (RFC 5425 4.3)."""
    return f"{len(message)} ".encode("ascii") + message


def _await_admission(connection: ssl.SSLSocket) -> None:
    """Return once the receiver has accepted our certificate, or the lack of one; raises OSError.

    In TLS 1.3 a client is ready before the receiver has judged it, and a refusal can be lost where
    the receiver closes with bytes unread. What tells is the ticket that follows (RFC 8446 4.6.1);
    one that gives none is waited for a while, and then trusted.
    """
    connection.settimeout(LOOK_S)
    until = time.monotonic() + ADMISSION_S
    while connection.version() == "TLSv1.3" and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1):
                raise ConnectionError("the receiver closed the connection at once")
        if connection.session is not None and connection.session.has_ticket:
            break
    connection.settimeout(WAIT_S)


def _end(connection: ssl.SSLSocket) -> None:
    """Close in order: what the receiver refused, or had not taken when it broke off, shows here.

    A receiver that ends without a word of its own, or takes its time to, has read what came.
    """
    try:
        connection.unwrap()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError):
        return
    except ssl.SSLError as error:
        if error.reason in {"APPLICATION_DATA_AFTER_CLOSE_NOTIFY", "SHUTDOWN_WHILE_IN_INIT"}:
            return
        raise
