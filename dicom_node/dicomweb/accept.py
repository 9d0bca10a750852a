"""What a caller accepts: media types with DICOM's parameters (PS3.18 8.7.4 to 8.7.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest

from pacs_common.errors import NotAcceptable

ANY = "*"
JSON_TYPES = ("application/dicom+json", "application/json")


@dataclass(frozen=True)
class Accepted:
    """One media range: its type (of the parts, where multipart) and wanted transfer syntax."""

    media_type: str
    multipart: bool
    transfer_syntax: str | None

    def takes(self, media_type: str) -> bool:
        """True where the range covers a media type."""
        if self.media_type in ("*/*", media_type):
            return True
        return self.media_type == media_type.partition("/")[0] + "/*"


def accepted(request: HttpRequest) -> list[Accepted]:
    """Return the caller's media ranges, best first; `accept=` in the query wins (8.3.3.1)."""
    header = request.GET.get("accept") or request.headers.get("Accept") or "*/*"
    ranges = [_parsed(text) for text in _split(header, ",")]
    ranges = [(media_type, params) for media_type, params in ranges if _quality(params) > 0]
    ranges.sort(key=lambda range_: _quality(range_[1]), reverse=True)
    return [_accepted(media_type, params) for media_type, params in ranges]


def require_json(request: HttpRequest) -> None:
    """Raise NotAcceptable unless the caller takes DICOM JSON."""
    if not any(a.takes(name) and not a.multipart for a in accepted(request) for name in JSON_TYPES):
        raise NotAcceptable("this is served as application/dicom+json")


def _accepted(media_type: str, params: dict[str, str]) -> Accepted:
    multipart = media_type in ("multipart/related", "multipart/*")
    of_parts = params.get("type", "*/*").lower() if multipart else media_type
    return Accepted(of_parts, multipart, params.get("transfer-syntax"))


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    media_type, *pieces = _split(text, ";") or [""]
    named = (piece.partition("=") for piece in pieces)
    return media_type.strip().lower(), {n.strip().lower(): _plain(v) for n, _, v in named}


def _plain(value: str) -> str:
    return value.strip().strip('"').strip()


def _quality(params: dict[str, str]) -> float:
    """Return q from 0 to 1; nonsense counts as not given."""
    try:
        quality = float(params.get("q", "1"))
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0


def _split(header: str, separator: str) -> list[str]:
    """Split outside quotes; empty pieces are left out."""
    return [piece for piece in _pieces(header, separator) if piece.strip()]


def _pieces(header: str, separator: str) -> Iterator[str]:
    quoted, current = False, ""
    for char in header:
        quoted ^= char == '"'
        if char == separator and not quoted:
            yield current
            current = ""
        else:
            current += char
    yield current
