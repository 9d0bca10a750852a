"""The test of a registered server, step by step, with the full reason of a failure and a remedy."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from django.utils.translation import gettext as _

from pacs_common.authorities import of_roles
from pacs_common.errors import ArgensError, BadInput, NotAuthenticated, Refused
from pacs_common.http import HttpClient
from pacs_web.nodes import registry
from pacs_web.nodes.addresses import resolved
from pacs_web.nodes.models import Kind, Node
from pacs_web.nodes.servers.archive import ArchiveServer
from pacs_web.nodes.servers.connection import WebAddress
from pacs_web.nodes.servers.dimse import DimseServer

OK = 200
WAIT_S = 5.0
SOON_DAYS = 30


@dataclass(frozen=True)
class Step:
    """One thing that was tried: what came of it and, where it failed, what to do."""

    name: str
    passed: bool
    said: str
    advice: str = ""
    doubtful: bool = False


class Failed(Exception):
    """A step failed; the others need it."""

    def __init__(self, why: object, advice: str) -> None:
        super().__init__(str(why))
        self.advice = advice


Check = tuple[str, Callable[[], Step | str]]


def tested(node: Node, subject: str) -> list[Step]:
    """Try the server from its name to its first answer; the first failure is the last step."""
    steps: list[Step] = []
    for name, check in _checks(node, subject):
        try:
            done = check()
        except Failed as failure:
            steps.append(Step(name, False, str(failure), failure.advice))
            break
        steps.append(done if isinstance(done, Step) else Step(name, True, done))
    return steps


def _checks(node: Node, subject: str) -> Iterator[Check]:
    if node.kind == Kind.DIMSE:
        yield from _checks_through(node, subject)
        return
    parts = urlsplit(node.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    yield _("Name"), lambda: _resolve(host, port)
    yield _("Connection"), lambda: _connect(host, port)
    if parts.scheme == "https":
        yield _("Certificate"), lambda: _certificate(node, host, port)
    if node.kind == Kind.DICOMWEB:
        yield _("Search"), lambda: _search(node, subject)
        return
    yield _("Ready"), lambda: _ready(node)
    yield _("Ticket"), lambda: _ticket(node, subject)


def _checks_through(node: Node, subject: str) -> Iterator[Check]:
    """What is tried of a DIMSE-only PACS: its landing node first."""
    server = registry.dimse_client(node, subject, WAIT_S)
    yield _("Landing node"), lambda: _landing(node, subject)
    yield "C-ECHO", lambda: _echo(server)
    yield "C-FIND", lambda: _find(server)


def _landing(node: Node, subject: str) -> str:
    told = registry.own_client(node.through, subject, WAIT_S)
    try:
        issuer = told.status().get("default_issuer")
    except ArgensError as error:
        raise Failed(error, _("Test that node first.")) from None
    if issuer != node.issuer:
        said = _("%(node)s gives its patients the issuer %(new)s, not %(old)s any more")
        named = {"node": node.through.name, "new": issuer, "old": node.issuer}
        raise Failed(said % named, _("Save this entry again to take it over."))
    return _("%(node)s answers; its issuer is %(issuer)s") % {
        "node": node.through.name,
        "issuer": issuer,
    }


def _echo(server: DimseServer) -> str:
    try:
        told = server.through.scu_echo(server.peer)
    except ArgensError as error:
        advice = _(
            "Check host, port and AE title, and that the PACS lets in the node's AE title; the "
            "node's machine must reach it."
        )
        raise Failed(error, advice) from None
    return _("%(peer)s answers in %(ms)s ms") % {"peer": told["peer"], "ms": told["took_ms"]}


def _find(server: DimseServer) -> str:
    try:
        server.qido("studies", {"limit": 1, "StudyInstanceUID": "1.2.3.4"})
    except ArgensError as error:
        raise Failed(error, _("Let the PACS answer queries of the node's AE title.")) from None
    return _("it answers queries")


def _resolve(host: str, port: int) -> str:
    try:
        return ", ".join(resolved(host, port))
    except BadInput as error:
        raise Failed(error, _("Register the server under its own address.")) from None
    except OSError as error:
        raise Failed(
            error, _("Check the spelling of the host, and that the portal's machine knows it.")
        ) from None


def _connect(host: str, port: int) -> str:
    began = time.monotonic()
    try:
        socket.create_connection((host, port), WAIT_S).close()
    except OSError as error:
        advice = _(
            "Check that the server runs, its port, and the firewall between the portal and it."
        )
        raise Failed(f"{host}:{port}: {error}", advice) from None
    took_ms = round(1000 * (time.monotonic() - began))
    return _("port %(port)s answers in %(ms)s ms") % {"port": port, "ms": took_ms}


def _certificate(node: Node, host: str, port: int) -> Step | str:
    try:
        trusting = _trusting(node) or ssl.create_default_context()
        with (
            socket.create_connection((host, port), WAIT_S) as plain,
            trusting.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return _told(secured)
    except ssl.SSLCertVerificationError as error:
        why = f"{error.verify_message}; {_shown_anyway(host, port)}"
        raise Failed(why, _advice_on(error)) from None
    except ssl.SSLError as error:
        advice = _("Check that this port speaks TLS 1.2 or later, and the client certificate.")
        raise Failed(error, advice) from None
    except (ArgensError, OSError) as error:
        raise Failed(error, _("Enter the certificates of this server again.")) from None


def _trusting(node: Node) -> ssl.SSLContext | None:
    """Return what is trusted of a server: roles know each other by the hospital's authorities."""
    return of_roles() if node.kind in {Kind.OWN, Kind.ARCHIVE} else WebAddress.of(node).tls()


