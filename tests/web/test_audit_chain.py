"""The audit's chain: rows are added one by one, and any change to them is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from pacs_web import config
from pacs_web.audit import chain
from pacs_web.audit.anchors import anchors, drop_anchor
from pacs_web.audit.models import Action, AppendOnly, AuditEvent, Result
from pacs_web.audit.verifying import verify
from tests.web.made_studies import CT_STUDY

TABLE = "audit_auditevent"
COLUMNS = (
    "at, who, action, result, study_uid, patient_id, patient_issuer, address, agent, source, "
    "source_key, detail, previous, digest"
)


@pytest.fixture
def rows(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[AuditEvent]:
    """Six rows, and no anchor yet."""
    monkeypatch.setattr(config, "AUDIT_ANCHOR_FILE", tmp_path / "anchors.jsonl")
    return [
        AuditEvent.objects.create(
            who=f"p{number}", action=Action.SEARCH, address="10.0.0.7", detail={"n": [number, 0.5]}
        )
        for number in range(6)
    ]


def sql(statement: str, *given: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(given))


@pytest.fixture
def unguarded(rows: list[AuditEvent]) -> list[AuditEvent]:
    """The rows for somebody who may do all to the database: the triggers are dropped."""
    for name in ("audit_no_update", "audit_no_delete", "audit_no_replace"):
        sql(f"DROP TRIGGER {name}")
    return rows


def broken() -> tuple[str, int]:
    found = verify(anchors()).broken
    assert found is not None
    return found.kind, found.row


def test_a_chain_as_it_was_written_is_whole(rows: list[AuditEvent]) -> None:
    assert verify([]).broken is None
    assert rows[0].previous == chain.FIRST
    assert [row.previous for row in rows[1:]] == [row.digest for row in rows[:-1]]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00"), ("who", "else"), ("action", "login"), ("result", "failed"),
        ("study_uid", "1.2"), ("patient_id", "P"), ("patient_issuer", "I"),
        ("address", "10.0.0.8"), ("agent", "curl"), ("source", "CT"), ("source_key", "k"),
        ("detail", '{"n": [3, 0.6]}'), ("digest", "f" * 64),
    ],
)  # fmt: skip
def test_a_changed_column_is_found(unguarded: list[AuditEvent], column: str, value: str) -> None:
    sql(f"UPDATE {TABLE} SET {column} = %s WHERE id = %s", value, unguarded[3].id)
    assert broken() == ("changed", unguarded[3].id)


def test_a_deleted_row_is_found_where_its_follower_stands(unguarded: list[AuditEvent]) -> None:
    sql(f"DELETE FROM {TABLE} WHERE id = %s", unguarded[2].id)
    assert broken() == ("deleted", unguarded[3].id)


def test_a_deleted_beginning_is_found(unguarded: list[AuditEvent]) -> None:
    sql(f"DELETE FROM {TABLE} WHERE id = %s", unguarded[0].id)
    assert broken() == ("deleted", unguarded[1].id)


def test_an_inserted_row_is_found_although_it_is_well_chained(unguarded: list[AuditEvent]) -> None:
    at, after = unguarded[3].id, unguarded[2]
    for row in reversed(unguarded[3:]):
        sql(f"UPDATE {TABLE} SET id = id + 1 WHERE id = %s", row.id)
    false = AuditEvent(who="nobody", action=Action.LOGIN, at=timezone.now())
    false.previous, false.digest = after.digest, chain.digest_of(after.digest, false)
    sql(
        f"INSERT INTO {TABLE} (id, {COLUMNS}) VALUES (%s, %s, %s, %s, %s, '', '', '', NULL, '', "
        "'portal', '', '{}', %s, %s)",
        *(at, false.at.astimezone(UTC).replace(tzinfo=None).isoformat(" "), "nobody", "login"),
        *("success", false.previous, false.digest),
    )
    assert broken() == ("inserted", at)


def test_rows_in_another_order_are_found(unguarded: list[AuditEvent]) -> None:
    first, second = unguarded[2].id, unguarded[3].id
    for old, new in ((first, 999), (second, first), (999, second)):
        sql(f"UPDATE {TABLE} SET id = %s WHERE id = %s", new, old)
    assert broken() == ("reordered", first)


def test_an_end_that_was_cut_off_is_found_by_the_anchor(unguarded: list[AuditEvent]) -> None:
    assert drop_anchor() is not None
    sql(f"DELETE FROM {TABLE} WHERE id >= %s", unguarded[4].id)
    assert broken() == ("cut", unguarded[4].id)


def test_a_chain_that_was_written_anew_is_found_by_the_anchor(unguarded: list[AuditEvent]) -> None:
    drop_anchor()
    sql(f"UPDATE {TABLE} SET who = 'else' WHERE id = %s", unguarded[1].id)
    _migration().chain_rows(apps, None)
    assert verify([]).broken is None
    assert broken() == ("changed", unguarded[5].id)


def test_an_anchor_is_written_where_something_came_since(
    rows: list[AuditEvent], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    drop_anchor()
    assert drop_anchor() is None
    [anchor] = anchors()
    assert (anchor.row, anchor.digest) == (rows[-1].id, rows[-1].digest)
    assert json.loads(config.AUDIT_ANCHOR_FILE.read_text())["digest"] == rows[-1].digest
    assert [record.digest for record in caplog.records if hasattr(record, "digest")] == [
        rows[-1].digest
    ]


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {TABLE} SET who = 'else'",
        f"DELETE FROM {TABLE}",
        f"INSERT OR REPLACE INTO {TABLE} (id, {COLUMNS}) SELECT id, {COLUMNS} FROM {TABLE}",
    ],
)
def test_the_database_refuses_to_change_or_delete_rows(
    rows: list[AuditEvent], statement: str
) -> None:
    with pytest.raises((DatabaseError, IntegrityError), match="audit rows"):
        sql(statement)
    assert verify([]).rows == 6


def test_the_code_refuses_too(rows: list[AuditEvent]) -> None:
    for act in (
        lambda: AuditEvent.objects.update(who="x"),
        lambda: AuditEvent.objects.all().delete(),
        lambda: AuditEvent.objects.bulk_create([AuditEvent()]),
        rows[0].save,
        rows[0].delete,
    ):
        with pytest.raises(AppendOnly):
            act()


def _migration() -> object:
    return import_module("pacs_web.audit.migrations.0004_chained")


def test_the_migration_chains_rows_that_were_there(unguarded: list[AuditEvent]) -> None:
    sql(f"UPDATE {TABLE} SET previous = '', digest = '', result = 'success'")
    sql(f"UPDATE {TABLE} SET action = 'refused' WHERE id = %s", unguarded[1].id)
    sql(f'UPDATE {TABLE} SET detail = \'{{"failed": "why"}}\' WHERE id = %s', unguarded[2].id)
    _migration().tell_results(apps, None)
    _migration().chain_rows(apps, None)
    assert verify([]).broken is None
    results = list(AuditEvent.objects.order_by("id").values_list("result", flat=True))
    assert results == ["success", "refused", "failed", *["success"] * 3]


def test_the_command_tells_the_first_broken_row(unguarded: list[AuditEvent]) -> None:
    out = StringIO()
    call_command("audit", "anchor", stdout=out)
    call_command("audit", "verify", stdout=out)
    assert "6 rows are as they were written; 1 anchors hold" in out.getvalue()
    sql(f"UPDATE {TABLE} SET who = 'else' WHERE id >= %s", unguarded[3].id)
    with pytest.raises(CommandError, match=f"row {unguarded[3].id} was changed"):
        call_command("audit", "verify")


def test_a_damaged_anchors_file_is_told(rows: list[AuditEvent]) -> None:
    config.AUDIT_ANCHOR_FILE.write_text("{}\n")
    with pytest.raises(CommandError, match="line 1 cannot be read"):
        call_command("audit", "verify")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(detail=st.dictionaries(st.text(), JSON, max_size=4), who=st.text(st.characters()))
def test_whatever_is_written_is_read_back_as_it_was_hashed(detail: dict, who: str) -> None:
    row = AuditEvent(who=who, action="other", at=datetime.now(UTC), detail=detail)
    row._settle()
    row.detail = json.loads(json.dumps(row.detail))
    before = chain.digest_of(chain.FIRST, row)
    row._settle()
    assert chain.digest_of(chain.FIRST, row) == before
    assert "\x00" not in row.who and len(row.who) <= 150


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("pc.hospital", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_an_address_is_kept_in_one_spelling(given: str | None, kept: str | None) -> None:
    assert chain.address(given) == kept


def test_a_row_says_how_it_ended_and_with_what_somebody_came(
    nodes: object, browser: Callable[..., Client]
) -> None:
    firefox = browser("it", HTTP_USER_AGENT="Mozilla/5.0 (X11) Gecko/20100101 Firefox/140.0")
    firefox.get("/")
    row = AuditEvent.objects.get(action="refused")
    assert (row.result, row.agent, row.source) == (Result.REFUSED, "Firefox", "portal")
    Client().post("/login/", {"username": "nobody", "password": "wrong"})
    assert AuditEvent.objects.get(action="login-failed").result == Result.FAILED


def test_pictures_asked_for_one_after_the_other_make_one_row(ct: object, clinician: Client) -> None:
    for _ in range(3):
        clinician.get(f"/dicom-web/studies/{CT_STUDY}/metadata")
    assert AuditEvent.objects.filter(action="dicomweb").count() == 1
