"""The goals of the benchmarks: each kind met, missed, and without anything to compare with."""

from __future__ import annotations

from tests.benchmarks import goals, rounds
from tests.benchmarks.measured import Measured


def rate(workload: str, who: str, value: float, measure: str = "ingest") -> Measured:
    return Measured(
        measure=measure, workload=workload, who=who, value=value, unit="/s", is_more_better=True
    )


def took(workload: str, who: str, value: float, measure: str, unit: str = "ms") -> Measured:
    return Measured(
        measure=measure, workload=workload, who=who, value=value, unit=unit, is_more_better=False
    )


def stands(*found: Measured) -> dict[str, tuple[bool, str]]:
    return {one.goal.words: (one.is_met, one.figure) for one in goals.verdicts(found)}


def test_a_rate_is_compared_with_the_best_of_the_peers_at_the_same_work():
    four, sixteen = ("800 CT of 512 KB, 4 associations", "800 CT of 512 KB, 16 associations")
    told = stands(
        rate(four, "argens-sqlite", 299),
        rate(four, "orthanc", 100),
        rate(four, "orthanc-postgresql", 20),
        rate(four, "storescp", 299),
        rate(sixteen, "orthanc", 1),
    )
    assert told == {
        "at least 3 x Orthanc with 1 and 4 associations": (False, "2.99 x orthanc"),
        "at least as fast as storescp": (True, "1.00 x storescp"),
    }


def test_a_time_is_better_where_it_is_less():
    first = "series of 1,000 instances, the first time"
    assert stands(
        took(first, "argens", 10, "metadata"), took(first, "orthanc", 50, "metadata")
    ) == {"at least 5 x Orthanc": (True, "5.00 x orthanc")}


def test_a_program_is_compared_with_itself_at_other_work():
    small, large = (f"QIDO-RS, date, {many} instances, p95" for many in ("10,000", "1,000,000"))
    words = "95th percentile at 1,000,000 instances at most 1.5 x that at 10,000"
    found = [
        took(small, "argens-sqlite", 10, "query"),
        took(small, "argens-postgresql", 1, "query"),
    ]
    for most, is_met in ((15, True), (15.1, False)):
        assert stands(*found, took(large, "argens-sqlite", most, "query"))[words][0] is is_met
    kept, made = ".70 frames as stored, 8 clients, warm", ".70 frames from raw, 8 clients, warm"
    told = stands(rate(kept, "argens", 100, "renditions"), rate(made, "argens", 89, "renditions"))
    assert told["warm .70 frames at the speed of stored ones (nine tenths of it)"][0] is False


def test_limits_stand_by_themselves_or_above_a_peer_and_know_seconds_from_milliseconds():
    view = "quick view, cold"
    (told,) = stands(took(view, "argens", 0.4, "first image", "s")).values()
    assert told == (True, "0.4 s")
    (told,) = stands(took(view, "argens", 600, "first image")).values()
    assert told == (False, "600 ms")
    search = "name, page, 4 nodes of 100,000 studies"
    for portal, is_met in ((149.0, True), (151.0, False)):
        slowest = took(search, "slowest node", 50, "federation")
        (told,) = stands(slowest, took(search, "argens", portal, "federation")).values()
        assert told == (is_met, f"+{portal - 50:g} ms beside 50 ms")


def test_without_a_peer_a_goal_is_not_met_and_the_peer_is_named():
    found = rate("500-image CT, C-GET, 8 clients", "argens", 9, "retrieve")
    assert stands(found) == {"at least 2 x Orthanc": (False, "not measured: orthanc")}
    assert not stands(rate("500-image CT, C-GET, 8 clients", "orthanc", 9, "retrieve"))


def test_processor_time_beside_a_retrieval_is_no_goal():
    assert not stands(rate("CT, C-GET, 1 client, processor time", "argens", 9, "retrieve"))


def test_the_printed_tables_ask_the_same_goals():
    for associations, wanted in ((1, 3), (4, 3), (16, 2), (2, None)):
        workload = f"800 CT of 512 KB, {associations} associations"
        assert goals.times("ingest", workload, "orthanc-postgresql") == wanted
    assert goals.times("ingest", "800 CT of 512 KB, 2 associations", "storescp") == 1


def test_rounds_become_a_median_with_its_least_and_most():
    about = {"measure": "ingest", "workload": "w", "who": "argens", "unit": "/s"}
    one = rounds.median([3.0, 1.0, 10.0], **about, is_more_better=True)
    assert (one.value, one.least, one.most, one.rounds) == (3.0, 1.0, 10.0, 3)


def test_each_goal_has_words_of_its_own():
    told = [(goal.measure, goal.words) for goal in goals.GOALS]
    assert len(told) == len(set(told))
