"""Callers that were not let in: remembered, told apart, approved without a restart."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client

from dicom_node import peers
from dicom_node.models import RejectedCaller
from dicom_node.peers import book, rejected
from tests.node.web_answers import require_problem

OWN = peers.Certificate("a" * 64, "CN=ct1")
OTHER = peers.Certificate("b" * 64, "CN=ct1")


@pytest.fixture(autouse=True)
def configured(tmp_path, monkeypatch, db):
    """A node of its own folder that trusts nobody for being near."""
    config = dataclasses.replace(
        book.CONFIG, data_dir=tmp_path, accept_loopback=False, peers={"CT1": "10.0.0.7"}
    )
    monkeypatch.setattr(book, "CONFIG", config)
    monkeypatch.setattr("dicom_node.audit.trail.CONFIG", config)
    return tmp_path


def call(ae_title: str, address: str, certificate: peers.Certificate | None = None) -> str:
    """Ask for an association as the DICOM door does; returns the cause of a rejection, or ""."""
    caller = peers.Caller(ae_title, "ARGENS", address, certificate, secured=bool(certificate))
    answer = peers.decide(peers.current(), caller)
    if isinstance(answer, peers.Grant):
        return ""
    rejected.remember(caller, answer)
    return answer.cause


@pytest.fixture
def portal(ticket):
    """Ask the node's API as the portal does: `portal("GET", "peers")`."""

    def portal(method: str, path: str, body: object = None, scope: str = ""):
        scope = scope or ("peers.read" if method == "GET" else "peers.write")
        return Client().generic(
            method,
            f"/api/{path}",
            "" if body is None else json.dumps(body),
            "application/json",
            headers={"Authorization": f"Bearer {ticket(scope)}"},
        )

    return portal


def test_each_distinct_caller_is_one_row_that_counts():
    for _ in range(3):
        call("CT9", "10.0.0.9")
    call("CT9", "10.0.0.10")
    call("CT1", "10.0.0.9")
    rows = {(r.ae_title, r.address): r for r in RejectedCaller.objects.all()}
    assert len(rows) == 3
    row = rows["CT9", "10.0.0.9"]
    assert (row.count, row.cause) == (3, "unknown-ae")
    assert row.first_at <= row.last_at
    assert rows["CT1", "10.0.0.9"].cause == "new-address"


def test_a_known_title_at_a_new_address_is_approved_without_a_restart(portal):
    assert call("CT1", "10.0.0.9") == "new-address"
    (caller,) = portal("GET", "rejected-callers").json()["callers"]
    assert (caller["cause"], caller["count"]) == ("new-address", 1)
    answer = portal("POST", f"rejected-callers/{caller['id']}/approve")
    assert answer.status_code == 200
    assert answer.json()["peer"]["addresses"] == ["10.0.0.7", "10.0.0.9"]
    assert call("CT1", "10.0.0.9") == ""
    assert call("CT1", "10.0.0.7") == ""
    assert call("CT1", "10.0.0.10") == "new-address"
    assert [c["address"] for c in portal("GET", "rejected-callers").json()["callers"]] == [
        "10.0.0.10"
    ]


def test_a_stranger_is_let_in_only_with_a_word_on_what_it_may_do(portal):
    assert call("CT9", "10.0.0.9") == "unknown-ae"
    row = RejectedCaller.objects.get()
    require_problem(portal("POST", f"rejected-callers/{row.id}/approve"), 400)
    require_problem(portal("POST", f"rejected-callers/{row.id}/approve", {"may": ["all"]}), 400)
    assert call("CT9", "10.0.0.9") == "unknown-ae"
    answer = portal("POST", f"rejected-callers/{row.id}/approve", {"may": ["echo", "store"]})
    assert answer.json()["peer"]["may"] == ["echo", "store"]
    assert call("CT9", "10.0.0.9") == ""
    assert not peers.current().peers["CT9"].may & {"query", "retrieve", "commit"}


