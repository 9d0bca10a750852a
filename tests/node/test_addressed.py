"""What an address names: which instances, in which order, by how many selects."""

from __future__ import annotations

import pytest

from dicom_node.index.addressed import addressed
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct
from tests.node.statements import statements


@pytest.fixture
def stored(take):
    take(ct(2, series=f"{SERIES}.9", SeriesNumber=1))
    for number in (3, 1, 2):
        take(ct(number, SeriesNumber=7))


def test_instances_come_in_series_and_instance_order(stored):
    expected = [f"{SERIES}.9.2", *(f"{SERIES}.{number}" for number in (1, 2, 3))]
    assert [one.uid for one in addressed(STUDY)] == expected
    assert [one.uid for one in addressed(STUDY, SERIES)] == expected[1:]
    assert [one.uid for one in addressed(STUDY, SERIES, f"{SERIES}.2")] == [f"{SERIES}.2"]


def test_an_instance_is_not_found_below_another_series_or_study(stored):
    assert addressed(STUDY, f"{SERIES}.9", f"{SERIES}.2") == []
    assert addressed(f"{STUDY}.1", SERIES, f"{SERIES}.2") == []


def test_what_a_rejection_hides_is_not_found(stored):
    Instance.every.filter(uid=f"{SERIES}.2").update(rejected=True)
    assert [one.uid for one in addressed(STUDY, SERIES)] == [f"{SERIES}.1", f"{SERIES}.3"]


def test_rows_are_those_of_the_models_and_one_select_brings_them(stored):
    names = [field.attname for field in Instance._meta.concrete_fields]
    known = {one.uid: one for one in Instance.objects.select_related("series__study")}
    with statements() as asked:
        for one in addressed(STUDY):
            same = known[one.uid]
            assert [getattr(one, name) for name in names] == [getattr(same, name) for name in names]
            assert one.series.uid == same.series.uid
            assert one.series.instance_count == same.series.instance_count
            assert one.series.study.uid == STUDY
    assert len(asked) == 1
