"""The journal: what was told to it stays, through power cuts and beside other writers."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.store import blobs
from dicom_node.store.journal import Journal
from pacs_common.errors import DiskFull

APPEND_MANY = """
import sys
from pathlib import Path
from dicom_node.store.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(40):
    journal.append("evicted", [{"writer": sys.argv[2], "number": number, "note": "x" * 900}])
"""


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


def only_file(tmp_path):
    (file,) = (tmp_path / "journal").glob("*.jsonl")
    return file


def test_records_come_back_in_order_with_time_and_kind(journal):
    journal.append("evicted", [{"study_uid": "1", "n": 1}, {"study_uid": "2", "n": 2}])
    journal.append("recalled", [{"study_uid": "1", "n": 3}])
    found = list(journal.read())
    assert [(record["kind"], record["n"]) for record in found] == [
        ("evicted", 1),
        ("evicted", 2),
        ("recalled", 3),
    ]
    assert all(record["at"].endswith("+00:00") for record in found)


def test_months_are_read_in_order(journal, tmp_path):
    journal.append("evicted", [{"n": 2}])
    (tmp_path / "journal" / "1999-12.jsonl").write_text('{"n": 1}\n')
    assert [record["n"] for record in journal.read()] == [1, 2]


def test_nothing_to_tell_writes_nothing(journal, tmp_path):
    journal.append("evicted", [])
    assert not (tmp_path / "journal").exists()
    assert list(journal.read()) == []


@pytest.mark.parametrize("torn", ['{"at": "2026', "{", '{"note": "Lef\u00e8'])
def test_a_torn_last_line_is_skipped_and_closed_by_the_next_writer(journal, tmp_path, torn):
    journal.append("evicted", [{"n": 1}])
    file = only_file(tmp_path)
    file.write_bytes(file.read_bytes() + torn.encode()[:-1])
    assert [record["n"] for record in journal.read()] == [1]
    journal.append("evicted", [{"n": 2}])
    assert [record["n"] for record in journal.read()] == [1, 2]


def test_a_line_that_is_no_record_is_skipped(journal, tmp_path):
    journal.append("evicted", [{"n": 1}])
    with only_file(tmp_path).open("ab") as file:
        file.write(b"null\n[1]\n\xff\xfe\n\n")
    assert [record["n"] for record in journal.read()] == [1]


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_text_in_a_record_comes_back(tmp_path_factory, text):
    journal = Journal(tmp_path_factory.mktemp("journal"))
    journal.append("corrected", [{"text": text}, {"text": "next"}])
    assert [record["text"] for record in journal.read()] == [text, "next"]


def test_line_separators_of_unicode_tear_no_record(journal):
    journal.append("evicted", [{"text": "a\u2028b\u2029c\x85d\x0be\x0cf"}])
    assert [record["text"] for record in journal.read()] == ["a\u2028b\u2029c\x85d\x0be\x0cf"]


def test_two_processes_lose_nothing_of_each_other(journal, tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND_MANY, str(tmp_path / "journal"), name])
        for name in ("a", "b")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    found = list(journal.read())
    for name in ("a", "b"):
        assert [r["number"] for r in found if r["writer"] == name] == list(range(40))
    assert all(json.loads(line) for line in only_file(tmp_path).read_text().splitlines())


def test_a_writer_waits_for_the_one_before_it(journal, tmp_path):
    journal.append("evicted", [{"n": 1}])
    later = threading.Thread(target=journal.append, args=("evicted", [{"n": 2}]))
    with only_file(tmp_path).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        later.start()
        later.join(0.1)
        assert later.is_alive()
        assert [record["n"] for record in journal.read()] == [1]
    later.join(30)
    assert [record["n"] for record in journal.read()] == [1, 2]


def test_a_full_disk_is_told_and_leaves_the_journal_as_it_was(journal, tmp_path, monkeypatch):
    journal.append("evicted", [{"n": 1}])
    before = only_file(tmp_path).read_bytes()
    monkeypatch.setattr(blobs.os, "write", _full_after(200))
    with pytest.raises(DiskFull):
        journal.append("evicted", [{"n": 2, "note": "x" * 50} for _ in range(9)])
    monkeypatch.undo()
    assert only_file(tmp_path).read_bytes() == before
    journal.append("evicted", [{"n": 3}])
    assert [record["n"] for record in journal.read()] == [1, 3]


def _full_after(limit: int):
    """Return an `os.write` of a disk that takes only so many bytes more."""
    left, write = limit, os.write

    def write_or_refuse(handle: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        size = write(handle, data[:left])
        left -= size
        return size

    return write_or_refuse
