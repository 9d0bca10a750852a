"""Keeps a person's searches in the session, so that no address names a patient."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.urls import reverse

KEY = "searches"
KEPT = 20
QUICK = "quick"  # the quick button that was pressed: its days are those of today
LIVE = "live"  # the page's script asks for the answers as they arrive

Typed = dict[str, list[str]]


def keep(session: SessionBase, typed: Mapping[str, list[str]]) -> str:
    """Keep what was typed and return the opaque id that finds it again in this session."""
    search_id = secrets.token_urlsafe(9)
    searches: dict[str, Any] = {**session.get(KEY, {}), search_id: dict(typed)}
    session[KEY] = dict(list(searches.items())[-KEPT:])
    return search_id


def kept(session: SessionBase, search_id: str) -> Typed | None:
    """Return what was typed for a search of this session, or None."""
    return session.get(KEY, {}).get(search_id)


def latest(session: SessionBase) -> str | None:
    """Return the id of the last search of this session."""
    return next(reversed(session.get(KEY, {})), None)


def address(search_id: str, *, live: bool = False) -> str:
    """Return where the results of a kept search are."""
    return f"{reverse('search')}?search={search_id}" + (f"&{LIVE}=1" if live else "")
