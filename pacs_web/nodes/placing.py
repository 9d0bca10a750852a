"""Which server takes a new exam: pure rules, of which the first that fits decides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol


@dataclass(frozen=True)
class Facts:
    """What the first object of a new exam says of itself ("" where it does not)."""

    modality: str = ""
    sources: tuple[str, ...] = ()
    """The station that made it (0008,1010), and the AE title that sent it (0002,0016)."""
    departments: tuple[str, ...] = ()
    """Institutional department (0008,1040) and requesting service (0032,1033)."""


class Rule(Protocol):
    """One rule: what it is for, each "" for anything; `node` names the server."""

    modalities: str
    source: str
    department: str

    @property
    def server(self) -> str:
        """The server that takes what fits."""


def place(rules: Iterable[Rule], facts: Facts, able: set[str]) -> str | None:
    """Return the server of the first rule that fits, among the servers that are `able`."""
    return next((one.server for one in rules if one.server in able and fits(one, facts)), None)


def fits(rule: Rule, facts: Facts) -> bool:
    """Whether all that a rule names is so; patterns may hold * and ?, in any case of letters."""
    modalities = modalities_of(rule.modalities)
    return (
        (not modalities or facts.modality.upper() in modalities)
        and (not rule.source or any(_like(one, rule.source) for one in facts.sources))
        and (not rule.department or any(_like(one, rule.department) for one in facts.departments))
    )


def modalities_of(written: str) -> list[str]:
    """Return the modalities of a list: "CT, MR"."""
    return [one.upper() for one in re.split(r"[\s,;]+", written) if one]


def _like(value: str, pattern: str) -> bool:
    literal = re.sub(r"\[", "[[]", pattern.strip().casefold())  # only * and ? are special
    return fnmatchcase(value.strip().casefold(), literal)
