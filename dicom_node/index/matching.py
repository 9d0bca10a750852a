"""One key of a query against one column (PS3.4 C.2.2.2), as a condition in SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from dicom_node.index import moments
from dicom_node.index.attributes import Attribute, Match
from dicom_node.index.moments import Range
from dicom_node.index.names import fold_name, fold_text
from dicom_node.index.semantics import PLAIN, Semantics
from dicom_node.index.sounds import sound_of
from dicom_node.models import Instance, Series
from pacs_common.errors import BadQuery
from pacs_common.uids import MAX_LENGTH

_NUMBER = re.compile(r"[+-]?[0-9]{1,12}\Z")
_UID = re.compile(r"[0-9.]{1,64}\Z")
MAX_UIDS = 10_000
MAX_KEY_CHARS = 256  # the longest text that is matched is a PN of three groups of 64
EMPTY = '""'
_CLASSES = (
    f"EXISTS (SELECT 1 FROM {Instance._meta.db_table} x"  # noqa: S608 - table names only
    f" JOIN {Series._meta.db_table} y ON y.id = x.series_id WHERE y.study_id = %s"
    " AND NOT x.rejected AND %s)"
)


@dataclass(frozen=True)
class Condition:
    """A condition in SQL with its parameters; "" holds for every row."""

    sql: str = ""
    params: tuple[Any, ...] = ()


ALWAYS = Condition()


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that every one of them holds."""
    kept = [condition for condition in conditions if condition.sql]
    return Condition(
        " AND ".join(condition.sql for condition in kept),
        tuple(param for condition in kept for param in condition.params),
    )


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that at least one of them holds."""
    given = list(conditions)
    if len(given) == 1 or not all(condition.sql for condition in given):
        return given[0] if len(given) == 1 else ALWAYS
    joined = " OR ".join(condition.sql for condition in given)
    return Condition(f"({joined})", tuple(param for each in given for param in each.params))


def is_universal(value: str) -> bool:
    """True for a key that matches everything, absent values too (PS3.4 C.2.2.2.3)."""
    return value.strip(" \0") in ("", "*")


def condition(
    attribute: Attribute, column: str, value: str, semantics: Semantics = PLAIN
) -> Condition:
    """Return the condition of one key on its column, which `column` names in SQL.

    Raises BadQuery with one line where the value makes no sense for the attribute.
    """
    plain = value.strip(" \0")
    if is_universal(value) or attribute.match is Match.NONE:
        return ALWAYS
    if plain == EMPTY and semantics.empty:
        return _empty(attribute, column)
    try:
        if attribute.match in (Match.UID, Match.CLASSES):
            return _BY_MATCH[attribute.match](column, plain, semantics)
        _require_matchable(plain)
        several = [part.strip() for part in _values(attribute, plain) if part.strip()]
        each = [_BY_MATCH[attribute.match](column, part, semantics) for part in several]
    except BadQuery as error:
        raise BadQuery(f"{attribute.keyword}: {error}") from None
    joined = all_of if semantics.multiple and attribute.match in _MULTIPLE else any_of
    return joined(each or [ALWAYS])


def split_uids(value: str) -> list[str]:
    """Return the UIDs of a list: by backslash (PS3.4), or by comma (QIDO-RS)."""
    uids = [uid.strip(" \0") for uid in re.split(r"[\\,]", value)]
    uids = [uid for uid in uids if uid]
    bad = [uid for uid in uids if not _UID.match(uid)]
    if bad:
        raise BadQuery(f"{bad[0][:MAX_LENGTH]!r} is not a UID")
    if len(uids) > MAX_UIDS:
        raise BadQuery(f"more than {MAX_UIDS} UIDs in one key")
    return uids


def between(column: str, limits: Range) -> Condition:
    """Return the condition of a range; an absent value lies in none."""
    found = [] if limits.low else [Condition(f"{column} > ''")]
    if limits.low and limits.low == limits.high:
        return Condition(f"{column} = %s", (limits.low,))
    if limits.low:
        found.append(Condition(f"{column} >= %s", (limits.low,)))
    if limits.high:
        found.append(Condition(f"{column} <= %s", (limits.high,)))
    return all_of(found)


def wild(column: str, pattern: str) -> Condition:
    """Return wild card matching: `*` any run, `?` one character; case counts on every database.

    Both databases look a fixed beginning up in the column's index.
    """
    if connection.vendor == "postgresql":
        return Condition(f"{column} LIKE %s", (as_like(pattern),))
    return Condition(f"{column} GLOB %s", (pattern.replace("[", "[[]"),))


def as_like(pattern: str) -> str:
    """Return a wild card pattern as LIKE takes it."""
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def _values(attribute: Attribute, value: str) -> list[str]:
    separators = r"[\\,]" if attribute.match is Match.MODALITIES else r"\\"
    return re.split(separators, value)


def _require_matchable(value: str) -> None:
    if len(value) > MAX_KEY_CHARS:
        raise BadQuery(f"more than {MAX_KEY_CHARS} characters")
    if "\0" in value:
        raise BadQuery("a NUL character cannot be matched")


def _empty(attribute: Attribute, column: str) -> Condition:
    if attribute.match is Match.CLASSES:
        raise BadQuery(f"{attribute.keyword}: a study is never without one")
    return Condition(f"{column} IS NULL" if attribute.match is Match.NUMBER else f"{column} = ''")


def _uid(column: str, value: str, _semantics: Semantics) -> Condition:
    uids = split_uids(value)
    if len(uids) == 1:
        return Condition(f"{column} = %s", (uids[0],))
    places = ", ".join(["%s"] * len(uids))
    return Condition(f"{column} IN ({places})", tuple(uids)) if uids else ALWAYS


def _classes(study: str, value: str, semantics: Semantics) -> Condition:
    inner = _uid("x.sop_class", value, semantics)
    return Condition(_CLASSES % (study, inner.sql), inner.params) if inner.sql else ALWAYS


def _text(column: str, value: str, _semantics: Semantics) -> Condition:
    if "*" in value or "?" in value:
        return wild(column, value)
    return Condition(f"{column} = %s", (value,))


def _folded(column: str, value: str, semantics: Semantics) -> Condition:
    return _text(_beside(column, "key"), fold_text(value), semantics)


def _listed(column: str, value: str, _semantics: Semantics) -> Condition:
    return wild(f"('\\' || {column} || '\\')", f"*\\{value}\\*")


def _modalities(column: str, value: str, semantics: Semantics) -> Condition:
    return _listed(column, value.upper(), semantics)


def _names(column: str, value: str, _semantics: Semantics) -> Condition:
    keys = _folded_groups(value)
    return any_of(wild(_beside(column, "key"), f"*\\{key}\\*") for key in keys) if keys else ALWAYS


def _name(column: str, value: str, semantics: Semantics) -> Condition:
    keys = _folded_groups(value)
    found = [_text(_beside(column, "key"), key, semantics) for key in keys]
    for key in keys:
        if key.endswith("^*") and key.strip("^*"):  # trailing components may be absent
            found.append(_text(_beside(column, "key"), key.rstrip("^*"), semantics))
        if column.endswith('"patient_name"') and not key.isascii():
            found.append(wild(_beside(column, "other_keys"), f"*={key}=*"))
    if semantics.fuzzy:
        found += [_text(_beside(column, "sound"), key, semantics) for key in _sounds(value)]
    return any_of(found) if found else ALWAYS


def _folded_groups(value: str) -> list[str]:
    if not value.strip("*^= "):
        return []  # "^" and "*^*" say nothing of any component
    keys = [key for key in map(fold_name, value.split("=")) if key]
    if not keys:
        raise BadQuery(f"{value[:40]!r} holds nothing of a name")
    said = [key for key in keys if key.strip("*^")]  # "Lefèvre*=*" asks for a Lefèvre
    return said or keys[:1]


def _sounds(value: str) -> list[str]:
    """Return the sounds of a name as patterns: as it is written, and family and given exchanged."""
    family, given = [*value.split("=")[0].split("^"), "", ""][:2]
    first, second = _sound_pattern(family), _sound_pattern(given)
    if "*" in (first, second):
        return [] if first == second else [f"{first}^{second}"]
    return [f"{first}^{second}", f"{second}^{first}"]


def _sound_pattern(component: str) -> str:
    plain = component.strip()
    sound = sound_of(plain.replace("*", "").replace("?", ""))
    if not sound:
        return "*"
    return f"{sound}*" if "*" in plain or "?" in plain else sound


def _number(column: str, value: str, _semantics: Semantics) -> Condition:
    if not _NUMBER.match(value):
        raise BadQuery(f"{value[:40]!r} is not a whole number")
    return Condition(f"{column} = %s", (int(value),))


def _beside(column: str, what: str) -> str:
    return f'{column[:-1]}_{what}"'


_MULTIPLE = {Match.LISTED, Match.NAMES, Match.MODALITIES}
_BY_MATCH: dict[Match, Callable[[str, str, Semantics], Condition]] = {
    Match.UID: _uid,
    Match.CLASSES: _classes,
    Match.TEXT: _text,
    Match.FOLDED: _folded,
    Match.LISTED: _listed,
    Match.NAME: _name,
    Match.NAMES: _names,
    Match.MODALITIES: _modalities,
    Match.NUMBER: _number,
    Match.DATE: lambda column, value, _: between(column, moments.dates(value)),
    Match.TIME: lambda column, value, _: between(column, moments.times(value)),
}
