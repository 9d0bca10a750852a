"""Forwarding rules: which instances go where and when; what is no rule is refused with its name."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.forwarding.rules import Facts, Rule, Window, parse
from dicom_node.forwarding.rules_file import RulesFile
from pacs_common.errors import BadInput

PARIS = ZoneInfo("Europe/Paris")
SATURDAY_NOON = datetime(2026, 11, 21, 12, 0, tzinfo=PARIS)


def rule(**conditions: object) -> Rule:
    entry = {"name": "night", "destination": "TELERAD", **conditions}
    return parse({"rules": [entry]})[0]


def facts(**known: object) -> Facts:
    return Facts(
        **{
            "source_ae": "CT1",
            "called_ae": "ARGENS_CT",
            "modality": "CT",
            "description": "Crâne sans injection",
            "arrived_at": SATURDAY_NOON,
            **known,
        }
    )


def at(day: int, clock: str) -> datetime:
    """Return a moment of November 2026: the 21st is a Saturday."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=PARIS)


def test_a_rule_without_conditions_takes_everything():
    assert rule().takes(facts())


def test_a_disabled_rule_takes_nothing():
    assert not rule(enabled=False).takes(facts())


@pytest.mark.parametrize(
    ("conditions", "takes"),
    [
        ({"source_ae": "CT1"}, True),
        ({"source_ae": ["MR1", "CT*"]}, True),
        ({"source_ae": "CT2"}, False),
        ({"called_ae": "ARGENS_?T"}, True),
        ({"called_ae": "NIGHT"}, False),
        ({"modality": ["CT", "MR"]}, True),
        ({"modality": "MR"}, False),
        ({"description": "*crane*"}, True),
        ({"description": "CRÂNE SANS*"}, True),
        ({"description": "crane"}, False),
        ({"description": "[Cc]*"}, False),
        ({"source_ae": "CT1", "modality": "MR"}, False),
    ],
)
def test_every_condition_must_be_met_case_and_accents_aside(conditions, takes):
    assert rule(**conditions).takes(facts()) is takes


NIGHTS = [{"from": "18:30", "to": "08:00", "days": ["mon", "tue", "wed", "thu", "fri"]}]


