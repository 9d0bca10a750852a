"""Series metadata that is made before it is asked for, and again when the series changes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from dicom_node.index.study_counts import count_evicted
from dicom_node.models import Instance, Series, Study
from dicom_node.prepared import metadata
from pacs_common.availability import Availability
from tests.node.objects import SERIES, ct, put_away


def only_series():
    return Series.objects.get(uid=SERIES)


def uids(prepared):
    return [found["00080018"]["Value"][0] for found in json.loads(prepared.text())]


def kept_files(layout):
    return [path for path in layout.metadata.rglob("*") if path.is_file()]


def files_gone(layout):
    """Take the objects away: what is answered now was made before."""
    shutil.rmtree(layout.objects)


def test_a_prepared_series_reads_no_object(take, layout):
    take(ct(1))
    take(ct(2))
    metadata.prepare(Study.objects.get())
    files_gone(layout)
    assert uids(metadata.of_series(only_series())) == [f"{SERIES}.1", f"{SERIES}.2"]


def test_an_unprepared_series_is_made_and_kept(take, layout):
    take(ct(1))
    before = metadata.of_series(only_series())
    files_gone(layout)
    assert metadata.of_series(only_series()) == before


def test_a_series_has_one_file_that_follows_its_changes(take, layout):
    for number in (1, 2, 3):
        take(ct(number))
        assert len(uids(metadata.of_series(only_series()))) == number
        assert len(kept_files(layout)) == 1


def evict(layout):
    put_away(layout, f"{SERIES}.1")


def recall(layout):
    row = Instance.objects.get(uid=f"{SERIES}.1")
    Instance.objects.filter(id=row.id).update(availability=Availability.ONLINE)
    count_evicted(row, -1)


def test_what_changed_while_it_was_made_is_not_kept_for_what_was_before(take, layout, monkeypatch):
    take(ct(1))
    take(ct(2))
    series, real = only_series(), metadata._objects

    def slowly(*asked: str):
        evict(layout)
        return list(real(*asked))

    monkeypatch.setattr(metadata, "_objects", slowly)
    metadata.of_series(series)
    monkeypatch.undo()
    recall(layout)  # the rows are what they were
    found = json.loads(metadata.of_series(series).text())
    assert [one["00080056"]["Value"] for one in found] == [["ONLINE"], ["ONLINE"]]


def change(**columns):
    return lambda layout: Instance.objects.filter(uid=f"{SERIES}.1").update(**columns)


@pytest.mark.parametrize(
    "happens",
    [
        evict,
        change(damaged=True),
        change(rejected=True),
        change(transfer_syntax="1.2.840.10008.1.2.4.70"),
        change(size_bytes=7),
        change(received_sha256="other content, by a decision"),
    ],
    ids=["eviction", "damage", "rejection", "recompression", "size", "content"],
)
def test_each_change_of_a_series_changes_its_tag(take, layout, happens):
    take(ct(1))
    take(ct(2))
    before = metadata.of_series(only_series()).etag
    happens(layout)
    assert metadata.of_series(only_series()).etag != before


def test_an_arrival_changes_the_tag_and_what_does_not_show_does_not(take):
    take(ct(1))
    before = metadata.of_series(only_series()).etag
    Instance.objects.update(stored_sha256="abc", pixel_sha256="def", routed=True)
    assert metadata.of_series(only_series()).etag == before
    take(ct(2))
    assert metadata.of_series(only_series()).etag != before


def test_two_evictions_that_change_places_change_the_tag(take, layout):
    take(ct(1))
    take(ct(2))
    put_away(layout, f"{SERIES}.1")
    before = metadata.of_series(only_series()).etag
    recall(layout)
    put_away(layout, f"{SERIES}.2")
    assert metadata.of_series(only_series()).etag != before


def test_what_is_back_as_it_was_has_the_tag_that_it_had(take, layout):
    take(ct(1))
    before = metadata.of_series(only_series())
    evict(layout)
    assert metadata.of_series(only_series()).etag != before.etag
    recall(layout)
    assert metadata.of_series(only_series()).etag == before.etag


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_kept_file_is_made_again(take, layout, damage):
    take(ct(1))
    whole = metadata.of_series(only_series())
    (path,) = kept_files(layout)
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"\0\0\0" if damage is None else damage)
    assert metadata.of_series(only_series()) == whole
    assert path.read_bytes() == content


def test_many_who_ask_at_once_have_it_made_once(take, layout, monkeypatch):
    take(ct(1))
    made, honest = [], metadata._objects
    monkeypatch.setattr(metadata, "_objects", lambda *asked: made.append(1) or honest(*asked))
    series = Series.objects.select_related("study").get()

    def ask(_number):
        try:
            return metadata.of_series(series)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(ask, range(16)))
    assert len(answers) == 1
    assert len(made) == 1


def test_a_disk_that_does_not_keep_it_is_no_error(take, layout):
    take(ct(1))
    etag = metadata.of_series(only_series()).etag
    (path,) = kept_files(layout)
    shutil.rmtree(layout.metadata)
    layout.metadata.mkdir()
    path.parent.mkdir()
    os.mkdir(path)  # nothing can be renamed to it
    assert metadata.of_series(only_series()).etag == etag


def test_the_same_series_is_the_same_bytes(take, layout):
    take(ct(1))
    first = metadata.of_series(only_series())
    shutil.rmtree(layout.metadata)
    assert metadata.of_series(only_series()) == first
    assert gzip.decompress(first.gzipped) == first.text()
