"""Holds: why the archive forbids that a study leaves the node, as its row keeps them.

A row's `holds` is JSON, "" for none; the journal's last record of a study tells the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Hold(NamedTuple):
    """One reason to keep a study: its kind ("legal", "teaching", ...), in words, and by whom."""

    kind: str
    reason: str
    by: str


def packed(holds: Iterable[Hold]) -> str:
    """Return holds as a study's row keeps them; in one order, so that equal ones are equal."""
    found = sorted(set(holds))
    return json.dumps([one._asdict() for one in found]) if found else ""


def unpacked(text: str) -> list[Hold]:
    """Return the holds of a study's row."""
    return [hold_of(told) for told in json.loads(text)] if text else []


def hold_of(told: Mapping[str, str]) -> Hold:
    """Return a hold as the journal and the row tell it."""
    return Hold(told["kind"], told["reason"], told["by"])


def refusal(text: str) -> str:
    """Return why a study's files stay, "" where nothing holds them."""
    found = unpacked(text)
    return f"held: {found[0].kind} ({found[0].reason})" if found else ""