def _told(secured: ssl.SSLSocket) -> Step | str:
    found = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    left = (found.not_valid_after_utc - datetime.now(UTC)).days
    said = _("%(version)s, %(subject)s, valid for %(days)s more days") % {
        "version": secured.version(),
        "subject": found.subject.rfc4514_string() or "-",
        "days": left,
    }
    if left >= SOON_DAYS:
        return said
    return Step(_("Certificate"), True, said, _("Renew the server's certificate."), doubtful=True)


def _shown_anyway(host: str, port: int) -> str:
    """Return what the certificate says that is not believed, so that one sees whose it is."""
    try:
        pem = ssl.get_server_certificate((host, port), timeout=WAIT_S)
        found = x509.load_pem_x509_certificate(pem.encode())
    except (OSError, ValueError):
        return _("it shows none without a client certificate")
    return _("it shows %(subject)s of %(issuer)s, valid until %(until)s") % {
        "subject": found.subject.rfc4514_string() or "-",
        "issuer": found.issuer.rfc4514_string() or "-",
        "until": f"{found.not_valid_after_utc:%Y-%m-%d}",
    }


def _advice_on(error: ssl.SSLCertVerificationError) -> str:
    if "expired" in error.verify_message:
        return _("Renew the server's certificate.")
    if "match" in error.verify_message:
        return _("Register the host name that the certificate is made out to.")
    return _("Enter the authority that signed the server's certificate, if it is the right server.")


def _ready(node: Node) -> str:
    client = HttpClient(
        node.url, name=node.name, connect_s=WAIT_S, read_s=WAIT_S, tls=_trusting(node)
    )
    advice = _("Read the reasons at /readyz of the server, and its log.")
    try:
        with client.stream("GET", "/readyz", passing=True) as answer:
            told, status = answer.read(), answer.status_code
    except (ArgensError, httpx.HTTPError) as error:
        raise Failed(error, advice) from None
    finally:
        client.close()
    if status != OK:
        raise Failed(f"{status}: {_reasons(told)}", advice)
    return _("the server says that it is ready")


def _reasons(told: bytes) -> str:
    """Return why a server of ours is not ready; "" where it does not say."""
    try:
        reasons = json.loads(told)["reasons"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return "; ".join(map(str, reasons.values() if isinstance(reasons, dict) else reasons))


def _ticket(node: Node, subject: str) -> str:
    try:
        told = _account(node, subject)
    except (NotAuthenticated, Refused) as error:
        advice = _(
            "Copy portal.pub.pem into the server's trust folder, check that the name here is its "
            "PACS_NODE_NAME, and compare the clocks."
        )
        raise Failed(error, advice) from None
    except ArgensError as error:
        raise Failed(error, _("Check that this is an Argens server of this kind.")) from None
    return _("accepted; version %(version)s") % {"version": told.get("version", "?")}


def _account(node: Node, subject: str) -> dict[str, object]:
    if node.kind == Kind.ARCHIVE:
        issuer = registry.ticket_issuer()
        return ArchiveServer(node.name, node.url, issuer, subject, WAIT_S).status()
    return registry.own_client(node, subject, WAIT_S).status()


def _search(node: Node, subject: str) -> str:
    try:
        told = registry.client_of(node, subject, WAIT_S).status()
    except (NotAuthenticated, Refused) as error:
        advice = _("Check the user, password, token or client certificate, and its rights there.")
        raise Failed(error, advice) from None
    except ArgensError as error:
        advice = _("Check the path of its DICOMweb services (QIDO-RS).")
        raise Failed(error, advice) from None
    return _("a search of one exam is answered in %(ms)s ms") % {"ms": told["took_ms"]}
