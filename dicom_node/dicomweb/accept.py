"""What a caller accepts: media types with DICOM's parameters (PS3.18 8.7.4 to 8.7.7)."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.http.request import MediaType

ANY = "*"


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
    ranges = [MediaType(token) for token in _split(header) if token.strip()]
    ranges = [media for media in ranges if media.quality > 0]
    ranges.sort(key=lambda media: media.quality, reverse=True)
    return [_accepted(media) for media in ranges]


def _accepted(media: MediaType) -> Accepted:
    params = {name.lower(): value for name, value in media.params.items()}
    multipart = (media.main_type, media.sub_type) == ("multipart", "related")
    media_type = params.get("type", "*/*") if multipart else f"{media.main_type}/{media.sub_type}"
    return Accepted(media_type.strip('"').lower(), multipart, params.get("transfer-syntax"))


def _split(header: str) -> list[str]:
    """Split at commas outside quotes."""
    parts, quoted, current = [], False, ""
    for char in header:
        quoted ^= char == '"'
        if char == "," and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]
