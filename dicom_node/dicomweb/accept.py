"""What a caller accepts: media ranges with DICOM's parameters (RFC 9110 12.5.1, PS3.18 8.7.4).

A range that makes no sense is left out, whatever stands beside it; where none is left, nothing is
acceptable. Charsets are not chosen: texts leave here in UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from django.http import HttpRequest

from pacs_common.errors import BadInput, NotAcceptable

ANY = "*"
ANYTHING = "*/*"
JSON_TYPES = ("application/dicom+json", "application/json")
MAX_CHARS, MAX_RANGES = 8192, 64
_TEXTS_REMEMBERED = 64
_MULTIPART = ("multipart/related", "multipart/*")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 9110 5.6.2
_MEDIA_RANGE = re.compile(rf"{_TOKEN}/{_TOKEN}\Z")
_QUALITY = re.compile(r"(?:[01](?:\.[0-9]{0,9})?|\.[0-9]{1,9})\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Accepted:
    """One media range: its type (of the parts, where multipart) and wanted transfer syntax.

    `narrowed` are the caller's more specific ranges, which decide over what they cover.
    """

    media_type: str
    multipart: bool
    transfer_syntax: str | None
    quality: float = 1.0
    narrowed: tuple[Accepted, ...] = ()

    def takes(self, media_type: str, transfer_syntax: str = "") -> bool:
        """True where this range decides over a media type (in a syntax, if given), and wants it."""
        if not self.covers(media_type):
            return False
        if transfer_syntax and self.transfer_syntax not in (None, ANY, transfer_syntax):
            return False
        return not any(
            other.covers(media_type) and other.overrides(self, transfer_syntax)
            for other in self.narrowed
        )

    def covers(self, media_type: str) -> bool:
        """True where a media type lies in the range, its parameters left aside."""
        if self.media_type in (ANYTHING, media_type):
            return True
        return self.media_type == media_type.partition("/")[0] + "/*"

    def overrides(self, other: Accepted, transfer_syntax: str) -> bool:
        """True where what this range says of a syntax counts, and not what `other` says."""
        if self.transfer_syntax in (other.transfer_syntax, transfer_syntax or None):
            return True
        return self.transfer_syntax is None and not self.quality

    @property
    def specificity(self) -> tuple[int, bool]:
        """How narrow the range is: type, then transfer syntax."""
        by_type = 0 if self.media_type == ANYTHING else 1 if self.media_type.endswith("/*") else 2
        return by_type, self.transfer_syntax not in (None, ANY)


@dataclass(frozen=True)
class Offer:
    """A representation that a resource has: a media type (of the parts, where multipart)."""

    media_type: str
    multipart: bool = False

    def __str__(self) -> str:
        kind = f'multipart/related; type="{self.media_type}"'
        return kind if self.multipart else self.media_type


def accepted(request: HttpRequest) -> list[Accepted]:
    """Return the caller's media ranges, best first; `accept=` in the query wins (8.3.3.1).

    Of equal quality the more specific type is first, then what was named first. Ranges of
    quality 0 are left out; what they exclude is not taken by the others.
    """
    return list(ranges_of(*told_by(request)))


def told_by(request: HttpRequest) -> tuple[str, bool]:
    """Return the text that says what is accepted, and whether it stands in the query."""
    in_query = ",".join(request.GET.getlist("accept"))
    return in_query or request.META.get("HTTP_ACCEPT", ""), bool(in_query)


def best(request: HttpRequest, offers: Iterable[Offer]) -> Offer:
    """Return the offer that the caller likes best; of equal ones the first is ours.

    Raises NotAcceptable, which names what is offered.
    """
    given = list(offers)
    for range_ in accepted(request):
        for offer in given:
            if _takes(range_, offer):
                return offer
    raise NotAcceptable(f"this is served as {', '.join(map(str, given))}")


def _takes(range_: Accepted, offer: Offer) -> bool:
    of_this_kind = range_.multipart == offer.multipart
    is_anything = range_.media_type == ANYTHING and not range_.multipart
    return (of_this_kind or is_anything) and range_.takes(offer.media_type)


def _narrowing(range_: Accepted, known: list[Accepted]) -> tuple[Accepted, ...]:
    """Return the ranges that are narrower than one, or exclude it."""
    return tuple(
        other
        for other in known
        if other is not range_
        and other.multipart == range_.multipart
        and (other.specificity > range_.specificity or not other.quality)
        and other.specificity[0] >= range_.specificity[0]
    )


@lru_cache(_TEXTS_REMEMBERED)
def ranges_of(text: str, in_query: bool) -> tuple[Accepted, ...]:
    """Return the ranges of a text, best first; a viewer says the same with each request."""
    known = _ranges(text, unescaped=in_query)
    wanted = [replace(one, narrowed=_narrowing(one, known)) for one in known if one.quality > 0]
    return tuple(sorted(wanted, key=lambda one: (-one.quality, -one.specificity[0])))


def _ranges(text: str, *, unescaped: bool) -> list[Accepted]:
    """Return media ranges in their order; nothing said is everything accepted."""
    if len(text) > MAX_CHARS:
        raise BadInput(f"what is accepted takes more than {MAX_CHARS} characters")
    pieces = [piece for piece in _split(text, ",") if piece.strip()]
    if len(pieces) > MAX_RANGES:
        raise BadInput(f"what is accepted has more than {MAX_RANGES} media ranges")
    if not text.strip(" \t,"):
        return [Accepted(ANYTHING, False, None)]
    found = (_parsed(piece, unescaped=unescaped) for piece in pieces)
    return [range_ for range_ in found if range_ is not None]


def _parsed(text: str, *, unescaped: bool) -> Accepted | None:
    """Return one media range; None for what is none."""
    first, *rest = _split(text, ";")
    media_type = first.strip().lower()
    if unescaped:  # a bare + in a query arrives as a space
        media_type = media_type.replace(" ", "+")
    if not _MEDIA_RANGE.match(media_type):
        return None
    params = _parameters(rest)
    multipart = media_type in _MULTIPART
    of_parts = params.get("type", ANYTHING).lower() if multipart else media_type
    if unescaped:
        of_parts = of_parts.replace(" ", "+")
    if not _MEDIA_RANGE.match(of_parts):
        return None
    return Accepted(of_parts, multipart, params.get("transfer-syntax"), _quality(params))


def _parameters(pieces: Iterable[str]) -> dict[str, str]:
    """Return parameters by their name in lower case; of two of one name the first counts."""
    found: dict[str, str] = {}
    for piece in pieces:
        name, is_given, value = piece.partition("=")
        if is_given:
            found.setdefault(name.strip().lower(), _plain(value.strip()))
    return found


def _plain(value: str) -> str:
    """Return a parameter's value without quotes and the backslashes of quoted pairs."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(r"\1", value[1:-1]).strip()


def _quality(params: dict[str, str]) -> float:
    """Return q from 0 to 1; nonsense counts as not given."""
    text = params.get("q", "1")
    return min(float(text), 1.0) if _QUALITY.match(text) else 1.0


def _split(text: str, separator: str) -> Iterator[str]:
    """Split outside quotes; what an open quote swallows is left out."""
    start, quoted, escaped = 0, False, False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            yield text[start:place]
            start = place + 1
    if not quoted:
        yield text[start:]
