"""Who may call what: every address of the node, asked by those who may and those who may not."""

from __future__ import annotations

import base64
import dataclasses
import errno
import json
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import caches
from django.test import Client
from django.urls import URLPattern, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.api import guard
from dicom_node.store.layout import Layout
from pacs_common.tickets import TicketIssuer
from tests.node.objects import SERIES, STUDY, ct
from tests.node.web_answers import require_problem, whole

pytestmark = pytest.mark.slow

OPEN = {"healthz", "readyz", "metrics"}
PEER, FORGOTTEN = "api/peers/<path:title>", "api/rejected-callers/<int:caller_id>"
BODIES = {
    "POST api/commitments": {"peer_ae": "WS1", "study_uid": STUDY},
    "POST api/custody/reservations": {"study_uid": STUDY, "bytes": 1},
    "POST api/custody/restore/<str:study_uid>/journal": {"records": []},
    "PUT api/custody/studies/<str:study_uid>/holds": {"holds": []},
    "PUT api/custody/studies/<str:study_uid>/availability": {"availability": "OFFLINE"},
    f"PUT {PEER}": {"addresses": ["10.0.0.7"], "may": ["echo"]},
    **{f"POST api/scu/{name}": {"peer": "WS1"} for name in ("echo", "find", "move", "get")},
}
VALUES = {"study_uid": STUDY, "series_uid": SERIES, "sop_uid": f"{SERIES}.1", "numbers": "1"}
RESTORED = (
    "restore/<str:study_uid>/<str:sop_uid>",
    "restore/<str:study_uid>/quarantine/<str:sop_uid>",
)
VALUES |= {"note_uid": "1.2.3", "correction_id": "1", "digest": "0" * 64, "take_over_id": "1"}
PUT = "PUT api/custody/studies/<str:study_uid>/instances/<str:sop_uid>"


def routes() -> list[str]:
    """Return every address of the node with its method, as its URL configuration has it."""
    patterns: list[URLPattern] = get_resolver("dicom_node.urls").url_patterns
    found = [str(pattern.pattern) for pattern in patterns]
    more = [PUT, f"PUT {PEER}", f"DELETE {PEER}", f"DELETE {FORGOTTEN}"]
    more += ["POST api/commitments", "POST api/forwarding", "PUT api/forwarding/rules"]
    more += ["POST api/corrections"]
    return [f"{_method(route)} {route}" for route in found if route != FORGOTTEN] + more


def _method(route: str) -> str:
    verbs = (
        "evictions",
        "reservations",
        "journal",
        "approve",
        "receipts",
        "retry",
        "resend",
        "cancel",
        "undo",
        "keep",
        "take",
        "known",
        "end",
    )
    if route.endswith(("holds", "availability", *RESTORED)):
        return "PUT"
    is_post = route.endswith(verbs) or route.startswith("api/scu/")
    return "POST" if is_post else "GET"


RESCUE = [route for route in routes() if route.split()[1].startswith("rescue/")]
GUARDED = [r for r in routes() if r not in RESCUE and r.split()[1] not in OPEN]
NO_SESSION = {"rescue/login/": 200, "rescue/rescue.css": 200, "rescue/logout/": 405}  # by GET


KINDS = {  # what reading asks for, and what changing does
    "api/forwarding": ("forwarding.read", "forwarding.write"),
    "api/commitments": ("forwarding.read", "forwarding.write"),
    "api/corrections": ("corrections.read", "corrections.write"),
    "api/audit": ("audit.read", "audit.write"),
    "api/arrivals": ("arrivals.read", "arrivals.read"),  # patients are named in no address
    "api/transfers": ("arrivals.read", "arrivals.write"),
    "api/quarantine": ("arrivals.read", "quarantine.decide"),
}


EXACTLY = {
    "api/node": "status",
    "api/chores": "status",
    "api/log": "log.read",
    "api/custody/receipts": "custody.receipt",
    "api/custody/reservations": "custody.recall",
    "api/custody/restore/<str:study_uid>/journal": "custody.restore",
    "api/custody/restore/<str:study_uid>/<str:sop_uid>": "custody.restore",
    "api/custody/restore/<str:study_uid>/quarantine/<str:sop_uid>": "custody.restore",
    "api/custody/take-over/<str:take_over_id>/end": "custody.restore",
    "api/custody/studies/<str:study_uid>/holds": "custody.hold",
    "api/custody/studies/<str:study_uid>/availability": "custody.availability",
}


def scope_of(route: str) -> str:
    """Return the scope that docs/interfaces.md asks for at an address."""
    method, path = route.split()
    if path in EXACTLY:
        return EXACTLY[path]
    if path.startswith("api/scu/"):
        return "scu"
    for prefix, scopes in KINDS.items():
        if path.startswith(prefix):
            return scopes[method != "GET"]
    if path.startswith("api/rejections"):
        what = path.rpartition("/")[2]
        return {"approve": "rejections.approve", "undo": "dicomweb.delete"}.get(
            what, "rejections.read"
        )
    if "peers" in path or "callers" in path:
        return "peers.read" if method == "GET" else "peers.write"
    if method == "POST":
        return "custody.evict"
    if "custody" in path:
        return "custody.recall" if method == "PUT" else "custody.read"
    return "dicomweb"