def test_a_renewed_certificate_is_approved_and_the_old_one_is_not_taken_any_more(portal):
    rule = {"addresses": ["10.0.0.5"], "may": ["echo"], "certificate": {"sha256": OWN.sha256}}
    assert portal("PUT", "peers/CT2", rule).status_code == 201
    assert call("CT2", "10.0.0.5", OWN) == ""
    assert call("CT2", "10.0.0.5", OTHER) == "certificate"
    row = RejectedCaller.objects.get()
    assert portal("POST", f"rejected-callers/{row.id}/approve").status_code == 200
    assert call("CT2", "10.0.0.5", OTHER) == ""
    assert call("CT2", "10.0.0.5", OWN) == "certificate"


def test_what_cannot_be_approved_is_a_conflict(portal):
    rule = {"addresses": ["10.0.0.5"], "may": ["echo"], "certificate": {"sha256": OWN.sha256}}
    portal("PUT", "peers/CT2", rule)
    call("CT2", "10.0.0.5")  # without any certificate
    row = RejectedCaller.objects.get()
    require_problem(portal("POST", f"rejected-callers/{row.id}/approve"), 409)
    row.cause = "user"
    row.save()
    require_problem(portal("POST", f"rejected-callers/{row.id}/approve"), 409)
    require_problem(portal("POST", "rejected-callers/0/approve"), 404)


def test_a_rejected_caller_is_forgotten_on_a_word(portal):
    call("CT9", "10.0.0.9")
    row = RejectedCaller.objects.get()
    assert portal("DELETE", f"rejected-callers/{row.id}").status_code == 204
    assert portal("GET", "rejected-callers").json() == {"callers": []}


def test_a_crowd_of_strangers_fills_no_table_and_hides_no_known_title(monkeypatch):
    monkeypatch.setattr(rejected, "MAX_ROWS", 10)
    call("CT1", "10.0.0.9")
    for number in range(30):
        call(f"X{number}", "10.0.0.66")
    titles = set(RejectedCaller.objects.values_list("ae_title", flat=True))
    assert titles == {"CT1", *(f"X{number}" for number in range(21, 30))}


def test_strangers_that_call_another_title_hide_no_known_title_either(monkeypatch):
    monkeypatch.setattr(rejected, "MAX_ROWS", 10)
    call("CT1", "10.0.0.9")
    changed = dataclasses.replace(book.CONFIG, check_called_ae=True, ae_title="SOMEBODY")
    monkeypatch.setattr(book, "CONFIG", changed)
    for number in range(30):
        assert call(f"X{number}", "10.0.0.66") == "called-ae"
    assert RejectedCaller.objects.filter(ae_title="CT1").exists()
    assert RejectedCaller.objects.count() == 10


def test_a_database_that_is_away_does_not_break_a_rejection(monkeypatch, caplog):
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(RejectedCaller.objects, "filter", away)
    monkeypatch.setattr(rejected.connections, "close_all", lambda: None)  # the test needs its own
    assert call("CT9", "10.0.0.9") == "unknown-ae"
    assert "not remembered" in caplog.text


def test_what_a_stranger_calls_itself_cannot_break_the_row():
    call("A\0B\x1b[31m", "10.0.0.9")
    assert RejectedCaller.objects.get().ae_title == "A?B?[31m"


