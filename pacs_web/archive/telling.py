"""Texts of the archive, told in the reader's language; what is no sentence of it stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from pacs_common import sentences
from pacs_web import amounts
from pacs_web.archive import volumes, words
from pacs_web.archive.sentences import SENTENCES

MOST_NESTED = 5  # sentences in sentences
ARCHIVE = "the archive"  # as it names itself in what it answers
_WORDS: Mapping[str, words.Words] = {
    "job_kind": words.JOB_KINDS,
    "job_state": words.JOB_STATES,
    "job_act": words.JOB_MOVES,
    "list_state": words.LIST_STATES,
    "volume_state": words.VOLUME_STATES,
    "volume_act": volumes.ACTIONS,
    "vault_kind": words.VAULT_KINDS,
    "hold_kind": words.HOLD_KINDS,
}


def in_language(text: object, depth: int = 0) -> str:
    """Return a text of the archive in the reader's language, nested sentences too."""
    said = str(text or "")
    found = sentences.read(said)
    if found is None or depth > MOST_NESTED:
        return said
    key, values = found
    shown = {name: _shown(name, value, depth) for name, value in values.items()}
    return str(SENTENCES[key] % shown) if key in SENTENCES else said


def refusal(error: Exception) -> str:
    """Return why the archive did not do something: its own reason, without "it answered 409"."""
    found = sentences.read(str(error))
    if found is not None and found[0] == "peer-answered" and found[1]["peer"] == ARCHIVE:
        return in_language(found[1]["why"])
    return in_language(error)


def percent(share: float) -> str:
    """Return a share of 1 in percent, with a decimal where it has one."""
    number = round(100 * share, 1)
    return _("%(n)s%%") % {"n": number_format(number, 0 if number == int(number) else 1)}


def plain(number: float) -> str:
    """Return a number as the language writes it, with no more decimals than it has."""
    short = f"{number:.3f}".rstrip("0")
    return str(number_format(number, len(short.partition(".")[2])))


def _moment(at: Any) -> str:
    return date_format(timezone.localtime(at), "d/m/Y H:i")


_KINDS: Mapping[str, Callable[[Any], object]] = {
    "bytes": amounts.size,
    "at": _moment,
    "on": lambda day: date_format(day, "d/m/Y"),
    "days": plain,
    "s": plain,
    "percent": percent,
    "count": int,
}


def _shown(name: str, value: Any, depth: int) -> object:
    if name in sentences.NESTED:
        return in_language(value, depth + 1)
    if name in _WORDS:
        word = str(words.said(_WORDS[name], value)).rstrip("…")
        return word[:1].lower() + word[1:] if name == "hold_kind" else word  # never in front
    ending = name.rpartition("_")[2] if "_" in name else ""
    return _KINDS[ending](value) if ending in _KINDS else value
