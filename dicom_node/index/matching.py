"""One key of a query against one column (PS3.4 C.2.2.2), as a Django condition."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from django.db.models import Exists, Lookup, OuterRef, Q, TextField

from dicom_node.index.attributes import Attribute, Match, date_of, time_of
from dicom_node.index.names import fold_name, fold_text
from dicom_node.models import Series
from pacs_common.errors import BadQuery
from pacs_common.uids import MAX_LENGTH

_DATE = re.compile(r"[0-9]{8}\Z")
_TIME = re.compile(r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}\Z")
_UID = re.compile(r"[0-9.]{1,64}\Z")
MAX_UIDS = 10_000
MAX_KEY_CHARS = 256  # the longest text that is matched is a PN of three groups of 64


@TextField.register_lookup
class DicomWild(Lookup):
    """Wild card matching: `*` any run, `?` one character; case counts on every database."""

    lookup_name = "wild"

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Compile to GLOB, which can use an index for a fixed beginning."""
        return self._compiled(compiler, connection, "GLOB", str(self.rhs).replace("[", "[[]"))

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Compile to LIKE."""
        escaped = re.sub(r"([\\%_])", r"\\\1", str(self.rhs))
        return self._compiled(
            compiler, connection, "LIKE", escaped.replace("*", "%").replace("?", "_")
        )

    def _compiled(
        self, compiler: Any, connection: Any, operator: str, pattern: str
    ) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} {operator} %s", [*params, pattern]


def is_universal(value: str) -> bool:
    """True for a key that matches everything, absent values too (PS3.4 C.2.2.2.3)."""
    return value.strip(" \0") in ("", "*")


def condition(attribute: Attribute, value: str, prefix: str = "") -> Q:
    """Return the condition of one key; `prefix` leads to the attribute's table ("series__").

    Raises BadQuery with one line where the value makes no sense for the attribute.
    """
    if is_universal(value) or attribute.match is Match.NONE:
        return Q()
    try:
        if attribute.match is not Match.UID:
            _require_matchable(value)
        return _BY_MATCH[attribute.match](f"{prefix}{attribute.column}", value.strip(" \0"))
    except BadQuery as error:
        raise BadQuery(f"{attribute.keyword}: {error}") from None


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


def _require_matchable(value: str) -> None:
    if len(value) > MAX_KEY_CHARS:
        raise BadQuery(f"more than {MAX_KEY_CHARS} characters")
    if "\0" in value.strip(" \0"):
        raise BadQuery("a NUL character cannot be matched")


def _uid(column: str, value: str) -> Q:
    uids = split_uids(value)
    return Q(**{f"{column}__in": uids}) if len(uids) > 1 else Q(**{column: "".join(uids)})


def _text(column: str, value: str) -> Q:
    if "*" in value or "?" in value:
        return Q(**{f"{column}__wild": value})
    return Q(**{column: value})


def _folded(column: str, value: str) -> Q:
    return _text(f"{column}_key", fold_text(value))


def _name(column: str, value: str) -> Q:
    if not value.strip("^= "):
        return Q()  # empty components are an empty name
    keys = [key for key in map(fold_name, value.split("=")) if key]
    if not keys:
        raise BadQuery(f"{value[:40]!r} holds nothing of a name")
    found = Q()
    for key in keys:
        found |= _text(f"{column}_key", key)
        if key.endswith("^*") and key.strip("^*"):  # trailing components may be absent
            found |= _text(f"{column}_key", key.rstrip("^*"))
        if column.endswith("patient_name"):
            found |= Q(**{f"{column}_other_keys__wild": f"*={key}=*"})
    return found


def _modalities(column: str, value: str) -> Q:
    """A study that has a series of one of these: asked without a join, so no row comes twice."""
    wanted = Q()
    for modality in filter(None, (part.strip() for part in re.split(r"[\\,]", value))):
        wanted |= _text("modality", modality.upper())
    if not wanted:
        return Q()
    study = OuterRef(f"{column.removesuffix('modalities')}id")
    return Q(Exists(Series.objects.filter(wanted, study=study)))


def _number(column: str, value: str) -> Q:
    if not _NUMBER.match(value):
        raise BadQuery(f"{value[:40]!r} is not a whole number")
    return Q(**{column: int(value)})


def _range(low_high: Callable[[str], tuple[str, str]], column: str, value: str) -> Q:
    first, dash, last = value.partition("-")
    if not dash:
        low, high = low_high(value)
    else:
        low = low_high(first.strip())[0] if first.strip() else ""
        high = low_high(last.strip())[1] if last.strip() else ""
        if not low and not high:
            raise BadQuery(f"{value[:40]!r} is no range")
    limits = Q(**{f"{column}__gt": ""})  # an absent value lies in no range
    if low:
        limits &= Q(**{f"{column}__gte": low})
    if high:
        limits &= Q(**{f"{column}__lte": high})
    return limits


def _day(text: str) -> tuple[str, str]:
    plain = date_of(text) if "." in text else text
    if not _DATE.match(plain):
        raise BadQuery(f"{text[:40]!r} is not a date (YYYYMMDD)")
    try:
        date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
    except ValueError:
        raise BadQuery(f"{text[:40]!r} is not a day of the calendar") from None
    return plain, plain


def _moment(text: str) -> tuple[str, str]:
    plain = text.replace(":", "")
    if not _TIME.match(plain):
        raise BadQuery(f"{text[:40]!r} is not a time (HHMMSS)")
    whole, _, fraction = plain.partition(".")
    if int(whole[:2]) > 23 or int(whole[2:4] or 0) > 59 or int(whole[4:6] or 0) > 60:
        raise BadQuery(f"{text[:40]!r} is not a time of the day")
    last = (whole + "235959"[len(whole) :])[:6] if len(whole) < 6 else whole
    return time_of(plain), f"{last}.{fraction:9<6}"


_BY_MATCH: dict[Match, Callable[[str, str], Q]] = {
    Match.UID: _uid,
    Match.TEXT: _text,
    Match.FOLDED: _folded,
    Match.NAME: _name,
    Match.MODALITIES: _modalities,
    Match.NUMBER: _number,
    Match.DATE: lambda column, value: _range(_day, column, value),
    Match.TIME: lambda column, value: _range(_moment, column, value),
}