@pytest.mark.django_db(transaction=True)
def test_two_first_rejections_at_once_are_one_row():
    start = threading.Barrier(2)

    def knock() -> None:
        start.wait()
        call("CT9", "10.0.0.9")
        rejected.connections.close_all()

    threads = [threading.Thread(target=knock) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert RejectedCaller.objects.get().count == 2


def test_peers_are_put_read_and_removed_over_http(portal, configured):
    told = {"addresses": ["10.2.0.0/16"], "may": ["query"], "listens": {"host": "ws", "port": 104}}
    assert portal("PUT", "peers/WS%2F1", told).status_code == 201
    assert portal("PUT", "peers/WS%2F1", {**told, "note": "ward 3"}).status_code == 200
    shown = portal("GET", "peers/WS%2F1").json()["peer"]
    assert (shown["ae_title"], shown["note"], shown["in_settings"]) == ("WS/1", "ward 3", False)
    answer = portal("GET", "peers").json()
    assert [one["ae_title"] for one in answer["peers"]] == ["CT1", "WS/1"]
    assert answer["problem"] == ""
    assert portal("DELETE", "peers/WS%2F1").status_code == 204
    require_problem(portal("GET", "peers/WS%2F1"), 404)
    require_problem(portal("DELETE", "peers/WS%2F1"), 404)
    require_problem(portal("DELETE", "peers/CT1"), 409)  # PACS_PEERS names it
    assert (configured / "audit").is_dir()
    kinds = [record["kind"] for record in audited(portal)]
    assert kinds == ["peer-removed", "peer-changed", "peer-changed"]


def audited(portal) -> list[dict]:
    answer = portal("GET", "audit", scope="audit.read")
    assert answer.status_code == 200
    return answer.json()["records"]


@pytest.fixture(autouse=True)
def audit_is_read_where_it_is_written(configured, monkeypatch):
    monkeypatch.setattr("dicom_node.api.audit.CONFIG", book.CONFIG)


@pytest.mark.parametrize(
    "body", [[], {"may": ["all"]}, {"ae_title": "OTHER"}, {"addresses": ["10.0.0.300"]}]
)
def test_nonsense_about_a_peer_is_a_problem_document(portal, body):
    require_problem(portal("PUT", "peers/WS1", body), 400)
    assert "WS1" not in peers.current().peers


def test_a_broken_file_is_told_and_never_written_over(portal, configured):
    (configured / "peers.json").write_text("{")
    require_problem(portal("PUT", "peers/WS1", {"may": ["echo"]}), 409)
    assert "peers.json is not JSON" in portal("GET", "peers").json()["problem"]
    assert "peers.json" in portal("GET", "node", scope="status").json()["problems"][0]


@pytest.mark.parametrize("asked", ["limit=0", "limit=x", "since=yesterday", "before=x"])
def test_nonsense_about_the_audit_is_a_problem_document(portal, asked):
    require_problem(portal("GET", f"audit?{asked}", scope="audit.read"), 400)


def test_the_audit_is_read_by_kind_and_page(portal):
    for number in range(3):
        portal("PUT", f"peers/W{number}", {"may": ["echo"]})
    portal("DELETE", "peers/W0")
    first = portal("GET", "audit?kind=peer-changed&limit=2", scope="audit.read").json()
    assert [record["ae_title"] for record in first["records"]] == ["W2", "W1"]
    rest = portal(
        "GET", f"audit?kind=peer-changed&limit=2&before={first['next']}", scope="audit.read"
    ).json()
    assert [record["ae_title"] for record in rest["records"]] == ["W0"]
    later = portal("GET", "audit?since=2999-01-01T00:00:00%2B02:00", scope="audit.read").json()
    assert later == {"records": [], "next": None}


def test_peers_are_kept_by_a_command_too(capsys):
    call_command("peers", "add", "WS1", "--address", "10.0.0.8", "--may", "echo,query")
    call_command("peers", "add", "WS1", "--listens", "ws1:11112")
    found = peers.current().peers["WS1"]
    assert (found.addresses, found.may, found.listens.port) == (
        ("10.0.0.8",),
        {"echo", "query"},
        11112,
    )
    call("CT9", "10.0.0.9")
    call_command("peers", "rejected")
    assert "'CT9' is not known" in capsys.readouterr().out
    with pytest.raises(CommandError, match="say what CT9 may do"):
        call_command("peers", "approve", str(RejectedCaller.objects.get().id))
    call_command("peers", "approve", str(RejectedCaller.objects.get().id), "--may", "store")
    assert call("CT9", "10.0.0.9") == ""
    call_command("peers", "remove", "WS1")
    call_command("peers", "list")
    out = capsys.readouterr().out
    assert "CT9" in out and "may store" in out
    with pytest.raises(CommandError, match="not one of"):
        call_command("peers", "add", "WS1", "--may", "everything")
