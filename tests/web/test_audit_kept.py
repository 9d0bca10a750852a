"""What the audit's own process does by itself: collect, send on, note the end, and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pacs_common.branches import Branch
from pacs_web import config
from pacs_web.audit.anchors import anchors
from pacs_web.audit.models import AuditEvent, AuditSource
from pacs_web.management.commands import audit as command
from pacs_web.management.commands.run import Command as Run
from tests.common.peer import Peer, peer, says_json

LINE = {"key": "k", "at": "2026-11-28T08:00:00+00:00", "kind": "query", "ae_title": "WS1"}


@pytest.fixture
def node(
    db: None, register: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Peer]:
    """A node with one line to tell, and an anchors' file of the test's own."""
    monkeypatch.setattr(config, "AUDIT_ANCHOR_FILE", tmp_path / "anchors.jsonl")
    with peer(says_json({"records": [LINE], "next": "c", "more": False})) as served:
        register(SimpleNamespace(name="CT", url=served.url))
        yield served


def rounds(count: int) -> Callable[[float], bool]:
    """Return what says that it is time to stop after so many rounds."""
    left = iter(range(count - 1, -1, -1))
    return lambda wait_s: next(left) == 0


def test_a_round_collects_and_notes_the_end(node: Peer) -> None:
    command.keep(rounds(1))
    row = AuditEvent.objects.get(source="CT")
    assert [anchor.row for anchor in anchors()] == [row.id]


def test_the_end_is_noted_now_and_then_and_not_each_round(node: Peer) -> None:
    command.keep(rounds(3))
    assert len(node.asked) == 3
    assert len(anchors()) == 1


def test_a_round_that_fails_does_not_end_it(node: Peer, caplog: pytest.LogCaptureFixture) -> None:
    config.AUDIT_ANCHOR_FILE.mkdir()  # the anchors' disk is broken
    command.keep(rounds(2))
    assert len(node.asked) == 2
    assert "the audit is not kept up" in caplog.text


def test_a_node_that_is_away_holds_up_no_other(node: Peer, register: Callable[..., object]) -> None:
    register(SimpleNamespace(name="AWAY", url="http://127.0.0.1:9"))
    command.keep(rounds(1))
    assert AuditSource.objects.get(name="AWAY").problem
    assert AuditSource.objects.get(name="CT").problem == ""


def test_the_role_runs_it_beside_its_pages(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    started: list[Branch] = []
    called: list[tuple[str, ...]] = []
    where = "pacs_web.management.commands.run"
    monkeypatch.setattr(f"{where}.run", started.extend)
    monkeypatch.setattr(f"{where}.connections.close_all", lambda: None)  # the test's own is open
    monkeypatch.setattr(f"{where}.call_command", lambda *words, **options: called.append(words))
    Run().handle()
    keeper = next(branch for branch in started if branch.name == "audit")
    keeper.work()
    assert called[-1] == ("audit", "keep")
