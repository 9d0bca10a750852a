"""The answers to a search as they arrive: server-sent events, bounded in time and number."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.studies import live
from tests.web.node_stand_in import Behaviour, StandIn, node_stand_in

Event = tuple[str, str]


def begun(browser: Client, **typed: object) -> str:
    """Return the address of the events of a new search."""
    address = browser.post("/", {"live": "1", **typed})["Location"]
    assert address.endswith("&live=1")
    return address.replace("/?", "/search/live/?").removesuffix("&live=1")


def heard(browser: Client, address: str) -> list[Event]:
    """Return the events of a stream to its end: name and data of each."""
    response = browser.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    found = []
    for block in b"".join(response).decode().split("\n\n"):
        if block:
            first, *data = block.split("\n")
            assert all(line.startswith("data: ") for line in data)
            found.append((first.removeprefix("event: "), "\n".join(line[6:] for line in data)))
    response.close()
    return found


def test_a_page_with_a_script_asks_nobody_itself(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    page = clinician.post("/", {"live": "1"}, follow=True).content.decode()
    assert not nodes["CT"].asked
    assert page.count("asking…") == 2
    assert 'data-live="/search/live/?search=' in page
    assert "<noscript>" in page and "<script>" not in page


def test_each_answer_is_shown_and_the_end_is_the_page(
    nodes: dict[str, StandIn], clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = OwnServer.qido
    monkeypatch.setattr(
        OwnServer,
        "qido",
        lambda one, *a, **k: (time.sleep(one.name == "RF"), asked(one, *a, **k))[1],
    )
    events = heard(clinician, begun(clinician))
    names = [name for name, _ in events]
    assert names == ["servers", "results", "servers", "results", "servers", "done"]
    assert names.index("results") < names.index("done")
    chips = [data for name, data in events if name == "servers"]
    assert "asking…" in chips[0] and "asking…" not in chips[-1]
    assert "1 exam" in chips[-1] and "2 exams" in chips[-1]
    done = events[-1][1]
    assert done.index("DUPONT Marie") < done.index("LEFÈVRE Hélène") < done.index("Compte rendu")


def test_a_node_that_hangs_ends_the_stream_at_the_deadline_by_name(
    nodes: object,
    register: Callable[[StandIn], Node],
    clinician: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 0.6)
    with ExitStack() as stack:
        hanging = Behaviour(hang=threading.Event())
        register(stack.enter_context(node_stand_in("SLOW", [], config.TRUST_DIR, hanging)))
        odd = Behaviour(nonsense=True)
        register(stack.enter_context(node_stand_in("ODD", [], config.TRUST_DIR, odd)))
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        begin = time.monotonic()
        events = heard(clinician, begun(clinician))
        waited = time.monotonic() - begin
        hanging.hang.set()
    assert waited < 10
    last_chips = [data for name, data in events if name == "servers"][-1]
    assert last_chips.count('class="asked silent"') == 3
    done = events[-1][1]
    assert "3 servers did not answer." in done and "3 exams" in done


def test_the_search_is_audited_once(nodes: object, clinician: Client) -> None:
    heard(clinician, begun(clinician, name="dupont"))
    (row,) = AuditEvent.objects.filter(action="search")
    assert row.detail["found"] == 1


def test_a_listener_that_goes_is_audited_and_gives_its_place_back(
    nodes: object, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FREE", threading.BoundedSemaphore(1))
    response = clinician.get(begun(clinician))
    next(iter(response))
    response.close()
    assert AuditEvent.objects.filter(action="search").count() == 1
    assert heard(clinician, begun(clinician))


def test_more_streams_than_threads_can_bear_are_sent_to_the_page(
    nodes: object, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FREE", threading.BoundedSemaphore(1))
    address = begun(clinician)
    first = clinician.get(address)
    assert clinician.get(address).status_code == 503
    first.close()
    assert heard(clinician, address)


def test_an_unknown_search_streams_nothing(nodes: object, clinician: Client) -> None:
    assert clinician.get("/search/live/?search=unknown")["Location"] == "/"


def test_the_stream_is_bounded_in_statements(
    nodes: object, clinician: Client, django_assert_max_num_queries: Callable
) -> None:
    address = begun(clinician)
    with django_assert_max_num_queries(16):
        heard(clinician, address)
