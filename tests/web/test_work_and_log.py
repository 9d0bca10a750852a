"""IT's pages of what the roles do by themselves, and of the last lines of their logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from pacs_common.errors import BadInput
from pacs_web import config
from pacs_web.audit.models import AuditSource, AuditTarget
from pacs_web.nodes.models import Kind, Node
from tests.web.archive_stand_in import Archive, archive_stand_in
from tests.web.node_stand_in import StandIn

WORK, LOG = "/admin-console/work/", "/admin-console/log/"
SINCE = "2026-11-21T09:00:00+00:00"


@pytest.fixture
def it(browser: Callable[[str], Client]) -> Client:
    """The browser of somebody of IT."""
    return browser("it")


@pytest.fixture
def archive(nodes: dict[str, StandIn]) -> Iterator[Archive]:
    """A registered archive."""
    with archive_stand_in(config.TRUST_DIR) as running:
        Node.objects.create(name="archive", url=running.url, kind=Kind.ARCHIVE, position=9)
        yield running


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def chores(running: bool = True, **waiting: tuple[int, int]) -> dict:
    return {
        "running": running,
        "chores": [
            {"name": name, "waiting": n, "since": SINCE if n else None, "failing": failing}
            for name, (n, failing) in waiting.items()
        ],
    }


def line(message: str, at: str = SINCE, level: str = "WARNING", **more: object) -> dict:
    return {"at": at, "level": level, "logger": "dicom_node.x", "message": message, **more}


class TestWork:
    @pytest.fixture(autouse=True)
    def told(self, nodes: dict[str, StandIn]) -> None:
        """CT has work, RF has none."""
        ct = chores(digests=(3, 0), forwarding=(12, 4))
        nodes["CT"].api["/api/chores"] = ("status", ct)
        nodes["RF"].api["/api/chores"] = ("status", chores(renditions=(0, 0)))

    def test_what_waits_and_what_needs_a_person_is_shown(self, it: Client) -> None:
        page = text_of(it.get(WORK))
        assert "Digests of what arrived" in page
        assert "at work" in page
        assert "needs a person" in page
        assert "since 21/11/2026 10:00" in page
        assert '<a class="button small" href="/admin-console/forwarding/">' in page
        assert "Nobody does this work" not in page

    def test_work_that_nobody_does_is_said(self, it: Client, nodes: dict[str, StandIn]) -> None:
        nodes["CT"].api["/api/chores"] = ("status", chores(running=False, digests=(3, 0)))
        page = text_of(it.get(WORK))
        assert "Nobody does this work." in page
        assert "stands still" in page

    def test_a_node_that_does_not_answer_is_named_and_hides_nothing(
        self, it: Client, nodes: dict[str, StandIn]
    ) -> None:
        nodes["RF"].api["/api/chores"] = ("status", BadInput("an older version"))
        page = text_of(it.get(WORK))
        assert "One server did not answer." in page
        assert "Digests of what arrived" in page

    def test_the_archives_jobs_and_the_portals_own_work_stand_beside(
        self, it: Client, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        AuditSource.objects.create(name="CT", problem="CT cannot be reached")
        AuditTarget.objects.create(name="syslog", problem="the receiver refuses our certificate")
        monkeypatch.setattr(config, "AUDIT_SYSLOG_HOST", "syslog.clinic")
        page = text_of(it.get(WORK))
        assert "Archive jobs" in page
        assert "Collecting the audit of CT" in page
        assert "CT cannot be reached" in page
        assert "Sending the audit on" in page
        assert "the receiver refuses our certificate" in page

    def test_it_renews_itself(self, it: Client) -> None:
        assert 'hx-get="/admin-console/work/live/" hx-trigger="every 3s"' in text_of(it.get(WORK))
        live = text_of(it.get(f"{WORK}live/"))
        assert "Digests of what arrived" in live
        assert "<html" not in live


class TestLog:
    @pytest.fixture(autouse=True)
    def told(self, nodes: dict[str, StandIn], tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both nodes have a line, and the portal its own file."""
        monkeypatch.setattr(config, "DATA_DIR", tmp_path)
        early = line("a peer hangs", study_uid="1.2.3")
        late = line("the disk is full", "2026-11-21T09:05:00+00:00", "ERROR")
        nodes["CT"].api["/api/log"] = ("log.read", {"lines": [early]})
        nodes["RF"].api["/api/log"] = ("log.read", {"lines": [late, {"at": "never"}]})

    def test_the_lines_of_all_servers_stand_in_one_order(
        self, it: Client, archive: Archive, tmp_path
    ) -> None:
        archive.log.append(line("a drive is jammed", "2026-11-21T09:02:00+00:00"))
        (tmp_path / "log").mkdir()
        own = line("a node is slow", "2026-11-21T09:03:00+00:00")
        (tmp_path / "log" / "recent.jsonl").write_text(json.dumps(own) + "\n")
        page = text_of(it.get(LOG))
        expected = ["the disk is full", "a node is slow", "a drive is jammed", "a peer hangs"]
        places = [page.index(words) for words in expected]
        assert places == sorted(places)
        assert "study_uid 1.2.3" in page
        assert "10:05:00" in page

    def test_one_server_a_level_and_words_are_chosen(
        self, it: Client, nodes: dict[str, StandIn]
    ) -> None:
        page = text_of(it.get(LOG, {"server": "CT", "level": "INFO", "words": "hangs"}))
        assert "a peer hangs" in page
        assert "the disk is full" not in page
        asked = [address for address in nodes["CT"].asked if address.startswith("/api/log")]
        assert asked[-1] == "/api/log?level=INFO&words=hangs&limit=200"
        assert not [address for address in nodes["RF"].asked if address.startswith("/api/log")]

    def test_warnings_and_errors_are_asked_for_first(
        self, it: Client, nodes: dict[str, StandIn]
    ) -> None:
        it.get(LOG)
        asked = [address for address in nodes["CT"].asked if address.startswith("/api/log")]
        assert asked[-1].startswith("/api/log?level=WARNING&")

    def test_nonsense_in_the_address_shows_everything(self, it: Client) -> None:
        page = it.get(LOG, {"server": "NOWHERE", "level": "LOUD", "words": "x" * 300})
        assert page.status_code == 200
        assert "a peer hangs" in text_of(page)

    def test_a_server_without_a_log_is_named(self, it: Client, nodes: dict[str, StandIn]) -> None:
        nodes["CT"].api["/api/log"] = ("log.read", BadInput("an older version"))
        page = text_of(it.get(LOG))
        assert "One server did not answer." in page
        assert "the disk is full" in page

    def test_nothing_to_tell_says_so(self, it: Client, nodes: dict[str, StandIn]) -> None:
        for node in nodes.values():
            node.api["/api/log"] = ("log.read", {"lines": []})
        assert "No server has logged such a line lately." in text_of(it.get(LOG))

    def test_markup_in_a_line_is_text(self, it: Client, nodes: dict[str, StandIn]) -> None:
        nodes["CT"].api["/api/log"] = ("log.read", {"lines": [line("<script>alert(1)</script>")]})
        assert "<script>alert(1)" not in text_of(it.get(f"{LOG}live/"))


def test_the_portal_keeps_its_own_last_lines() -> None:
    logging.getLogger("pacs_web.test").warning("a line of the portal's")
    kept = (config.DATA_DIR / "log" / "recent.jsonl").read_text()
    assert "a line of the portal's" in kept
