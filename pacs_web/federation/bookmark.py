"""Where a list of exams over many servers goes on: which servers, and how far each was read.

A bookmark pins the servers that answered: one that was silent stays out until the search is made
again, since its exams would come too late in the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing

from pacs_common.errors import BadQuery
from pacs_web.federation.order import Place

SALT = "pacs_web.federation.bookmark"


@dataclass(frozen=True)
class Read:
    """How far one server was read, and whether that was its end."""

    name: str
    upto: Place | None
    ended: bool


@dataclass(frozen=True)
class Bookmark:
    """The servers of a list, those that fell silent, and the last place that was shown."""

    read: tuple[Read, ...]
    silent: tuple[str, ...]
    shown: Place

    @property
    def names(self) -> tuple[str, ...]:
        """Return the servers that are still asked."""
        return tuple(one.name for one in self.read)

    def of(self, name: str) -> Read:
        """Return how far a server was read."""
        return next(one for one in self.read if one.name == name)

    def token(self, bound_to: str) -> str:
        """Return it signed, for an address: it holds no more of a patient than a study's UID.

        It is good only with the same `bound_to`: a search, or a question and who asked it.
        """
        read = [[one.name, *(one.upto or ()), *([1] if one.ended else [])] for one in self.read]
        return signing.dumps([bound_to, read, self.silent, self.shown], salt=SALT, compress=True)


def opened(token: str, bound_to: str) -> Bookmark:
    """Return the bookmark of a token; raises BadQuery for what the portal did not sign for this."""
    try:
        bound, read, silent, shown = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError):
        raise BadQuery("this page of the list is unknown: search again") from None
    if bound != bound_to:
        raise BadQuery("this page belongs to another search: search again")
    return Bookmark(tuple(map(_read, read)), tuple(silent), Place(*shown))


def _read(kept: Sequence[Any]) -> Read:
    name, *rest = kept
    ended = bool(rest) and rest[-1] == 1
    where = rest[:-1] if ended else rest
    return Read(name, Place(*where) if where else None, ended)
