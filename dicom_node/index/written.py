"""Selects that Django wrote once, asked of the database itself.

Writing one takes Django ten times as long as the database needs to answer it, and leading it
through Django's cursor four times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import connections
from django.db.models.sql.compiler import SQLCompiler


class Written(NamedTuple):
    """A select whose parameters are values, or names that stand for those of a request."""

    sql: str
    places: tuple[Any, ...]

    @classmethod
    def by(cls, compiler: SQLCompiler) -> Written:
        """Write the select of a compiler, in the words of its database's own cursor."""
        sql, places = compiler.as_sql()
        if compiler.connection.vendor == "sqlite":
            sql = sql.replace("%s", "?")
        return cls(sql, tuple(places))

    def rows(self, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return what the index answers, each value as the database has it."""
        database = connections["default"]
        parameters = [given.get(place, place) for place in self.places]
        database.ensure_connection()
        with database.wrap_database_errors:
            cursor = database.connection.cursor()
            try:
                cursor.execute(self.sql, parameters)
                return list(cursor.fetchall())
            finally:
                cursor.close()
