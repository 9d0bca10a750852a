"""Triggers that let the database itself refuse to change or delete audit rows.

They are laid after each migration, because SQLite makes a table anew where a column changes, and
drops its triggers with the old one.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

TABLE = "audit_auditevent"
_SQLITE = [
    f"CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'audit rows do not change'); END",
    f"CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'audit rows are not deleted'); END",
    # INSERT OR REPLACE deletes without asking the trigger above
    "CREATE TRIGGER IF NOT EXISTS audit_no_replace BEFORE INSERT ON audit_auditevent WHEN EXISTS "
    "(SELECT 1 FROM audit_auditevent WHERE id = NEW.id) OR (NEW.source_key <> '' AND EXISTS "
    "(SELECT 1 FROM audit_auditevent WHERE source = NEW.source AND source_key = NEW.source_key)) "
    "BEGIN SELECT RAISE(ABORT, 'audit rows are not replaced'); END",
]
_POSTGRESQL = [
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit rows do not change and are not deleted'; END $$",
    f"CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
]
_STATEMENTS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def lay_triggers(sender: Any, using: str = "default", **kwargs: Any) -> None:
    """Lay the triggers where they are missing."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if TABLE in connection.introspection.table_names(cursor):
            for statement in _STATEMENTS[connection.vendor]:
                cursor.execute(statement)
