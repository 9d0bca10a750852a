"""DICOM over TLS (PS3.15 B.12: BCP 195 with RFC 8996 and RFC 9325), as server and as client.

TLS 1.2 with forward secrecy and authenticated encryption alone, and TLS 1.3; nothing is
negotiated below that. Certificates need RSA keys of 2048 bits (or curves as strong) and SHA-256.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509

from dicom_node.config.access import Tls
from dicom_node.peers import Certificate, Destination
from pacs_common.errors import PeerUnreachable

LOG = logging.getLogger(__name__)
# RFC 9325 4.2: the four recommended suites of TLS 1.2; @SECLEVEL=2 asks for 112 bits everywhere.
CIPHERS = ":".join(
    [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "@SECLEVEL=2",
    ]
)
_DEMANDS = {
    "require": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return what serves the TLS port; raises OSError where a file cannot be used."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    context.num_tickets = 0  # each association proves itself anew
    context.verify_mode = _DEMANDS[tls.client_certificate]
    return context


def client_context(tls: Tls, destination: Destination) -> ssl.SSLContext:
    """Return what calls a destination, with our own certificate where we have one.

    Its certificate must come from our authorities and bear its host's name, unless the peer is
    bound to a certificate of its own (`require_certificate`). Raises OSError, PeerUnreachable.
    """
    if tls.authorities is None:
        raise PeerUnreachable(f"{destination.ae_title} asks for TLS: PACS_DICOM_TLS_CA is not set")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, tls)
    context.check_hostname = not destination.certificate.is_set
    return context


def call(connection: socket.socket, tls: Tls, destination: Destination) -> ssl.SSLSocket:
    """Secure a connection that we opened; raises PeerUnreachable with the reason."""
    try:
        context = client_context(tls, destination)
        secured = context.wrap_socket(connection, server_hostname=destination.host)
    except OSError as error:
        raise PeerUnreachable(f"{destination.ae_title}: no TLS: {reason(error)}") from None
    shown = certificate_of(secured)
    if not destination.certificate.fits(shown):
        secured.close()
        which = f"{shown.subject} ({shown.sha256})" if shown else "no certificate"
        raise PeerUnreachable(f"{destination.ae_title} showed {which}, not its own certificate")
    return secured


def certificate_of(connection: socket.socket) -> Certificate | None:
    """Return the certificate that the other side proved to own; None without one."""
    encoded = connection.getpeercert(True) if isinstance(connection, ssl.SSLSocket) else None
    if not encoded or connection.context.verify_mode is ssl.CERT_NONE:
        return None
    subject = x509.load_der_x509_certificate(encoded).subject.rfc4514_string()
    return Certificate(hashlib.sha256(encoded).hexdigest(), subject)


def reason(error: OSError) -> str:
    """Return in one line why a handshake failed, without OpenSSL's source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not believed: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


class ServerTls:
    """The TLS port's certificates, read again when one of their files changes."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._stamps = self._seen()
        self._context = server_context(tls)

    def wrap_socket(
        self, connection: socket.socket, *, do_handshake_on_connect: bool = True
    ) -> ssl.SSLSocket:
        """Serve TLS there; a handshake lasts no longer than its time-out. Raises OSError."""
        return self._current().wrap_socket(
            connection, server_side=True, do_handshake_on_connect=do_handshake_on_connect
        )

    def _current(self) -> ssl.SSLContext:
        with self._lock:
            seen = self._seen()
            if seen != self._stamps:
                self._stamps = seen
                self._read_again()
            return self._context

    def _read_again(self) -> None:
        try:
            self._context = server_context(self._tls)
        except OSError as error:
            LOG.error("the last good TLS certificate stays in force: %s", reason(error))

    def _seen(self) -> list[tuple[int, int] | None]:
        files = (self._tls.certificate, self._tls.key, self._tls.authorities)
        return [_stamp(file) for file in files if file is not None]


def _context(protocol: int, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    is_newest = tls.profile == "tls13"
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if is_newest else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    if tls.authorities is not None:
        context.load_verify_locations(tls.authorities)
    return context


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
