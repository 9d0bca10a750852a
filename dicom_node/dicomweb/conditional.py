"""Conditional requests: what the caller has already is not sent again (RFC 9110 13, PS3.18 8.4).

Tags are quoted, and strong where each answer has the same bytes. A compressed form is another
representation, with a tag of its own (RFC 9110 8.8.3.3): the coding is its suffix, and whoever
shows any of them is known.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import http_date, parse_etags, parse_http_date_safe

Answer = TypeVar("Answer", bound=HttpResponseBase)
VARY = ("Accept", "Accept-Encoding", "Authorization")
CODINGS = ("gzip", "br")


def tag(*parts: object) -> str:
    """Return a strong entity tag of what an answer depends on."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace"))
    return f'"{digest.hexdigest()[:32]}"'


def coded(etag: str, coding: str) -> str:
    """Return the tag of a content-coded form; a weak tag stays as it is."""
    return f'{etag[:-1]}-{coding}"' if etag.startswith('"') and coding in CODINGS else etag


def not_modified(
    request: HttpRequest, etag: str, last_modified: datetime | None = None, *, max_age_s: int = 0
) -> HttpResponse | None:
    """Return 304 where the caller has this representation (in any coding), else None.

    If-None-Match counts before If-Modified-Since (13.2.2).
    """
    known = _known_tag(request, etag)
    if known is None and not _is_older(request, last_modified):
        return None
    return stamped(HttpResponse(status=304), known or etag, last_modified, max_age_s=max_age_s)


def stamped(
    answer: Answer, etag: str, last_modified: datetime | None = None, *, max_age_s: int = 0
) -> Answer:
    """Give an answer its tag and its caching: by the caller alone, who asks again after the age."""
    answer["ETag"] = etag
    if last_modified is not None:
        answer["Last-Modified"] = http_date(last_modified.timestamp())
    if max_age_s:
        patch_cache_control(answer, private=True, max_age=max_age_s)
    else:
        patch_cache_control(answer, private=True, no_cache=True)
    patch_vary_headers(answer, VARY)
    return answer


def unkept(answer: Answer) -> Answer:
    """Give an answer no tag: a file is damaged, and when it is back the answer is another."""
    patch_cache_control(answer, private=True, no_store=True)
    patch_vary_headers(answer, VARY)
    return answer


def _known_tag(request: HttpRequest, etag: str) -> str | None:
    """Return the tag of ours that the caller shows; comparison is weak (13.1.2)."""
    shown = {name.removeprefix("W/") for name in parse_etags(_header(request, "If-None-Match"))}
    ours = (etag, *(coded(etag, coding) for coding in CODINGS))
    if "*" in shown:
        return etag
    return next((name for name in ours if name.removeprefix("W/") in shown), None)


def _is_older(request: HttpRequest, last_modified: datetime | None) -> bool:
    if last_modified is None or "If-None-Match" in request.headers:
        return False
    since = parse_http_date_safe(_header(request, "If-Modified-Since"))
    return since is not None and int(last_modified.timestamp()) <= since


def _header(request: HttpRequest, name: str) -> str:
    return request.headers.get(name, "")
