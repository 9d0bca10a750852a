"""What nginx in front of the portal must know to fetch from the nodes itself (X-Accel-Redirect).

A node that is missing there, because it is new or cannot be told safely, is no fault: the portal
passes on what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from pacs_common.errors import BadInput
from pacs_web import config
from pacs_web.nodes.addresses import resolved
from pacs_web.nodes.models import Node

MACHINES_LIST = "/etc/ssl/certs/ca-certificates.crt"
_HOST, _PATH = re.compile(r"[A-Za-z0-9.-]{1,253}"), re.compile(r"[\w./~-]*", re.ASCII)
_ASKED = ("Accept-Charset", "Accept-Encoding", "If-Modified-Since", "If-None-Match")
_ASKED_PART = ("If-Range", "Range")
_HIDDEN = (
    *("Cache-Control", "Expires", "Set-Cookie", "WWW-Authenticate", "X-Frame-Options"),
    *("X-Request-Id", "Strict-Transport-Security", "Access-Control-Allow-Origin"),
    *("Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"),
)
_KEPT = {  # of the portal's answer, before the node's takes its place
    "ticket": "x_argens_ticket",
    "accept": "x_argens_accept",
    "base": "x_argens_base",
    "cache": "x_argens_cache",
    "trace": "x_request_id",
    "vary": "vary",
}
_HSTS = "max-age=31536000; includeSubDomains"
_REFUSALS = "400 401 403 404 405 406 408 409 410 413 415 429 500 501 502 503 504 507"


@dataclass(frozen=True)
class Upstream:
    """A node as nginx is told of it: its addresses, resolved now, and the name it must prove."""

    id: int
    scheme: str
    host: str
    port: int
    path: str
    addresses: list[str]


def upstreams(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the lines for nginx's http { }."""
    yield "# Made by `manage.py web nginx upstreams`; make it anew when a node is added or moves."
    for node in nodes:
        told = _told(node)
        if isinstance(told, str):
            yield f"# {node.name}: {told}: the portal passes on what it has"
            continue
        servers = (f"server {one}:{told.port} max_fails=0;" for one in told.addresses)
        yield f"upstream argens_node_{told.id} {{  # {node.name}"
        yield from (f"    {one}" for one in (*servers, "keepalive 16;", "keepalive_timeout 5s;"))
        yield "}"


def locations(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the lines for the server { } of the portal's site."""
    yield "# Made by `manage.py web nginx locations`; make it anew when a node is added or moves."
    yield from _block(
        config.ACCEL_PREFIX, ["error_page 404 = @argens_relay;", "return 404;"], "others"
    )
    for node in nodes:
        told = _told(node)
        if not isinstance(told, str):
            place = f"{config.ACCEL_PREFIX}{told.id}/"
            yield from _block(place, _fetching(told), node.name)


def _told(node: Node) -> Upstream | str:
    """Return a node for nginx, or why it cannot be told of it."""
    try:
        parts = urlsplit(node.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        found = resolved(host, port)
    except (ValueError, OSError, BadInput) as error:
        return f"its address cannot be used ({' '.join(str(error).split())})"
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(parts.path):
        return "its address is not of letters, digits, dots and hyphens"
    if parts.scheme == "https" and host in found:
        return "nginx holds no certificate against a bare IP address"
    addresses = [f"[{one}]" if ":" in one else one for one in found]
    return Upstream(node.pk, parts.scheme, host, port, parts.path.rstrip("/"), addresses)


def _block(place: str, lines: Iterable[str], whose: str) -> Iterator[str]:
    yield f"location {place} {{  # {whose}"
    yield from (f"    {line}" for line in ("internal;", *lines))
    yield "}"


def _fetching(told: Upstream) -> Iterator[str]:
    yield from (f"set $argens_{name} $upstream_http_{kept};" for name, kept in _KEPT.items())
    yield f"proxy_pass {told.scheme}://argens_node_{told.id}{told.path}/;"
    if told.scheme == "https":
        yield "proxy_ssl_verify on;"
        yield "proxy_ssl_verify_depth 4;"
        yield f"proxy_ssl_trusted_certificate {config.CA_FILE or MACHINES_LIST};"
        yield f"proxy_ssl_name {told.host};"
        yield "proxy_ssl_server_name on;"
        yield "proxy_ssl_protocols TLSv1.2 TLSv1.3;"
    yield "proxy_pass_request_headers off;"
    yield f"proxy_set_header Host {told.host}:{told.port};"
    yield 'proxy_set_header Connection "";'
    yield "proxy_set_header Authorization $argens_ticket;"
    yield "proxy_set_header Accept $argens_accept;"
    yield "proxy_set_header X-Forwarded-Base $argens_base;"
    yield "proxy_set_header X-Request-Id $argens_trace;"
    for name in (*_ASKED, *_ASKED_PART):
        yield f"proxy_set_header {name} $http_{name.lower().replace('-', '_')};"
    yield "proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate;"
    yield from (f"proxy_hide_header {name};" for name in _HIDDEN)
    yield "proxy_connect_timeout 2s;"
    yield "proxy_read_timeout 30s;"
    yield "proxy_intercept_errors on;"
    yield f"error_page {_REFUSALS} = @argens_relay;"
    yield f'add_header Strict-Transport-Security "{_HSTS}" always;'
    yield "add_header X-Frame-Options $argens_framing always;"
    yield "add_header Referrer-Policy same-origin always;"
    yield "add_header Cross-Origin-Opener-Policy same-origin always;"
    yield "add_header X-Request-Id $argens_trace always;"
    yield "add_header Cache-Control $argens_cache always;"
    yield "add_header Vary $argens_vary always;"