def call(route: str, token: str | None = None, body: dict | None = None):
    method, path = route.split()
    for name, value in VALUES.items():
        path = path.replace(f"<str:{name}>", value)
    path = path.replace("<path:title>", "CT1").replace("<int:caller_id>", "1")
    path = path.replace("<int:request_id>", "1").replace("<int:row_id>", "1")
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return Client().generic(
        method,
        f"/{path}",
        json.dumps(body or BODIES.get(route, {"study_uid": STUDY})),
        "application/json",
        headers=headers,
    )


@pytest.fixture
def stored(take):
    take(ct(1))


@pytest.mark.parametrize("route", GUARDED)
def test_a_stranger_is_asked_who_it_is(db, route):
    answer = call(route)
    require_problem(answer, 401)
    assert answer["WWW-Authenticate"] == 'Bearer realm="Argens", Basic realm="Argens"'


@pytest.mark.parametrize("route", GUARDED)
def test_a_ticket_without_the_scope_is_refused(db, ticket, route):
    other = "status" if scope_of(route) != "status" else "dicomweb"
    require_problem(call(route, ticket(other)), 403)
    if scope_of(route).startswith("custody"):
        other = "custody.recall" if scope_of(route) != "custody.recall" else "custody.read"
        require_problem(call(route, ticket(other)), 403)


# A rejection and a correction are of a study of their own: their views hold the ticket to that.
LOOKED_UP = ("api/rejections", "api/corrections")


@pytest.mark.parametrize("route", [r for r in GUARDED if not r.split()[1].startswith(LOOKED_UP)])
def test_a_ticket_for_another_study_is_refused(db, ticket, route):
    token = ticket(scope_of(route), study="1.2.3", plan="p1")
    require_problem(call(route, token), 403)


@pytest.mark.parametrize("route", GUARDED)
def test_each_issuer_is_believed_for_its_own_scopes_only(db, ticket, route):
    scope = scope_of(route)
    if scope not in ("status", "scu"):
        wrong = "portal" if scope.startswith("custody") else "archive"
        require_problem(call(route, ticket(scope, issuer=wrong)), 403)
    require_problem(call(route, ticket(scope, issuer="stranger")), 403)


@pytest.mark.parametrize("route", GUARDED)
def test_the_right_ticket_is_let_in(stored, ticket, route):
    answer = call(route, ticket(scope_of(route)))
    content = whole(answer)
    assert answer.status_code not in (401, 403, 500), content
    if "<str:study_uid>" in route:
        bound = call(route, ticket(scope_of(route), study=STUDY))
        assert (bound.status_code, len(whole(bound)) > 0) == (answer.status_code, len(content) > 0)


@pytest.mark.parametrize("route", RESCUE)
def test_no_ticket_and_no_token_opens_the_rescue_page(layout, db, ticket, people, route):
    """A sealed account and its session alone do: without an account there is nothing."""
    credentials = [None, "secret", *map(ticket, ("dicomweb", "custody.read", "status"))]
    for token in credentials:
        require_problem(call(route, token), 404)
    layout.rescue.mkdir(exist_ok=True)
    layout.rescue_account.write_text('{"hash": "none", "made_at": "2026-11-28"}')
    for token in credentials:
        answer = call(route, token)
        assert answer.status_code == NO_SESSION.get(route.split()[1], 302)
    layout.rescue_account.unlink()


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_is_told_to_everybody(db, path):
    assert Client().get(f"/{path}").status_code in (200, 503)


def test_an_expired_ticket_is_refused(db, ticket):
    require_problem(call("GET api/node", ticket("status", lifetime_s=-60)), 401)


def test_a_ticket_for_another_node_is_refused(db, ticket):
    require_problem(call("GET api/node", ticket("status", audience="RF")), 401)


def test_an_issuer_that_the_node_does_not_trust_is_refused(db, ticket):
    ticket("status")  # the portal is trusted here, by another key
    for issuer in ("nobody", "portal", "../portal"):
        token = TicketIssuer(issuer, Ed25519PrivateKey.generate()).issue(
            "CT", ["status"], subject="x"
        )
        require_problem(call("GET api/node", token), 401)


def test_an_unsigned_ticket_is_refused(db, ticket):
    ticket("status")  # so that the portal is known here
    claims = jwt.decode(ticket("status"), options={"verify_signature": False})
    require_problem(call("GET api/node", jwt.encode(claims, "", algorithm="none")), 401)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["Bearer ", "Basic ", "bearer a.b.", "Bearer e30.e30.", "Digest ", ""]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
)
def test_no_authorization_header_is_a_fault_of_ours(db, kind, text):
    answer = Client().get("/api/node", headers={"Authorization": kind + text})
    assert answer.status_code == 401


