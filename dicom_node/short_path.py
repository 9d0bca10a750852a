"""A short path to what viewers ask for hundreds of times: one frame, picture or thumbnail.

Django's own way of a request (signals, middleware, the search for the address) takes it longer than
the view needs. Plain requests for such an address go straight to the view of the address table, by
its guard. Whatever is not plain, or does not end in a picture or frame, goes the whole way: there
is no answer that only the short path gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.http import HttpResponse, HttpResponseBase
from django.urls import ResolverMatch, resolve
from django.utils.cache import patch_vary_headers

from dicom_node.api.answers import harmless
from dicom_node.api.guard import traced
from pacs_common.errors import ArgensError
from pacs_common.logs import trace_id
from pacs_common.measures.served import remember

_UID = r"[0-9.]{1,64}"
_ADDRESS = re.compile(
    rf"/dicom-web/studies/(?P<study_uid>{_UID})/series/(?P<series_uid>{_UID})"
    rf"/instances/(?P<sop_uid>{_UID})(?:/frames/(?P<numbers>[0-9]{{1,8}}))?"
    r"(?:/(?P<what>rendered|thumbnail))?\Z"
)
# What middleware or the server answers by: a request with any of them goes the whole way.
_NOT_PLAIN = ("HTTP_ORIGIN", "HTTP_RANGE", "HTTP_EXPECT")
_SENT_SO = (
    *("image/", 'multipart/related; type="image/'),
    *("application/octet-stream", 'multipart/related; type="application/octet-stream"'),
)
Respond = Callable[[WSGIRequest], HttpResponseBase]
StartResponse = Callable[..., object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class ShortPath:
    """A WSGI application before Django's: answers plain requests for frames and pictures."""

    def __init__(self, application: Application) -> None:
        self.whole_way = application
        self._known: dict[tuple[bool, str], tuple[ResolverMatch, Respond]] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, on the short path or on the whole way."""
        asked = _ADDRESS.match(environ["PATH_INFO"]) if _is_plain(environ) else None
        answer = self._answer(environ, asked) if asked else None
        if answer is None:
            return self.whole_way(environ, start_response)
        start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.items()))
        file = getattr(answer, "file_to_stream", None)
        if file is not None and "wsgi.file_wrapper" in environ:
            return environ["wsgi.file_wrapper"](file, answer.block_size)
        return answer if answer.streaming else tuple(answer)

    def _answer(self, environ: dict[str, Any], asked: re.Match[str]) -> HttpResponseBase | None:
        """Return a whole answer; None for anything that is not one frame or picture."""
        named = {name: value for name, value in asked.groupdict().items() if value}
        what = named.pop("what", "")
        if not what and "numbers" not in named:
            return None
        request = WSGIRequest(environ)
        request.named = named
        request.resolver_match, respond = self._at("numbers" in named, what, asked[0])
        connection.close_if_unusable_or_obsolete()
        token = trace_id.set(traced(request))
        try:
            answer = respond(request)
        finally:
            trace_id.reset(token)
        if not _is_sent(answer):
            return None
        remember(request)
        harmless(answer)
        patch_vary_headers(answer, ("origin",))
        return answer

    def _at(self, is_frame: bool, what: str, address: str) -> tuple[ResolverMatch, Respond]:
        """Return what the address table says, which is the same for all addresses of a kind."""
        kind = is_frame, what
        if kind not in self._known:
            match = resolve(address)
            self._known[kind] = match, _responding(match.func.views["GET"])
        return self._known[kind]


def _responding(view: Callable[..., HttpResponseBase]) -> Respond:
    """Return a view that raises nothing; what it refuses, the whole way refuses, and tells why."""

    def respond(request: WSGIRequest) -> HttpResponseBase:
        try:
            return view(request, **request.named)
        except ArgensError as error:
            return HttpResponse(status=error.http_status)

    return convert_exception_to_response(respond)


def _is_plain(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "GET" and not any(name in environ for name in _NOT_PLAIN)


def _is_sent(answer: HttpResponseBase) -> bool:
    """Whether an answer is a picture or a frame, or that the caller has it; any other is closed."""
    content_type = answer.get("Content-Type", "")
    is_sent = answer.status_code == 304 or (
        answer.status_code == 200 and content_type.startswith(_SENT_SO)
    )
    if not is_sent:
        answer.close()
    return is_sent
