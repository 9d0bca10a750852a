"""Processes and threads that add to the audit at once keep one chain, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import cluster

pytestmark = pytest.mark.slow  # starts processes
ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS, ROWS = 3, 4, 10
WRITES = f"""
import os, threading, django
os.environ["DJANGO_SETTINGS_MODULE"] = "pacs_web.settings"
django.setup()
from types import SimpleNamespace
from django.db import connection, DatabaseError, transaction
from django.test import RequestFactory
from pacs_web.audit.models import Action, AuditEvent
from pacs_web.audit.record import record, record_once

request = RequestFactory().get("/")
request.user = SimpleNamespace(get_username=lambda: "somebody")

def write():
    for number in range({ROWS}):
        record(request, Action.SEARCH, number=number, share=number / 7, text="é\\x00")
        record_once(request, Action.IMAGES, study_uid="1.2.3")
    connection.close()

threads = [threading.Thread(target=write) for _ in range({THREADS})]
[one.start() for one in threads]
[one.join() for one in threads]
for statement in ("UPDATE audit_auditevent SET who = 'x'", "DELETE FROM audit_auditevent"):
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        print("accepted", statement)
    except DatabaseError:
        pass
print("images", AuditEvent.objects.filter(action="images").count())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    told = {"PATH": os.environ["PATH"], "PACS_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if request.param == "sqlite":
        yield told
        return
    with cluster() as server:
        yield told | {"PACS_DATABASE_URL": server.create("portal")}


def manage(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "web", *words],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_writers_make_one_chain_and_one_row_for_pictures(environment: dict[str, str]) -> None:
    manage(environment, "migrate", "--verbosity", "0")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITES], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    said = [writer.communicate(timeout=60)[0].split("\n")[0] for writer in writers]
    assert said == ["images 1"] * PROCESSES
    count = PROCESSES * THREADS * ROWS + 1
    assert f"{count} rows are as they were written" in manage(environment, "audit", "verify")
