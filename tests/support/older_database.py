"""Makes a database as older code made it, fills it, and migrates it on: run in a role's settings.

python -m tests.support.older_database first|previous APP...
"""

from __future__ import annotations

import datetime
import sys
import uuid
from typing import Any

import django
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

ONE_OF_TWO = {("limit", "department"): ""}  # where a constraint wants either
MOMENT = datetime.datetime(2026, 1, 5, 9, 30, tzinfo=datetime.UTC)


def main(which: str, apps: list[str]) -> None:
    """Print how many rows of how many tables went through, as `TABLES ROWS`."""
    django.setup()
    executor = MigrationExecutor(connection)
    targets = [(app, _named(executor.loader, app, which)) for app in apps]
    state = executor.migrate(targets)
    filled = _fill(state.apps, set(apps))
    call_command("migrate", verbosity=0, interactive=False)
    loader = MigrationLoader(connection)
    tables = {model._meta.db_table for model in loader.project_state().apps.get_models()}
    kept = [table for table in filled if table in tables]
    with connection.cursor() as cursor:
        for table in kept:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            assert cursor.fetchone()[0] >= 1, f"{table} lost its row"
    connection.check_constraints()
    call_command("migrate", verbosity=0, interactive=False, check_unapplied=True)
    print(len(kept), len(filled))


def _named(loader: MigrationLoader, app: str, which: str) -> str:
    names = sorted(name for label, name in loader.disk_migrations if label == app)
    return names[0] if which == "first" else names[max(0, len(names) - 2)]


def _fill(apps: Any, own: set[str]) -> list[str]:
    """Give each table of the role a row, those first that name no other."""
    left = [model for model in apps.get_models() if model._meta.app_label in own]
    filled: list[str] = []
    rows: dict[str, Any] = {}
    rounds = len(left) + 1
    for number in range(rounds):
        for model in list(left):
            needed = [f for f in model._meta.local_fields if f.is_relation and not f.null]
            if all(f.related_model._meta.label in rows for f in needed):
                try:
                    _add(model, rows)
                except IntegrityError:  # it wants a row that a later round has
                    if number == rounds - 1:
                        raise
                    continue
                left.remove(model)
                rows[model._meta.label] = models.QuerySet(model).first()
                filled.append(model._meta.db_table)
    return filled


def _add(model: Any, rows: dict[str, Any]) -> None:
    """Add a row that names what it must; where a constraint wants one more named, each in turn."""
    fields = [f for f in model._meta.local_fields if not isinstance(f, models.AutoField)]
    optional = [f for f in fields if f.is_relation and f.null]
    for named in [None, *optional]:
        values = {f.attname: _value(f, rows, named) for f in fields}
        try:
            with transaction.atomic():
                models.QuerySet(model).bulk_create([model(**values)])
            return
        except IntegrityError:
            if named is (optional[-1] if optional else None):
                raise


def _value(field: Any, rows: dict[str, Any], named: Any) -> Any:
    if field.is_relation:
        found = rows.get(field.related_model._meta.label)
        return found.pk if found is not None and (not field.null or field is named) else None
    special = (field.model._meta.model_name, field.name)
    if special in ONE_OF_TWO:
        return ONE_OF_TWO[special]
    if field.has_default():
        return field.get_default()
    if field.choices:
        return field.choices[0][0]
    return _made(field)


def _made(field: Any) -> Any:
    made: list[tuple[type[models.Field[Any, Any]], Any]] = [
        (models.DateTimeField, MOMENT),
        (models.DateField, MOMENT.date()),
        (models.TimeField, MOMENT.time()),
        (models.BooleanField, False),
        (models.UUIDField, uuid.UUID(int=1)),
        (models.JSONField, {}),
        (models.BinaryField, b"x"),
        (models.GenericIPAddressField, "127.0.0.1"),
        (models.IntegerField, 1),
        (models.FloatField, 1.0),
    ]
    return next((value for kind, value in made if isinstance(field, kind)), "x")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
