"""Reading the rows of an answer of any length, in batches, from wherever it begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from django.db import connection, transaction

from dicom_node.index.attributes import Level
from dicom_node.index.matching import Condition
from dicom_node.index.query import Query, select
from pacs_common.errors import BadQuery

BATCH_ROWS = 500


def rows(query: Query) -> Iterator[tuple[Any, ...]]:
    """Yield for each match the values of `answered(query)`, then its Instance Availability's.

    Rows are fetched in batches, so an answer of any length is not held, and no lock but a
    snapshot is. Keys that the index does not hold at this level match everything. Raises
    BadQuery before the first row.
    """
    if query.after is None:
        return _fetched(select(query), query.limit)
    end = None if query.limit is None else query.offset + query.limit
    parts = [_fetched(statement, end) for statement in selects_after(query)]
    return islice(chain.from_iterable(parts), query.offset, end)


def _fetched(statement: Condition, limit: int | None) -> Iterator[tuple[Any, ...]]:
    if connection.vendor == "postgresql":
        return from_postgresql(statement, limit)
    return from_cursor(statement)


def selects_after(query: Query) -> list[Condition]:
    """Return the SELECTs of what follows `after`: the rest of its day, then the days before.

    One condition for both would read every study of the day again; each of these begins in the
    index where its first row is. Neither skips the query's offset. Raises BadQuery.
    """
    if query.level is not Level.STUDY or query.after is None:
        raise BadQuery("a position is one in the order of studies")
    day, uid = query.after
    end = None if query.limit is None else query.offset + query.limit
    whole = replace(query, offset=0, limit=end)
    same_day = Condition("st.study_date = %s AND st.uid > %s", (day, uid))
    earlier = Condition("st.study_date < %s", (day,))
    return [select(whole, same_day), *([select(whole, earlier)] if day else [])]


def from_cursor(statement: Condition) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement, in batches."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement.sql, statement.params)
        while batch := cursor.fetchmany(BATCH_ROWS):
            yield from batch


def from_postgresql(statement: Condition, limit: int | None) -> Iterator[tuple[Any, ...]]:
    """Fetch a short answer at once, a long one through a cursor of the server's."""
    if limit is not None:
        yield from from_cursor(statement)
        return
    probe = Condition(f"{statement.sql} LIMIT {BATCH_ROWS + 1}", statement.params)
    if " OFFSET " in statement.sql:
        probe = Condition(f"SELECT * FROM ({statement.sql}) page LIMIT {BATCH_ROWS + 1}")  # noqa: S608
    first = list(from_cursor(Condition(probe.sql, statement.params)))
    if len(first) <= BATCH_ROWS:
        yield from first
        return
    with transaction.atomic(), closing(connection.cursor()) as cursor:
        cursor.execute(f"DECLARE answers NO SCROLL CURSOR FOR {statement.sql}", statement.params)
        while True:
            cursor.execute(f"FETCH FORWARD {BATCH_ROWS} FROM answers")
            batch = cursor.fetchall()
            if not batch:
                return
            yield from batch
