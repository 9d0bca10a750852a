"""The short path answers what the whole way answers, and whom the guard lets in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO
from wsgiref.util import FileWrapper

import pytest

from dicom_node import audit
from dicom_node.api import guard
from dicom_node.models import Instance
from dicom_node.prepared import pictures
from dicom_node.wsgi import application as counted
from tests.node.objects import STUDY
from tests.node.test_frames import FRAMES, JPEG, LOOP, LOSSLESS_JPEG, OCTETS, loop

application = counted.application
WHOLE_WAY = application.whole_way
IMAGE = FRAMES.removesuffix("/frames")
SINGLE_JPEG = f"image/jpeg; transfer-syntax={LOSSLESS_JPEG}"
ASKED = [
    (f"{FRAMES}/2", OCTETS),
    (f"{FRAMES}/2", "*/*"),
    (f"{FRAMES}/2", JPEG),
    (f"{FRAMES}/2", SINGLE_JPEG),
    (f"{FRAMES}/2", "application/octet-stream"),
    (f"{FRAMES}/2?accept=application/octet-stream", "image/png"),
    (f"{IMAGE}/rendered", "image/gif"),
    (f"{FRAMES}/1/rendered", "image/jpeg"),
    (f"{FRAMES}/1/rendered?window=40,80&viewport=32,32", "image/png"),
    (f"{IMAGE}/thumbnail", "*/*"),
    (f"{FRAMES}/2/thumbnail", "image/*"),
]
NOT_ANSWERED = [
    ("GET", "/healthz", {}),
    ("GET", f"{IMAGE}/metadata", {}),
    ("GET", f"/dicom-web/studies/{STUDY}/rendered", {}),
    ("GET", f"{FRAMES}/1,2", {"HTTP_ACCEPT": OCTETS}),
    ("GET", f"{FRAMES}/9", {"HTTP_ACCEPT": OCTETS}),
    ("GET", f"{FRAMES}/0", {"HTTP_ACCEPT": OCTETS}),
    ("GET", f"{FRAMES}/1", {"HTTP_ACCEPT": "text/plain"}),
    ("GET", f"{IMAGE}9/rendered", {}),
    ("GET", f"{IMAGE}/rendered?window=x", {}),
    ("GET", f"{FRAMES}/1", {"HTTP_AUTHORIZATION": "Bearer a.b.c"}),
    ("GET", f"{FRAMES}/1", {"HTTP_AUTHORIZATION": ""}),
    ("GET", f"{IMAGE}/rendered", {"HTTP_ORIGIN": "https://viewer.example"}),
    ("HEAD", f"{IMAGE}/rendered", {}),
    ("OPTIONS", f"{IMAGE}/rendered", {}),
    ("POST", f"{FRAMES}/1", {}),
]


@pytest.fixture
def ask(take, portal):
    """Ask a WSGI application; returns its status, its headers and its body."""
    take(loop())

    def ask(address, application, method="GET", **environ):
        path, _, query = address.partition("?")
        base = portal._base_environ(PATH_INFO=path, QUERY_STRING=query, REQUEST_METHOD=method)
        base |= {"wsgi.input": BytesIO(), "wsgi.file_wrapper": FileWrapper} | environ
        told = {}
        body = application(base, lambda status, found: told.update(status=status, found=found))
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return told["status"], sorted(told["found"]), content

    return ask


@pytest.fixture
def long_ways(monkeypatch):
    """The addresses that went the whole way."""
    gone = []

    def noted(environ, start_response):
        gone.append(environ["PATH_INFO"])
        return WHOLE_WAY(environ, start_response)

    monkeypatch.setattr(application, "whole_way", noted)
    return gone


def same_boundary(answer):
    """Return an answer with the boundary that is drawn for it alone taken out."""
    status, headers, body = answer
    drawn = re.search(r"boundary=(\S+)", dict(headers).get("Content-Type", ""))
    if drawn is None:
        return answer
    headers = [(name, value.replace(drawn[1], "")) for name, value in headers]
    return status, headers, body.replace(drawn[1].encode(), b"")


@pytest.mark.parametrize(("address", "accept"), ASKED)
def test_it_answers_as_the_whole_way_does(ask, long_ways, address, accept):
    made_now = ask(address, application, HTTP_ACCEPT=accept)
    kept = ask(address, application, HTTP_ACCEPT=accept)
    assert long_ways == []
    assert made_now[0] == kept[0] == "200 OK" and made_now[2] and kept[2]
    assert same_boundary(kept) == same_boundary(ask(address, WHOLE_WAY, HTTP_ACCEPT=accept))


def test_what_the_caller_has_is_not_sent_again(ask, long_ways):
    address = f"{FRAMES}/1/rendered"
    etag = dict(ask(address, application)[1])["ETag"]
    short = ask(address, application, HTTP_IF_NONE_MATCH=etag)
    assert long_ways == []
    assert short == ask(address, WHOLE_WAY, HTTP_IF_NONE_MATCH=etag)
    assert short[0] == "304 Not Modified" and short[2] == b""


@pytest.mark.parametrize(("method", "address", "environ"), NOT_ANSWERED)
def test_everything_else_goes_the_whole_way(ask, long_ways, method, address, environ):
    answer = ask(address, application, method, **environ)
    assert long_ways == [address.partition("?")[0]]
    assert same_boundary(answer) == same_boundary(ask(address, WHOLE_WAY, method, **environ))


def test_the_guard_holds_a_ticket_against_the_study(ask, long_ways, ticket):
    for bound, scope, status in (
        (STUDY, "dicomweb", "200 OK"),
        ("1.2.3", "dicomweb", "403 Forbidden"),
        (STUDY, "status", "403 Forbidden"),
    ):
        credentials = f"Bearer {ticket(scope, study=bound)}"
        told = ask(f"{FRAMES}/1/rendered", application, HTTP_AUTHORIZATION=credentials)
        assert told[0] == status
    assert len(long_ways) == 2


def test_what_is_hidden_away_or_damaged_is_not_answered(ask, layout):
    row = Instance.objects.get()
    assert ask(f"{FRAMES}/1", application, HTTP_ACCEPT=OCTETS)[0] == "200 OK"
    Instance.every.update(rejected=True)
    assert ask(f"{FRAMES}/1", application, HTTP_ACCEPT=OCTETS)[0] == "404 Not Found"
    Instance.every.update(rejected=False, availability="NEARLINE")
    assert ask(f"{FRAMES}/1", application, HTTP_ACCEPT=OCTETS)[0] == "503 Service Unavailable"
    Instance.every.update(availability="ONLINE")
    path = layout.object(row.hour, row.uid)
    path.write_bytes(path.read_bytes().replace(LOOP[0].tobytes(), LOOP[1].tobytes()))
    assert ask(f"{FRAMES}/1", application, HTTP_ACCEPT=OCTETS)[0] == "500 Internal Server Error"


def test_a_reading_is_audited_once_a_minute(ask, monkeypatch):
    noted = []
    monkeypatch.setattr(audit, "note", lambda kind, **told: noted.append((kind, told["study_uid"])))
    for address in (f"{FRAMES}/1", f"{FRAMES}/2/rendered", f"{IMAGE}/thumbnail"):
        assert ask(address, application)[0] == "200 OK"
    assert noted == [("read", STUDY)]


def test_a_persons_token_is_logged_with_its_route(ask, long_ways, caplog, monkeypatch):
    caplog.set_level("INFO")
    told = {"active": True, "subject": "clinician", "scopes": ["dicomweb"]}
    monkeypatch.setattr(guard, "_introspected", lambda token: told)
    monkeypatch.setattr(guard, "CONFIG", replace(guard.CONFIG, portal_url="http://127.0.0.1:9"))
    assert ask(f"{FRAMES}/1", application, HTTP_AUTHORIZATION="Bearer secret")[0] == "200 OK"
    assert long_ways == []
    (line,) = [record for record in caplog.records if "token" in record.message]
    assert (line.subject, line.study_uid) == ("clinician", STUDY)
    assert line.route.endswith("frames/<str:numbers>")


def test_a_fault_of_ours_is_told_by_the_whole_way(ask, long_ways, monkeypatch):
    def fault(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(pictures.Wanted, "made", fault)
    status, headers, body = ask(f"{FRAMES}/1/rendered", application)
    assert (status, len(long_ways)) == ("500 Internal Server Error", 1)
    assert dict(headers)["Content-Type"] == "application/problem+json"
    assert json.loads(body)["detail"] == "the node failed; see its log"
