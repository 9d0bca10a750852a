"""The rules, as properties: what they may never choose, and what they must."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archive_node.policy.rules import (
    COPY,
    EVICT,
    HOLD,
    NOTHING,
    RECALL,
    Policy,
    Rule,
    Rules,
    excess_bytes,
    least_recently_used,
)
from archive_node.ruling import conditions
from archive_node.ruling.conditions import Conditions
from archive_node.ruling.facts import Facts

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy(
    quiet_s=900,
    evict_after_days=30,
    high_watermark=0.85,
    low_watermark=0.80,
    least_age_days=2,
    required=("on-site", "off-site"),
)
VAULTS = ["on-site", "off-site", "extra"]
EVERYTHING = Conditions()
moments = st.integers(0, 90 * 86400).map(lambda seconds: NOW - timedelta(seconds=seconds))
facts = st.builds(
    Facts,
    node=st.sampled_from(["CT", "RF"]),
    study_uid=st.integers(1, 10**6).map(str),
    instances=st.integers(1, 500),
    online=st.integers(0, 500),
    size_bytes=st.integers(0, 10**6),
    online_bytes=st.integers(0, 10**6),
    digests_ready=st.booleans(),
    last_arrival_at=moments,
    quarantined=st.sampled_from([0, 0, 0, 1]),
    incomplete=st.sampled_from([False, False, False, True]),
    held=st.sampled_from(["", "", "", "legal (a case), by archivist"]),
    last_access_at=st.none() | moments,
    recalled_at=st.none() | moments,
    proven_in=st.sets(st.sampled_from(VAULTS)).map(frozenset),
    modalities=st.sampled_from([("CT",), ("MR",), ("CT", "SR")]),
    description=st.sampled_from(["Crâne sans injection", "Thorax"]),
)
rules = st.lists(
    st.builds(
        Rule,
        name=st.sampled_from(["a", "b"]),
        action=st.sampled_from([HOLD, EVICT, COPY, RECALL]),
        conditions=st.builds(
            Conditions,
            nodes=st.sampled_from([frozenset(), frozenset({"CT"})]),
            modalities=st.sampled_from([frozenset(), frozenset({"MR"})]),
            description=st.sampled_from(["", "crane"]),
        ),
        vault=st.just("extra"),
    ),
    max_size=3,
)
STUDY = Facts(
    node="CT",
    study_uid="1.2.3",
    instances=60,
    online=60,
    size_bytes=1000,
    online_bytes=1000,
    digests_ready=True,
    last_arrival_at=NOW - timedelta(days=3),
)
PROVEN = replace(STUDY, proven_in=frozenset({"on-site", "off-site"}))
OLD = replace(PROVEN, last_arrival_at=NOW - timedelta(days=40))


def asked(*rules: Rule, **policy: object) -> Rules:
    return Rules(replace(POLICY, **policy), rules, NOW)


def met(rule: Rule, study: Facts) -> bool:
    return rule.conditions.met_by(study, NOW)


@given(facts, rules)
def test_what_is_held_open_quarantined_incomplete_young_or_unproven_is_never_evicted(study, all):
    told = asked(*all)
    if told.decide(study).does == EVICT or told.stays(study) is None:
        assert study.online or told.decide(study).does != EVICT
        assert not study.held and not study.quarantined and not study.incomplete
        assert study.digests_ready
        assert NOW - study.last_arrival_at >= timedelta(days=2)
        assert {"on-site", "off-site"} <= study.proven_in
        assert not any(met(rule, study) for rule in all if rule.action == HOLD)


@given(facts, rules)
def test_hold_beats_age_and_every_rule(study, all):
    held = replace(study, held="teaching, by dr who")
    assert asked(*all).decide(held).does != EVICT
    everything = Rule("all", HOLD, EVERYTHING)
    assert asked(*all, everything).decide(study).does != EVICT


@given(facts)
def test_age_beats_space(study):
    """What is due goes by its age while there is room; it is not among those that only may go."""
    decision = asked().decide(study)
    if decision.does == EVICT:
        assert NOW - study.last_used_at >= timedelta(days=30)
    elif asked().stays(study) is None and decision.does == NOTHING and study.online:
        assert NOW - study.last_used_at < timedelta(days=30)


@given(facts)
def test_a_quiet_unproven_study_is_copied_and_no_other(study):
    wanted = (
        bool(study.online or study.proven_in)
        and not {"on-site", "off-site"} <= study.proven_in
        and study.digests_ready
        and NOW - study.last_arrival_at >= timedelta(seconds=900)
    )
    decision = asked().decide(study)
    assert (decision.does == COPY) == wanted
    if wanted:
        assert set(decision.vaults) == {"on-site", "off-site"} - study.proven_in


def test_a_study_waits_until_it_is_quiet():
    young = replace(STUDY, last_arrival_at=NOW - timedelta(seconds=899))
    assert asked().decide(young).does == NOTHING
    assert Rules(POLICY, [], NOW + timedelta(seconds=1)).decide(young).does == COPY


def test_age_counts_from_the_last_use():
    assert asked().decide(OLD).does == EVICT
    read = replace(OLD, last_access_at=NOW - timedelta(days=2))
    recalled = replace(OLD, recalled_at=NOW - timedelta(days=2))
    assert asked().decide(read).does == asked().decide(recalled).does == NOTHING


def test_zero_days_means_never_by_age():
    assert asked(evict_after_days=0).decide(OLD).does == NOTHING


def test_where_no_vault_is_required_nothing_goes():
    assert asked(required=()).decide(OLD).does == NOTHING


def test_what_is_away_is_left_alone():
    away = replace(OLD, online=0, online_bytes=0)
    assert asked().decide(away).does == NOTHING
    assert asked().decide(away).why == "it is away"


def test_what_is_away_is_copied_from_one_vault_into_another():
    away = replace(OLD, online=0, proven_in=frozenset({"on-site"}))
    assert asked().decide(away).vaults == ("off-site",)
    assert asked().decide(replace(away, proven_in=frozenset())).does == NOTHING


def test_a_rule_copies_to_a_vault_that_is_not_required_before_age_evicts():
    rule = Rule("MR twice", COPY, Conditions(modalities=frozenset({"MR"})), vault="extra")
    study = replace(OLD, modalities=("MR",))
    assert asked(rule).decide(study).vaults == ("extra",)
    assert asked(rule).decide(replace(study, modalities=("CT",))).does == EVICT
    there = replace(study, proven_in=study.proven_in | {"extra"})
    assert asked(rule).decide(there).does == EVICT


def test_a_rule_recalls_what_is_away_and_keeps_it_online():
    rule = Rule("heads", RECALL, Conditions(description="crane"))
    study = replace(OLD, description="CRÂNE", online=10)
    assert asked(rule).decide(study).does == RECALL
    back = replace(study, online=60)
    assert asked(rule).decide(back).does == NOTHING
    assert asked(rule).decide(back).why == "rule heads wants it online"


def test_a_rule_evicts_before_the_usual_age():
    rule = Rule("big", EVICT, Conditions(least_bytes=500))
    assert asked(rule).decide(PROVEN).does == EVICT
    assert asked(rule).decide(PROVEN).why == "rule big"
    assert asked(rule).decide(replace(PROVEN, size_bytes=499)).does == NOTHING


def test_a_rule_that_is_tried_says_why_others_stay():
    rule = Rule("all", EVICT, EVERYTHING)
    hold = Rule("MR stay", HOLD, Conditions(modalities=frozenset({"MR"})), reason="research")
    told = {
        "rule all": PROVEN,
        "held: legal (x), by a": replace(PROVEN, held="legal (x), by a"),
        "held: rule MR stay, research": replace(PROVEN, modalities=("MR",)),
        "not proven in on-site, off-site": STUDY,
        "it is away": replace(PROVEN, online=0),
        "1 of it wait for a decision in quarantine": replace(PROVEN, quarantined=1),
        "a transfer of it did not end well": replace(PROVEN, incomplete=True),
        "something arrived within 2 days": replace(PROVEN, last_arrival_at=NOW - timedelta(days=1)),
        "something arrived within 900 s": replace(PROVEN, last_arrival_at=NOW),
        "its node has not computed all digests": replace(PROVEN, digests_ready=False),
    }
    assert [asked(hold).tried(rule, study).why for study in told.values()] == list(told)
    does = [asked(hold).tried(rule, study).does for study in told.values()]
    assert does == [EVICT, HOLD, HOLD] + [NOTHING] * 7


def test_a_copy_that_is_tried_says_what_it_would_copy():
    rule = Rule("twice", COPY, EVERYTHING, vault="extra")
    assert asked().tried(rule, PROVEN).does == COPY
    there = replace(PROVEN, proven_in=frozenset(VAULTS))
    assert asked().tried(rule, there).why == "it is in extra"
    assert asked().tried(rule, replace(PROVEN, last_arrival_at=NOW)).does == NOTHING


def test_a_hold_and_a_recall_that_are_tried_say_what_they_would_do():
    assert asked().tried(Rule("all", HOLD, EVERYTHING), STUDY).does == HOLD
    recall = Rule("all", RECALL, EVERYTHING)
    assert asked().tried(recall, STUDY).why == "it is online"
    assert asked().tried(recall, replace(PROVEN, online=0)).does == RECALL


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_disk_is_relieved_from_above_the_high_to_the_low_watermark(total, free):
    free = min(free, total)
    excess = excess_bytes(total, free, POLICY)
    if total - free <= 0.85 * total:
        assert excess == 0
    else:
        assert total - free - excess <= 0.80 * total + 1


@given(st.lists(facts, max_size=30), st.integers(0, 10**7))
def test_eviction_for_space_takes_just_enough_in_order(studies, wanted):
    chosen = least_recently_used(studies, wanted)
    assert chosen == studies[: len(chosen)]
    freed = sum(study.online_bytes for study in chosen)
    assert freed >= min(wanted, sum(study.online_bytes for study in studies))
    if chosen:
        assert freed - chosen[-1].online_bytes < wanted


def test_the_same_facts_give_the_same_decision_whatever_the_order_of_rules():
    hold, evict = Rule("h", HOLD, EVERYTHING), Rule("e", EVICT, EVERYTHING)
    assert asked(hold, evict).decide(OLD) == asked(evict, hold).decide(OLD)
    assert conditions.read({}) == EVERYTHING
