"""What a retrieve leaves in the audit, and what it costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dicom_node.dimse.scu.plan import Plan
from dicom_node.index import wanted
from dicom_node.index.attributes import Level
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct
from tests.node.retrieve.callers import audited

pytestmark = pytest.mark.slow  # real peers, real waiting


def test_the_audit_says_who_had_what_sent_where(caller, take, destination):
    before = len(audited("sent"))
    for number in (1, 2):
        take(ct(number))
    caller.move()
    told = audited("sent")[before]
    assert (told["ae_title"], told["address"]) == ("WS1", "127.0.0.1")
    assert (told["operation"], told["destination"]) == ("C-MOVE", "DEST")
    assert told["studies"] == {STUDY: 2}
    assert (told["completed"], told["failed"], told["cancelled"]) == (2, 0, False)


def test_a_long_study_is_read_in_batches_and_never_held(take, layout, transactional_db):
    take(ct(1))
    row = Instance.objects.get()
    Instance.objects.bulk_create(
        Instance(**_copied(row), uid=f"{SERIES}.{number}", number=number)
        for number in range(2, 1301)
    )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = Plan.of(wanted.instances(Level.STUDY, {"StudyInstanceUID": STUDY}), layout)
        assert len(found) == 1300
        planned = len(queries)
        items = found.items()
        first = next(items)
        assert len(queries) == planned + 1
        assert [first.uid, *(item.uid for item in items)] == [
            f"{SERIES}.{number}" for number in range(1, 1301)
        ]
    assert planned <= 6
    assert len(queries) == planned + 3


def _copied(row: Instance) -> dict[str, object]:
    left_out = {"id", "uid", "number"}
    fields = [field.attname for field in Instance._meta.concrete_fields]
    return {name: getattr(row, name) for name in fields if name not in left_out}
