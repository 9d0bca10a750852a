"""An index that is deleted and rebuilt from the node's disk equals the one before (rule 2)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import quarantined, serving, small_object, store, wait_serving
from tests.support.raw_association import CT_IMAGE, DEFAULT_CONTEXTS, IMPLICIT, RawAssociation

STUDY = "1.2.826.0.1.99.30"
TABLES = ("study", "series", "instance", "nonpatientobject", "quarantined")
PALETTE = "1.2.840.10008.5.1.4.39.1"
FORGOTTEN = {"id", "changed_at"}  # the archive is told of every study anew
PARENTS = {"series": "study", "instance": "series"}

pytestmark = pytest.mark.slow


def dump(node: roles.Role) -> dict[str, Counter[tuple]]:
    """Return the rows of each table of the index, database keys replaced by the parents' UIDs."""
    index = Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3"
    with closing(sqlite3.connect(index)) as database:
        return {table: Counter(_rows(database, table)) for table in TABLES}


def _rows(database: sqlite3.Connection, table: str) -> list[tuple]:
    name = f"dicom_node_{table}"
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
    parent = PARENTS.get(table)
    left_out = FORGOTTEN | {f"{parent}_id"}
    shown = [f"t.{column}" for column in columns if column not in left_out]
    joined = ""
    if parent:
        shown.append("p.uid")
        joined = f"JOIN dicom_node_{parent} p ON p.id = t.{parent}_id"
    return database.execute(f"SELECT {', '.join(shown)} FROM {name} t {joined}").fetchall()


def send_what_a_node_meets(node: roles.Role) -> None:
    """Send studies, resends, other contents of one UID, other patients and other syntaxes."""
    for study in (STUDY, f"{STUDY}.9"):
        for number in range(1, 6):
            uid, data_set = small_object(number, study)
            assert store(node, uid, data_set).status == 0
    uid, again = small_object(1, STUDY)
    assert store(node, uid, again).status == 0
    uid, other_content = small_object(2, STUDY, AccessionNumber="B2")
    assert store(node, uid, other_content).status == 0
    uid, other_patient = small_object(6, STUDY, PatientID="FR-2", PatientName="Autre^Jean")
    assert store(node, uid, other_patient).status == 0
    uid, other_birth_date = small_object(7, STUDY, PatientBirthDate="19500418")
    assert store(node, uid, other_birth_date).status == 0
    ds = ct(1, study=f"{STUDY}.8", series=f"{STUDY}.8.1")
    with RawAssociation(node.dicom_port).associate((1, CT_IMAGE, (IMPLICIT,))) as association:
        assert association.store(str(ds.SOPInstanceUID), encoded(ds, IMPLICIT)).status == 0
        association.release()


def send_palettes(node: roles.Role) -> None:
    """Send an object of no patient, again, and another one of its UID."""
    for label in ("HOT", "HOT", "COLD"):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = PALETTE, f"{STUDY}.39"
        ds.ContentLabel = label
        with RawAssociation(node.dicom_port).associate((1, PALETTE, (IMPLICIT,))) as association:
            answer = association.store(
                str(ds.SOPInstanceUID), encoded(ds, IMPLICIT), sop_class=PALETTE
            )
            assert answer.status == 0
            association.release()


@pytest.mark.parametrize("way", ["by the start", "by reindex"])
def test_a_deleted_index_is_rebuilt_from_the_disk_equal_to_the_one_before(tmp_path, way):
    with serving(tmp_path, PACS_KEEP_NON_PATIENT="yes") as node:
        send_what_a_node_meets(node)
        send_palettes(node)
        before = dump(node)
        assert len(quarantined(node)) == 3
        assert before["instance"].total() == 12
        assert before["nonpatientobject"].total() == 1
        node.stop()
        for part in Path(node.env["PACS_DATA_DIR"]).glob("index.sqlite3*"):
            part.unlink()
        assert node.command("migrate").returncode == 0
        if way == "by reindex":
            done = node.command("reindex")
            assert done.returncode == 0, done.stderr
        else:
            (Path(node.env["PACS_DATA_DIR"]) / "checkpoint").unlink(missing_ok=True)
        node.start()
        wait_serving(node)
        after = dump(node)
        assert after == before
        with RawAssociation(node.dicom_port).associate(*DEFAULT_CONTEXTS) as association:
            assert association.echo() == 0
            association.release()
