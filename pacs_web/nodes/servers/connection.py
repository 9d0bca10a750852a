"""The way to a foreign web server: where it is, how it is told who asks, whom it is trusted by."""

from __future__ import annotations

import base64
import ssl
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pacs_common.errors import BadInput, PeerUnreachable
from pacs_common.http import HttpClient
from pacs_web.nodes.addresses import checked_url, resolved
from pacs_web.nodes.models import Authentication, Node
from pacs_web.nodes.sealing import unsealed

CONNECT_S = 2.0


@dataclass(frozen=True)
class WebAddress:
    """What of a row says how its server is reached: equal addresses share one connection."""

    name: str
    url: str
    authentication: str = Authentication.NONE
    user: str = ""
    sealed_secret: str = ""
    certificate: str = ""
    sealed_key: str = ""
    authority: str = ""

    @classmethod
    def of(cls, node: Node) -> WebAddress:
        """Return the address of a registered server."""
        return cls(**{name: getattr(node, name) for name in cls.__dataclass_fields__})

    def authorization(self) -> str:
        """Return the Authorization header ("" for none); PeerUnreachable where it is unreadable."""
        secret = unsealed(self.sealed_secret, self.name)
        if self.authentication == Authentication.BEARER:
            return f"Bearer {secret}"
        if self.authentication == Authentication.BASIC:
            pair = f"{self.user}:{secret}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return ""

    def tls(self) -> ssl.SSLContext | None:
        """Return whom to trust and what to show, for https; raises PeerUnreachable."""
        if not self.url.startswith("https://"):
            return None
        key = unsealed(self.sealed_key, self.name)
        try:
            return context(self.authority, self.certificate, key)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise PeerUnreachable(
                f"{self.name}: its certificates cannot be used: {error}"
            ) from None


def context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return a client's TLS: `authority` alone is trusted where given, else the machine's own list.

    All three are PEM. Raises ssl.SSLError or ValueError for what is none.
    """
    made = ssl.create_default_context(cadata=authority or None)
    if certificate:
        with tempfile.TemporaryDirectory(prefix="argens-") as folder:  # ssl reads files alone
            paper = Path(folder, "client.pem")
            paper.touch(mode=0o600)
            paper.write_text(f"{certificate.strip()}\n{key.strip()}\n", encoding="ascii")
            made.load_cert_chain(paper, password=_no_password)
    return made


def _no_password() -> str:
    raise ValueError("the key is encrypted: give it without a passphrase")


class Connection:
    """The connections to one server, opened at the first question; safe between threads."""

    def __init__(self, address: WebAddress, read_s: float) -> None:
        self.address = address
        self._read_s = read_s
        self._lock = threading.Lock()
        self._http: HttpClient | None = None

    @property
    def http(self) -> HttpClient:
        """The client; raises PeerUnreachable where the registered address may not be asked."""
        with self._lock:
            if self._http is None:
                self._http = self._opened()
            return self._http

    def close(self) -> None:
        """Let go of every connection."""
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    def _opened(self) -> HttpClient:
        address = self.address
        try:
            parts = urlsplit(checked_url(address.url))
            resolved(parts.hostname or "", parts.port or 443)
        except (BadInput, OSError) as error:
            raise PeerUnreachable(f"{address.name}: {error}") from None
        return HttpClient(
            address.url,
            name=address.name,
            connect_s=min(CONNECT_S, self._read_s),
            read_s=self._read_s,
            authorization=address.authorization(),
            tls=address.tls(),
        )
