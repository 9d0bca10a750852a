"""What a search asks for: keys, switches, returned attributes and page (PS3.18 8.3.4, 10.6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import QueryDict
from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword

from dicom_node.index.attributes import ATTRIBUTES, Level
from dicom_node.index.query import COSTLY, Position, Query, known
from dicom_node.index.semantics import Semantics
from dicom_node.index.values import is_number
from pacs_common.errors import BadQuery

ALL = "all"
_SWITCHES = {
    "fuzzymatching": "fuzzy",
    "emptyvaluematching": "empty",
    "multiplevaluematching": "multiple",
}
_CONTROLS = {"limit", "offset", "after", "includefield", "accept", *_SWITCHES}
_UID, _DATE = re.compile(r"[0-9.]{1,64}\Z"), re.compile(r"[\x20-\x7e]{0,64}\Z")
_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")
# In every answer, though they are no columns of the index.
_ADDED = {"SpecificCharacterSet", "RetrieveAETitle", "RetrieveURL", "InstanceAvailability"}


@dataclass(frozen=True)
class SearchRequest:
    """The parameters of a search, `limit` None where the caller names none."""

    keys: dict[str, str]
    semantics: Semantics
    included: frozenset[str]
    limit: int | None
    offset: int
    after: Position | None

    def query(self, level: Level, above: Mapping[str, str], limit: int) -> Query:
        """Return the index's query, under the UIDs of the address; raises BadQuery."""
        twice = self.keys.keys() & above.keys()
        if twice:
            raise BadQuery(f"{min(twice)} is in the address already")
        if self.after is not None and level is not Level.STUDY:
            raise BadQuery("after is a position in a list of studies alone")
        return Query(
            level,
            self.keys | dict(above),
            self.semantics,
            asked=self._answered(level),
            limit=limit,
            offset=self.offset,
            after=self.after,
        )

    def not_held(self, level: Level) -> list[str]:
        """Return what is to be included but is not in answers of this level."""
        held = self._held(level)
        held |= {path.rpartition(".")[0] for path in held} | _ADDED
        return sorted(self.included - held - {ALL})

    def _answered(self, level: Level) -> set[str]:
        """Return what to answer: all that costs nothing, and what is named besides."""
        named = self.included | self.keys.keys()
        return {
            path
            for path in self._held(level)
            if ATTRIBUTES[path].column not in COSTLY
            or not named.isdisjoint((path, path.rpartition(".")[0], ALL))
        }

    @staticmethod
    def _held(level: Level) -> set[str]:
        return {path for path in ATTRIBUTES if known(path, level)}


def read(parameters: QueryDict) -> SearchRequest:
    """Return what the parameters of a search ask for; raises BadQuery with one line."""
    return SearchRequest(
        keys=_keys(parameters),
        semantics=_semantics(parameters),
        included=_included(parameters),
        limit=_number(parameters, "limit") if "limit" in parameters else None,
        offset=_number(parameters, "offset") if "offset" in parameters else 0,
        after=_position(parameters["after"]) if "after" in parameters else None,
    )


def _keys(parameters: QueryDict) -> dict[str, str]:
    keys: dict[str, list[str]] = {}
    for name, values in parameters.lists():
        if name not in _CONTROLS:
            keys.setdefault(_path(name), []).extend(values)
    return {path: "\\".join(values) for path, values in keys.items()}


def _included(parameters: QueryDict) -> frozenset[str]:
    named = [name for value in parameters.getlist("includefield") for name in value.split(",")]
    return frozenset(ALL if name == ALL else _path(name) for name in named if name)


def _semantics(parameters: QueryDict) -> Semantics:
    """Return what the switches of PS3.18 8.3.4 ask for; keys of any level narrow the answers."""
    said = {name: parameters.get(name, "false").lower() for name in _SWITCHES}
    bad = [name for name, value in said.items() if value not in ("true", "false")]
    if bad:
        raise BadQuery(f"{bad[0]} is neither true nor false")
    on = {switch: said[name] == "true" for name, switch in _SWITCHES.items()}
    return Semantics(relational=True, combined=True, **on)


def _path(name: str) -> str:
    """Return an attribute's name, a path of keywords or tags (PS3.18 8.3.4.1), as keywords."""
    return ".".join(_keyword(step, name) for step in name.split("."))


def _keyword(step: str, name: str) -> str:
    if _TAG.match(step):  # a tag outside the dictionary is a private one
        tag = int(step, 16)
        return (keyword_for_tag(tag) if dictionary_has_tag(tag) else "") or step.upper()
    if tag_for_keyword(step) is None:
        raise BadQuery(f"{name[:64]!r} is neither a DICOM keyword nor a tag")
    return step


def _position(text: str) -> Position:
    """Return the place of the study that `DATE,UID` names; the date may be empty."""
    day, comma, uid = text.rpartition(",")
    if not comma or not _UID.match(uid) or not _DATE.match(day):
        raise BadQuery(f"after {text[:80]!r} is no study date and UID with a comma between")
    return Position(day, uid)


def _number(parameters: QueryDict, name: str) -> int:
    text = parameters.get(name, "")
    if not is_number(text) or len(text) > 9:
        raise BadQuery(f"{name} {text[:20]!r} is not a number")
    return int(text)
