"""Asking many at once: what is told when, where the first answers and those that follow it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from pacs_common.errors import PeerUnreachable
from pacs_web.federation import fan_out
from pacs_web.federation.fan_out import arrivals

FAR_S = 20.0


@dataclass
class Asked:
    """A server that answers once it may, or fails."""

    name: str
    may: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    def answer(self) -> str:
        """Wait, then answer with its name."""
        assert self.may.wait(FAR_S)
        if self.fails:
            raise PeerUnreachable("cannot be reached")
        return self.name


@pytest.fixture
def three():
    """Three servers; all are let go in the end."""
    found = [Asked("A"), Asked("B"), Asked("C")]
    yield found
    for one in found:
        one.may.set()


def test_the_first_answer_is_told_while_the_others_are_still_asked(three):
    three[0].may.set()
    told = arrivals(three, Asked.answer, FAR_S)
    first = next(told)
    assert (list(first.answers), first.failures) == (["A"], [])


def test_what_follows_within_moments_is_told_together(three, monkeypatch):
    monkeypatch.setattr(fan_out, "TOGETHER_S", FAR_S)
    three[0].may.set()
    told = arrivals(three, Asked.answer, FAR_S)
    next(told)
    three[1].may.set()
    threading.Timer(0.2, three[2].may.set).start()
    rest = list(told)
    assert [list(one.answers) for one in rest] == [["A", "B", "C"]]


def test_a_moment_ends_where_one_goes_on_to_hang(three, monkeypatch):
    monkeypatch.setattr(fan_out, "TOGETHER_S", 0.05)
    three[0].may.set()
    told = arrivals(three, Asked.answer, FAR_S)
    next(told)
    three[1].may.set()
    assert list(next(told).answers) == ["A", "B"]
    three[2].fails = True
    three[2].may.set()
    last = next(told)
    assert [failure.node for failure in last.failures] == ["C"]
    assert list(told) == []


def test_at_the_deadline_who_is_silent_is_named(three):
    three[0].may.set()
    *_, last = arrivals(three, Asked.answer, 0.3)
    assert list(last.answers) == ["A"]
    assert [failure.node for failure in last.failures] == ["B", "C"]


def test_where_nobody_is_asked_nothing_is_told():
    assert list(arrivals([], Asked.answer, FAR_S)) == []
