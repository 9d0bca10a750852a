"""The rules, as properties: what they may never choose, and what they must."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archive_node.policy.rules import Facts, Policy, decide, excess_bytes, least_recently_used

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy(quiet_s=900, evict_after_days=30, high_watermark=0.85, low_watermark=0.80)
moments = st.integers(0, 90 * 86400).map(lambda seconds: NOW - timedelta(seconds=seconds))
facts = st.builds(
    Facts,
    study_uid=st.integers(1, 10**6).map(str),
    online=st.integers(0, 500),
    online_bytes=st.integers(0, 10**6),
    revision=st.integers(1, 3),
    digests_ready=st.booleans(),
    last_arrival_at=moments,
    quarantined=st.integers(0, 3),
    last_access_at=st.none() | moments,
    recalled_at=st.none() | moments,
    verified_revision=st.none() | st.integers(1, 3),
)
STUDY = Facts(
    study_uid="1.2.3",
    online=60,
    online_bytes=1000,
    revision=60,
    digests_ready=True,
    last_arrival_at=NOW - timedelta(hours=1),
)


@given(facts)
def test_only_a_proven_study_is_ever_evicted(study):
    if decide(study, POLICY, NOW) == "evict":
        assert study.verified_revision == study.revision
        assert NOW - study.last_used_at >= timedelta(days=30)


@given(facts)
def test_a_quiet_unproven_study_is_copied_and_no_other(study):
    wanted = (
        study.online > 0
        and study.verified_revision != study.revision
        and study.digests_ready
        and NOW - study.last_arrival_at >= timedelta(seconds=900)
    )
    assert (decide(study, POLICY, NOW) == "copy") == wanted


def test_a_study_waits_until_it_is_quiet():
    young = replace(STUDY, last_arrival_at=NOW - timedelta(seconds=899))
    assert decide(young, POLICY, NOW) is None
    assert decide(young, POLICY, NOW + timedelta(seconds=1)) == "copy"


def test_a_late_instance_makes_it_copied_again():
    proven = replace(STUDY, verified_revision=60)
    assert decide(proven, POLICY, NOW) is None
    assert decide(replace(proven, revision=61), POLICY, NOW) == "copy"


def test_age_counts_from_the_last_use():
    old = replace(STUDY, verified_revision=60, last_arrival_at=NOW - timedelta(days=40))
    assert decide(old, POLICY, NOW) == "evict"
    assert decide(replace(old, last_access_at=NOW - timedelta(days=2)), POLICY, NOW) is None
    assert decide(replace(old, recalled_at=NOW - timedelta(days=2)), POLICY, NOW) is None


def test_zero_days_means_never_by_age():
    old = replace(STUDY, verified_revision=60, last_arrival_at=NOW - timedelta(days=4000))
    assert decide(old, replace(POLICY, evict_after_days=0), NOW) is None


def test_what_is_away_is_left_alone():
    assert decide(replace(STUDY, online=0, online_bytes=0), POLICY, NOW) is None


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_disk_is_relieved_from_above_the_high_to_the_low_watermark(total, free):
    free = min(free, total)
    excess = excess_bytes(total, free, POLICY)
    if total - free <= 0.85 * total:
        assert excess == 0
    else:
        assert total - free - excess <= 0.80 * total + 1


@given(st.lists(facts, max_size=30), st.integers(0, 10**7))
def test_eviction_for_space_takes_proven_studies_longest_unused_first_and_just_enough(
    studies, wanted
):
    chosen = least_recently_used(studies, wanted)
    evictable = [
        study
        for study in studies
        if study.is_proven and study.online_bytes and study.online > study.quarantined
    ]
    assert all(study in evictable for study in chosen)
    spared = [study for study in evictable if study not in chosen]
    if chosen and spared:
        assert chosen[-1].last_used_at <= min(study.last_used_at for study in spared)
    freed = sum(study.online_bytes for study in chosen)
    assert freed >= min(wanted, sum(study.online_bytes for study in evictable))
    if chosen:
        assert freed - chosen[-1].online_bytes < wanted
