"""The instances that an address names: each picture, object and metadata answer begins so."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, connections
from django.db.models import Model
from django.db.models.sql.compiler import SQLCompiler

from dicom_node.index.written import Written
from dicom_node.models import Instance, Series, Study


def _in_order(model: type[Model], *names: str) -> tuple[str, ...]:
    """Return the columns of a model in its own order, in which its rows are made."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname in names)


_INSTANCE = tuple(field.attname for field in Instance._meta.concrete_fields)
_SERIES = _in_order(Series, "id", "uid", "modality", "number", "instance_count", "study_id")
_STUDY = _in_order(Study, "id", "uid", "overlay")
_COLUMNS = (
    *_INSTANCE,
    *(f"series__{name}" for name in _SERIES),
    *(f"series__study__{name}" for name in _STUDY),
)
_BY = ("series__study__uid", "series__uid", "uid")
_ORDER = ("series__number", "series__uid", "number", "uid")


class _Statement(NamedTuple):
    select: Written
    compiler: SQLCompiler
    converters: dict[int, Any]


def addressed(study_uid: str, series_uid: str = "", sop_uid: str = "") -> list[Instance]:
    """Return the instances of a study, series or instance, in series and instance order.

    Columns of their series and study that answers do not need are read when they are asked for.
    """
    given = dict(zip(_BY, (study_uid, series_uid, sop_uid), strict=True))
    told = tuple(name for name in _BY if given[name])
    statement = _statement(connection.vendor, told)
    rows = statement.select.rows(given)
    return _made(statement.compiler.apply_converters(rows, statement.converters))


@lru_cache
def _statement(_vendor: str, told: tuple[str, ...]) -> _Statement:
    found = Instance.objects.filter(**{name: name for name in told}).values_list(*_COLUMNS)
    order = () if "uid" in told else _ORDER
    compiler = found.order_by(*order).query.get_compiler(connection=connections["default"])
    select = Written.by(compiler)  # which settles what the compiler selects
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    return _Statement(select, compiler, converters)


def _made(rows: Any) -> list[Instance]:
    """Return the instances of rows; those of one series share it, and their study."""
    first, second = len(_INSTANCE), len(_INSTANCE) + len(_SERIES)
    known: dict[int, Series] = {}
    found = []
    for row in rows:
        instance = Instance.from_db(connection.alias, _INSTANCE, row[:first])
        series = known.get(instance.series_id)
        if series is None:
            series = Series.from_db(connection.alias, _SERIES, row[first:second])
            series.study = Study.from_db(connection.alias, _STUDY, row[second:])
            known[series.id] = series
        instance.series = series
        found.append(instance)
    return found
