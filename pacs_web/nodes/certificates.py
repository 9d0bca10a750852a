"""IT's page of the certificates in use, by their end: of servers, nodes' DICOM, and the portal."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pacs_common.errors import ArgensError, PeerUnreachable
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.addresses import resolved
from pacs_web.nodes.models import Node
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.nodes.testing import SOON_DAYS

WAIT_S = 3.0


@dataclass(frozen=True)
class Held:
    """A certificate: where it is used, whose it is, who vouches for it, and its end."""

    used: str
    subject: str
    issuer: str
    until: datetime

    @property
    def days(self) -> int:
        """Whole days that are left; below 0 where it has ended."""
        return (self.until - datetime.now(UTC)).days

    @property
    def soon(self) -> bool:
        """True where it is time to renew it."""
        return self.days < SOON_DAYS


@dataclass(frozen=True)
class Source:
    """Something that shows a certificate, and how it is read."""

    name: str
    read: Callable[[], list[Held]]


@requires(Right.MANAGE_NODES)
@require_safe
def certificates(request: HttpRequest) -> HttpResponse:
    """Show every certificate in use, the first to end first."""
    sources = list(_sources(request))
    gathered = fan_out(sources, lambda source: source.read(), config.NODE_TIMEOUT_S)
    found = [one for told in gathered.answers.values() for one in told]
    found.sort(key=lambda one: one.until)
    context = {"certificates": found, "failures": gathered.failures}
    return render(request, "nodes/certificates.html", context)


def _sources(request: HttpRequest) -> Iterator[Source]:
    if request.is_secure():
        portal, itself = f"https://{request.get_host()}", _("this portal")
        yield Source("portal", lambda: [_over_tls(portal, itself)])
    if config.AUDIT_SYSLOG_CERT:
        used = _("shown to the receiver of the audit")
        yield Source("audit", lambda: _in_pem(Path(config.AUDIT_SYSLOG_CERT).read_bytes(), used))
    for node in Node.objects.filter(enabled=True):
        yield from _of_node(node)
    for client in own_clients(request.user.get_username()):
        yield _of_dicom(client)


def _of_node(node: Node) -> Iterator[Source]:
    """Yield what a registered server shows, what it is shown, and who is trusted for it."""
    named = {"server": node.name}
    if node.url.startswith("https://"):
        used = _("web address of %(server)s") % named
        yield Source(f"{node.name} HTTPS", lambda: [_over_tls(node.url, used)])
    if node.certificate:
        shown = _("shown to %(server)s") % named
        yield Source(f"{node.name} client", lambda: _in_pem(node.certificate.encode(), shown))
    if node.authority:
        vouches = _("authority of %(server)s") % named
        yield Source(f"{node.name} authority", lambda: _in_pem(node.authority.encode(), vouches))


def _over_tls(url: str, used: str) -> Held:
    """Read what a server shows, believed or not: nothing is told to it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        resolved(host, port)
        pem = ssl.get_server_certificate((host, port), timeout=WAIT_S)
        return _held(x509.load_pem_x509_certificate(pem.encode()), used)
    except (OSError, ValueError, ArgensError) as error:
        raise PeerUnreachable(f"{host}:{port}: {error}") from None


def _in_pem(pem: bytes, used: str) -> list[Held]:
    return [_held(one, used) for one in x509.load_pem_x509_certificates(pem)]


def _of_dicom(client: OwnServer) -> Source:
    """Return how a node is asked for its DICOM port's certificate, in the language of the page."""
    used = _("DICOM port of %(server)s") % {"server": client.name}

    def read() -> list[Held]:
        told = client.status().get("dicom_tls")
        if told is None:
            return []
        until = datetime.fromisoformat(told["not_after"])
        return [Held(used, told["subject"], told["issuer"], until)]

    return Source(f"{client.name} DICOM", read)


def _held(found: x509.Certificate, used: str) -> Held:
    subject, issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
    return Held(used, subject, issuer, found.not_valid_after_utc)