@pytest.mark.parametrize("route", GUARDED)
def test_another_method_is_405(db, ticket, route):
    method, path = route.split()
    answer = call(f"PATCH {path}", ticket(scope_of(route)))
    assert answer.status_code == 405
    assert method in answer["Allow"]
    assert b"Traceback" not in answer.content


def test_a_fault_of_ours_is_a_problem_document_without_details(db, ticket, monkeypatch):
    monkeypatch.setattr("dicom_node.api.health.counts", lambda: 1 / 0)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/node", headers={"Authorization": f"Bearer {ticket('status')}"})
    assert "division" not in require_problem(answer, 500)


class Portal(BaseHTTPRequestHandler):
    """The portal's /api/introspect, over a real wire."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked["token"]))
        status, content = self.server.answers.get(asked["token"], (200, {"active": False}))
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def people(layout, db, monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """A portal that knows people's API tokens; `answers` and `asked` are the test's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    clinician = {"active": True, "subject": "clinician", "scopes": ["dicomweb"]}
    server.answers, server.asked = {"secret": (200, clinician)}, []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    config = dataclasses.replace(guard.CONFIG, portal_url=address)
    monkeypatch.setattr(guard, "CONFIG", config)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def by_basic(token: str, path: str = "/dicom-web/studies"):
    credentials = base64.b64encode(f"anybody:{token}".encode()).decode()
    return Client().get(path, headers={"Authorization": f"Basic {credentials}"})


def by_bearer(token: str, path: str = "/dicom-web/studies"):
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("ask", [by_bearer, by_basic])
def test_a_persons_token_opens_dicomweb(people, ask):
    assert ask("secret").status_code == 200
    assert people.asked == [("/api/introspect", "secret")]


def test_what_a_person_reads_past_the_portal_is_logged_without_names(people, caplog):
    caplog.set_level("INFO")
    by_bearer("secret", "/dicom-web/studies/1.2.3?PatientName=Martin")
    (line,) = [record for record in caplog.records if "token" in record.message]
    assert (line.subject, line.study_uid) == ("clinician", "1.2.3")
    assert "Martin" not in str(vars(line))


def test_a_persons_token_opens_nothing_else(people):
    people.answers["greedy"] = (
        200,
        {"active": True, "subject": "x", "scopes": ["status", "custody.read", "peers.write"]},
    )
    require_problem(by_bearer("greedy", "/api/node"), 403)
    require_problem(by_bearer("secret", "/api/node"), 403)
    require_problem(by_bearer("greedy", "/api/custody/studies"), 403)


def test_the_portal_is_asked_once_a_minute_for_a_token(people, monkeypatch):
    for _ in range(3):
        by_bearer("secret")
    assert len(people.asked) == 1
    monkeypatch.setattr("django.core.cache.backends.filebased.time.time", _later(61))
    by_bearer("secret")
    assert len(people.asked) == 2


def test_a_known_token_goes_on_for_a_minute_without_the_portal_and_no_longer(people, monkeypatch):
    assert by_bearer("secret").status_code == 200
    config = dataclasses.replace(guard.CONFIG, portal_url="http://127.0.0.1:9")
    monkeypatch.setattr(guard, "CONFIG", config)
    assert by_bearer("secret").status_code == 200
    monkeypatch.setattr("django.core.cache.backends.filebased.time.time", _later(61))
    assert "does not answer" in require_problem(by_bearer("secret"), 502)


def test_all_processes_know_what_the_portal_said(people):
    """What is remembered lies on the disk, and no token in it."""
    by_bearer("secret")
    kept = [*Layout(guard.CONFIG.data_dir).cache.iterdir()]
    assert len(kept) == 1
    content = kept[0].read_bytes()
    assert b"secret" not in content + zlib.decompress(content[content.index(b".") + 1 :])


def test_a_disk_that_remembers_nothing_costs_a_question_each_time(people, monkeypatch):
    monkeypatch.setattr(type(caches["shared"]), "set", _full)
    for _ in range(2):
        assert by_bearer("secret").status_code == 200
    assert len(people.asked) == 2


def _full(*args: object, **named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_inactive_token_is_refused(people):
    require_problem(by_bearer("stolen"), 401)
    require_problem(by_basic("stolen"), 401)
    require_problem(by_basic(""), 401)


@pytest.mark.parametrize(
    "answer", [(500, {}), (404, {"detail": "x"}), (200, b"<html>"), (200, []), (401, {})]
)
def test_a_portal_that_does_not_tell_is_502_and_is_asked_again(people, answer):
    people.answers["secret2"] = answer
    require_problem(by_bearer("secret2"), 502)
    require_problem(by_bearer("secret2"), 502)
    assert len(people.asked) == 2


def test_a_portal_that_is_away_is_502(people, monkeypatch):
    config = dataclasses.replace(guard.CONFIG, portal_url="http://127.0.0.1:9")
    monkeypatch.setattr(guard, "CONFIG", config)
    assert "portal" in require_problem(by_bearer("secret"), 502)


def test_without_a_portal_tokens_are_refused(layout, db):
    require_problem(by_bearer("secret"), 401)


def _later(seconds: float):
    real = time.time
    return lambda: real() + seconds
