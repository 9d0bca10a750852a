"""Nodes that accept and never answer: named by name, given up, and no thread left behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_web import config
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY
from tests.web.node_stand_in import StandIn

IMAGE = f"/studies/{CT_STUDY}/series/{CT_STUDY}.1/instances/{CT_STUDY}.1.1/"


@pytest.fixture
def mute(register: Callable[[SimpleNamespace], Node]) -> Iterator[None]:
    """Three servers that take every connection and say nothing."""
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(3)]
    for position, one in enumerate(sockets):
        port = one.getsockname()[1]
        register(SimpleNamespace(name=f"MUTE{position}", url=f"http://127.0.0.1:{port}"))
    yield
    for one in sockets:
        one.close()


def asking() -> list[str]:
    """Return the threads that still ask a node."""
    return [thread.name for thread in threading.enumerate() if "fan-out" in thread.name]


def test_many_searches_over_mute_nodes_leave_no_thread(
    nodes: object, mute: None, clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 0.3)
    for _ in range(4):
        page = clinician.post("/", {}, follow=True).content.decode()
        assert "3 servers did not answer." in page and "3 exams" in page
    until = time.monotonic() + 10
    while asking() and time.monotonic() < until:
        time.sleep(0.05)
    assert not asking()


def test_nobody_is_shown_the_address_of_a_node(
    nodes: dict[str, StandIn], clinician: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinician.get(f"/studies/{CT_STUDY}/")
    nodes["CT"].behaviour.fails_at = "instances"
    for address in (IMAGE.split("instances")[0], f"/studies/{CT_STUDY}/download/"):
        response = clinician.get(address)
        assert response.status_code == 502
        page = response.content.decode()
        assert "CT" in page and "127.0.0.1" not in page and "http:" not in page
    missing = clinician.get(IMAGE.replace(".1.1/", ".1.99/") + "header/")
    assert missing.status_code == 404
    assert "127.0.0.1" not in missing.content.decode()