@pytest.mark.parametrize(
    ("moment", "takes"),
    [
        (at(20, "18:29"), False),
        (at(20, "18:30"), True),
        (at(21, "07:59"), True),  # Saturday morning: the night that began on Friday
        (at(21, "08:00"), False),
        (at(21, "20:00"), False),
        (at(22, "02:00"), False),
        (at(23, "02:00"), False),  # Monday morning: a night of Sunday
        (at(23, "19:00"), True),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_began(moment, takes):
    assert rule(hours=NIGHTS).takes(facts(arrived_at=moment)) is takes


def test_from_a_time_to_the_same_time_is_a_whole_day():
    weekend = rule(hours=[{"from": "00:00", "to": "00:00", "days": ["sat", "sun"]}])
    taken = [weekend.takes(facts(arrived_at=at(day, "00:00"))) for day in (20, 21, 22, 23)]
    assert taken == [False, True, True, False]


def test_hours_are_those_of_the_nodes_time_zone_in_winter_and_summer():
    evening = rule(hours=[{"from": "20:00", "to": "22:00"}])
    for month, utc_hour in ((1, 19), (7, 18)):
        moment = datetime(2026, month, 5, utc_hour, 30, tzinfo=ZoneInfo("UTC"))
        assert evening.takes(facts(arrived_at=moment.astimezone(PARIS)))


def test_hours_of_sending_do_not_decide_what_is_taken():
    late = rule(send_hours=[{"from": "22:00", "to": "23:00"}])
    assert late.takes(facts())
    assert not late.may_send(SATURDAY_NOON)
    assert late.may_send(at(21, "22:10"))


@given(
    start=st.times(),
    end=st.times(),
    days=st.sets(st.integers(0, 6), min_size=1),
    minutes=st.integers(0, 14 * 1440),
)
def test_a_window_and_the_one_that_follows_it_share_no_moment_and_leave_none(
    start, end, days, minutes
):
    moment = datetime(2026, 11, 16) + timedelta(minutes=minutes)
    every = frozenset(range(7))
    by_day, rest = Window(start, end, every), Window(end, start, every)
    if start != end:
        assert by_day.contains(moment) != rest.contains(moment)
    if Window(start, end, frozenset(days)).contains(moment):
        assert by_day.contains(moment)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": ""}, "rule 1 has no name"),
        ({"name": "night\0"}, "rule 1 has no name"),
        ({"destination": "BACK\\SLASH"}, "destination"),
        ({"destination": None}, "destination"),
        ({"modalities": ["CT"]}, "'modalities'"),
        ({"modality": [1]}, "modality"),
        ({"enabled": "yes"}, "enabled"),
        ({"hours": [{"from": "24:00", "to": "08:00"}]}, "'24:00'"),
        ({"hours": [{"from": "8", "to": "9"}]}, "'8'"),
        ({"hours": [{"from": "08:00", "to": "09:00", "days": ["lundi"]}]}, "days"),
        ({"hours": {"from": "08:00"}}, "hours"),
        ({"quiet_s": -1}, "quiet_s"),
        ({"quiet_s": True}, "quiet_s"),
        ({"priority": 7}, "priority"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_is_wrong(entry, said):
    with pytest.raises(BadInput) as refused:
        rule(**entry)
    assert said in str(refused.value)


@pytest.mark.parametrize("document", [None, [], {}, {"rules": {}}, {"rules": [], "more": 1}])
def test_what_is_no_document_of_rules_is_refused(document):
    with pytest.raises(BadInput):
        parse(document)


def test_two_rules_of_one_name_are_refused():
    entry = {"name": "night", "destination": "TELERAD"}
    with pytest.raises(BadInput, match="two rules"):
        parse({"rules": [entry, entry]})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rules", "name", "destination", "hours", "from", "to", "days", "modality", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_rules_or_refused_in_one_line(document):
    try:
        assert all(isinstance(found, Rule) for found in parse(document))
    except BadInput as error:
        assert "\n" not in str(error)


def entry(name: str) -> dict:
    return {"name": name, "destination": "TELERAD"}


def test_no_file_means_no_rules(tmp_path):
    assert RulesFile(tmp_path / "forwarding.json").current() == ()


def test_a_changed_file_is_in_force_without_a_restart(tmp_path):
    rules = RulesFile(tmp_path / "forwarding.json")
    rules.replace({"rules": [entry("one")]})
    assert [rule.name for rule in rules.current()] == ["one"]
    rules.replace({"rules": [entry("two")]})
    assert [rule.name for rule in rules.current()] == ["two"]
    os.unlink(tmp_path / "forwarding.json")
    assert rules.current() == ()


def test_a_broken_file_leaves_the_rules_before_it_in_force(tmp_path):
    rules = RulesFile(tmp_path / "forwarding.json")
    rules.replace({"rules": [entry("one")]})
    assert rules.current()
    (tmp_path / "forwarding.json").write_text('{"rules": [')
    assert [rule.name for rule in rules.current()] == ["one"]
    assert "cannot be read" in rules.problem


def test_a_file_that_was_never_good_decides_nothing(tmp_path):
    (tmp_path / "forwarding.json").write_text(json.dumps({"rules": [{"name": "x"}]}))
    rules = RulesFile(tmp_path / "forwarding.json")
    for _ in range(2):
        with pytest.raises(BadInput, match="'x'"):
            rules.current()
    rules.replace({"rules": [entry("x")]})
    assert len(rules.current()) == 1 and rules.problem == ""


def test_rules_that_are_none_never_replace_the_file(tmp_path):
    rules = RulesFile(tmp_path / "forwarding.json")
    rules.replace({"rules": [entry("one")]})
    with pytest.raises(BadInput):
        rules.replace({"rules": [{}]})
    assert rules.document() == {"rules": [entry("one")]}


@pytest.mark.parametrize(
    ("utc", "is_open"),
    [
        (datetime(2026, 3, 29, 0, 59), False),  # 1:59, and one minute later it is 3:00
        (datetime(2026, 3, 29, 1, 0), True),  # the hour from 2 to 3 was left out; 3:00 is inside
        (datetime(2026, 3, 29, 2, 0), False),
        (datetime(2026, 10, 25, 0, 30), True),  # 2:30 comes twice, and both times is open
        (datetime(2026, 10, 25, 1, 30), True),
        (datetime(2026, 10, 25, 3, 0), False),
    ],
)
def test_on_the_nights_when_the_clock_is_moved_the_wall_clock_decides(utc, is_open):
    night = rule(send_hours=[{"from": "02:00", "to": "04:00"}])
    moment = utc.replace(tzinfo=ZoneInfo("UTC")).astimezone(PARIS)
    assert night.may_send(moment) is is_open
