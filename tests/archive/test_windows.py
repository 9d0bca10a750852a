"""Windows: pure functions of wall clocks, weekdays and the nights on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from archive_node.jobs.windows import ALWAYS, Permit, Span, permit, speaks_of

PARIS = ZoneInfo("Europe/Paris")
ABOUT = ("copy", "onsite", "CT")
NIGHT = Span(time(20), time(6))

clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
days = st.sets(st.sampled_from(ALWAYS), min_size=1).map(lambda found: "".join(sorted(found)))
spans = st.builds(Span, clocks, clocks, days)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


def paris(*numbers: int, fold: int = 0) -> datetime:
    return datetime(*numbers, tzinfo=PARIS, fold=fold)


def asked(span: Span, now: datetime, zone=PARIS) -> Permit:
    return permit([span], ABOUT, now, zone)


def test_jobs_that_no_window_speaks_of_run_at_any_time():
    assert permit([], ABOUT, paris(2026, 3, 3, 12), PARIS) == Permit(is_open=True)
    elsewhere = Span(time(20), time(6), vault="offsite")
    assert permit([elsewhere], ABOUT, paris(2026, 3, 3, 12), PARIS) == Permit(is_open=True)


def test_a_window_speaks_of_what_it_names_and_of_all_where_it_names_nothing():
    assert speaks_of(Span(time(0), time(0)), ABOUT)
    assert speaks_of(Span(time(0), time(0), kind="copy", vault="onsite", node="CT"), ABOUT)
    for other in ({"kind": "scrub"}, {"vault": "offsite"}, {"node": "RF"}):
        assert not speaks_of(Span(time(0), time(0), **other), ABOUT)


def test_a_night_begins_on_one_day_and_ends_on_the_next():
    assert asked(NIGHT, paris(2026, 3, 3, 19, 59)) == Permit(False, paris(2026, 3, 3, 20))
    assert asked(NIGHT, paris(2026, 3, 3, 20)) == Permit(True, paris(2026, 3, 4, 6))
    assert asked(NIGHT, paris(2026, 3, 4, 5, 59)) == Permit(True, paris(2026, 3, 4, 6))
    assert asked(NIGHT, paris(2026, 3, 4, 6)) == Permit(False, paris(2026, 3, 4, 20))


def test_the_weekday_is_that_on_which_the_window_begins():
    friday = Span(time(20), time(6), weekdays="4")
    assert asked(friday, paris(2026, 3, 7, 3)).is_open  # a Saturday
    assert not asked(friday, paris(2026, 3, 6, 3)).is_open
    assert asked(friday, paris(2026, 3, 7, 12)).until == paris(2026, 3, 13, 20)


def test_equal_hours_are_a_whole_day_and_whole_days_without_end_have_none():
    weekend = Span(time(0), time(0), weekdays="56")
    assert asked(weekend, paris(2026, 3, 7, 12)) == Permit(True, paris(2026, 3, 9))
    assert asked(Span(time(0), time(0)), paris(2026, 3, 7, 12)) == Permit(True)


def test_windows_that_follow_each_other_close_at_the_last_end():
    evening, night = Span(time(18), time(22)), Span(time(22), time(2))
    now = paris(2026, 3, 3, 19)
    assert permit([evening, night], ABOUT, now, PARIS) == Permit(True, paris(2026, 3, 4, 2))


def test_the_most_generous_rate_of_the_open_windows_counts():
    slow = Span(time(0), time(0), bytes_per_s=1000)
    quick = Span(time(20), time(6), bytes_per_s=5000)
    free = Span(time(0), time(6))
    rates = [
        permit([slow, quick, free], ABOUT, paris(2026, 3, 3, hour), PARIS).bytes_per_s
        for hour in (12, 21, 1)
    ]
    assert rates == [1000, 5000, None]


def test_an_hour_that_is_left_out_only_moves_a_window():
    """On 29 March 2026 the clock goes from 2:00 to 3:00."""
    gap = Span(time(2, 15), time(2, 45))
    assert not asked(gap, paris(2026, 3, 29, 1, 59)).is_open
    assert asked(gap, paris(2026, 3, 29, 3, 20)) == Permit(True, paris(2026, 3, 29, 3, 45))


def test_an_hour_that_comes_twice_begins_at_once_and_ends_at_last():
    """On 25 October 2026 the clock goes from 3:00 back to 2:00."""
    twice = Span(time(2, 15), time(2, 45))
    first, last = paris(2026, 10, 25, 2, 15), paris(2026, 10, 25, 2, 45, fold=1)
    assert not asked(twice, first - timedelta(seconds=1)).is_open
    assert asked(twice, first).is_open and asked(twice, paris(2026, 10, 25, 2, 50)).is_open
    assert asked(twice, first).until == last.astimezone(UTC)
    assert not asked(twice, last).is_open


@given(spans, moments)
def test_in_a_zone_without_summer_time_the_wall_clock_alone_decides(span: Span, now: datetime):
    clock, today = now.time(), str(now.weekday())
    yesterday = str((now.weekday() - 1) % 7)
    if span.begins < span.ends:
        expected = today in span.weekdays and span.begins <= clock < span.ends
    else:
        begun = today in span.weekdays and clock >= span.begins
        expected = begun or (yesterday in span.weekdays and clock < span.ends)
    assert asked(span, now, UTC).is_open == expected


@given(st.lists(spans, min_size=1, max_size=3), moments)
def test_what_is_said_holds_until_the_moment_that_is_named_and_no_longer(drawn, now):
    said = permit(drawn, ABOUT, now, PARIS)
    if said.until is None:
        assert said.is_open
        return
    assert said.until > now
    before = said.until - timedelta(microseconds=1)
    assert permit(drawn, ABOUT, before, PARIS).is_open == said.is_open
    assert permit(drawn, ABOUT, said.until, PARIS).is_open != said.is_open


@given(st.lists(spans, min_size=1, max_size=3), moments, st.floats(0, 1))
def test_between_now_and_then_nothing_changes(drawn, now, part):
    said = permit(drawn, ABOUT, now, PARIS)
    until = said.until or now + timedelta(days=6)
    between = now + (until - now) * part * 0.999
    assert permit(drawn, ABOUT, between, PARIS).is_open == said.is_open


@given(spans, moments)
def test_a_window_always_opens_again_within_eight_days(span: Span, now: datetime):
    said = asked(span, now)
    assert said.is_open or said.until - now <= timedelta(days=8)
