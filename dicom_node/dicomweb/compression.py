"""Brotli and gzip for JSON and XML answers, as the caller takes them (RFC 9110 12.5.3).

Django's GZipMiddleware knows no Brotli, weakens each ETag and pads against BREACH. That attack
needs a browser which is made to send its own credentials; here they come in Authorization, and
behind the portal in a SameSite cookie, so nothing is padded and each coding has a strong tag.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from dicom_node.dicomweb.conditional import coded

MIN_BYTES = 512  # less does not shrink below one network packet
GZIP_LEVEL, BROTLI_QUALITY = 5, 4
_GZIP_WINDOW = 31
_TYPES = {
    "application/dicom+json",
    "application/dicom+xml",
    "application/json",
    "application/problem+json",
    "application/xml",
}
_MULTIPART = 'multipart/related; type="application/dicom+xml"'
_UNTOUCHED = {204, 206, 304}


class CompressAnswers:
    """Compresses what is text and is not compressed yet; streams stay streams."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request, compressed where the caller takes it."""
        answer = self._get_response(request)
        if not _is_text(answer) or request.META["REQUEST_METHOD"] == "HEAD":
            return answer
        patch_vary_headers(answer, ("Accept-Encoding",))
        coding = preferred(request.headers.get("Accept-Encoding", ""), ("br", "gzip"))
        if coding and (answer.streaming or len(answer.content) >= MIN_BYTES):
            _compress(answer, coding)
        return answer


def preferred(header: str, offered: Iterable[str]) -> str:
    """Return the coding that an Accept-Encoding header likes best, "" for none of them.

    Among equals the first offered wins; identity wins where it is liked better than any.
    """
    liked = _qualities(header)
    best, quality = "", 0.0
    for coding in offered:
        found = liked.get(coding, liked.get("*", 0.0))
        if found > quality:
            best, quality = coding, found
    return best if quality >= liked.get("identity", 0.0) else ""


def _qualities(header: str) -> dict[str, float]:
    found = {}
    for text in header.split(","):
        name, *params = (piece.strip().lower() for piece in text.split(";"))
        values = [param[2:] for param in params if param.startswith("q=")]
        if name:
            found["gzip" if name == "x-gzip" else name] = _quality(values)
    return found


def _quality(values: list[str]) -> float:
    try:
        quality = float(values[0]) if values else 1.0
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def _is_text(answer: HttpResponseBase) -> bool:
    content_type = answer.get("Content-Type", "")
    is_ours = content_type.partition(";")[0] in _TYPES or content_type.startswith(_MULTIPART)
    is_open = answer.status_code not in _UNTOUCHED and not answer.has_header("Content-Encoding")
    return is_ours and is_open and "no-transform" not in answer.get("Cache-Control", "")


def _compress(answer: HttpResponseBase, coding: str) -> None:
    if answer.streaming:
        answer.streaming_content = _pieces(answer.streaming_content, coding)
        del answer["Content-Length"]
    elif isinstance(answer, HttpResponse):
        answer.content = b"".join(_pieces([answer.content], coding))
        answer["Content-Length"] = str(len(answer.content))
    answer["Content-Encoding"] = coding
    if answer.has_header("ETag"):
        answer["ETag"] = coded(answer["ETag"], coding)


def _pieces(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    if coding == "br":
        engine = brotli.Compressor(quality=BROTLI_QUALITY)
        step, finish = engine.process, engine.finish
    else:
        deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        step, finish = deflate.compress, deflate.flush
    for chunk in chunks:
        if piece := step(chunk):
            yield piece
    yield finish()
