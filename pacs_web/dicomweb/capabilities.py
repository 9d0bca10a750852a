"""Retrieve Capabilities (PS3.18 8.9): what a node can do, the whole network can."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from pacs_common.errors import PeerUnreachable
from pacs_web.dicomweb.addresses import SERVICE, base_of, forwarded
from pacs_web.federation.passing import held, passed_on
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer

ALLOW = "GET, HEAD, POST, DELETE, OPTIONS"


def answer(request: HttpRequest, path: str) -> HttpResponse:
    """Return the capabilities at `path` of the first node that answers, under our address."""
    headers = passed_on(request.headers) | forwarded(request)
    for node in own_clients(request.user.get_username()):
        try:
            return _of(node, request, path, headers)
        except PeerUnreachable:
            continue
    raise PeerUnreachable("no server answers")


def _of(node: OwnServer, request: HttpRequest, path: str, headers: dict[str, str]) -> HttpResponse:
    with node.dicomweb(path, method="OPTIONS", headers=headers) as told:
        response = held(told, node.name)
    theirs = f"{node.http.base_url}{SERVICE}".encode()
    response.content = response.content.replace(theirs, base_of(request).encode())
    response["Allow"] = told.headers.get("Allow", ALLOW)
    return response
