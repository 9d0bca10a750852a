"""One client between roles: what it sends, what it understands, and when it gives up."""

from __future__ import annotations

import hashlib
import io
import socket
import threading

import pytest

from pacs_common import errors
from pacs_common.http import HttpClient, guarded
from pacs_common.logs import trace_id
from tests.common.peer import breaks_off, peer, says, says_json, waits

pytestmark = pytest.mark.slow


@pytest.fixture
def client():
    made: list[HttpClient] = []

    def make(url: str, **options) -> HttpClient:
        made.append(HttpClient(url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def released():
    event = threading.Event()
    yield event
    event.set()


def test_a_json_answer_is_returned_and_an_empty_one_is_none(client):
    with peer(says_json({"a": [1]}), says(status=204)) as node:
        ask = client(node.url)
        assert ask.json("GET", "/x") == {"a": [1]}
        assert ask.json("GET", "/x") is None


def test_a_request_carries_its_ticket_parameters_body_and_trace(client):
    token = trace_id.set("abc123")
    try:
        with peer(says_json({})) as node:
            client(node.url + "/").json(
                "POST", "/x", token="T.T.T", params={"q": "Lefèvre^J*"}, body={"b": "é"}
            )
    finally:
        trace_id.reset(token)
    (asked,) = node.asked
    assert asked.path == "/x?q=Lef%C3%A8vre%5EJ%2A"
    assert asked.headers["authorization"] == "Bearer T.T.T"
    assert asked.headers["x-request-id"] == "abc123"
    assert asked.body == '{"b":"é"}'.encode()


@pytest.mark.parametrize("odd", ["é", "a\nb", "\x7f"])
def test_a_trace_id_that_is_no_header_value_is_left_out(client, odd):
    token = trace_id.set(odd)
    try:
        with peer(says_json({})) as node:
            client(node.url).json("GET", "/x")
    finally:
        trace_id.reset(token)
    assert "x-request-id" not in node.asked[0].headers


@pytest.mark.parametrize("kind", list(errors.explained()), ids=lambda kind: kind.__name__)
def test_a_problem_document_becomes_the_error_that_was_meant(client, kind):
    document = errors.problem(kind("this is why"))
    with peer(says_json(document, kind.http_status)) as node:
        with pytest.raises(errors.ArgensError) as caught:
            client(node.url).json("GET", "/x")
    assert type(caught.value) is kind
    assert str(caught.value) == f"{node.url} answered {kind.http_status}: this is why"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, errors.PeerUnreachable),
        (400, errors.BadInput),
        (401, errors.NotAuthenticated),
        (403, errors.Refused),
        (404, errors.NotFound),
        (405, errors.BadInput),
        (406, errors.NotAcceptable),
        (409, errors.Conflict),
        (413, errors.BadInput),
        (429, errors.Unavailable),
        (500, errors.PeerUnreachable),
        (502, errors.PeerUnreachable),
        (503, errors.Unavailable),
        (504, errors.PeerUnreachable),
        (507, errors.DiskFull),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no document</html>", b"[1]", b'"text"'])
def test_a_status_without_a_problem_document_has_its_plain_meaning(client, status, kind, body):
    with peer(says(body, status, "text/html")) as node:
        with pytest.raises(errors.ArgensError) as caught:
            client(node.url).json("GET", "/x")
    assert type(caught.value) is kind


def test_an_answer_that_is_no_json_is_a_peer_that_did_not_answer(client):
    with peer(says(b"<html>a proxy's page</html>")) as node:
        ask = client(node.url)
        with pytest.raises(errors.PeerUnreachable, match="answered /x with no JSON"):
            ask.json("GET", "/x")
        with pytest.raises(errors.PeerUnreachable, match="with no JSON"):
            ask.put_file("/x", io.BytesIO(b"a"), 1)


def test_a_refused_connection_is_named(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(errors.PeerUnreachable, match=url):
        client(url).json("GET", "/x")


def test_a_peer_that_takes_a_connection_and_says_nothing_is_given_up(client, released):
    with peer(waits(released)) as node:
        with pytest.raises(errors.PeerUnreachable, match="did not answer in time"):
            client(node.url, read_s=0.1).json("GET", "/x")
        released.set()


def test_an_address_that_cannot_be_one_is_bad_input(client):
    with peer(says_json({})) as node:
        with pytest.raises(errors.BadInput):
            client(node.url).json("GET", "/x\x01")
        with pytest.raises(errors.BadInput), client(node.url).stream("GET", "/x\x01"):
            pass
    assert node.asked == []


def test_proxies_of_the_environment_are_not_asked(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with peer(says_json({"direct": True})) as node:
        assert client(node.url).json("GET", "/x") == {"direct": True}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_unreachable_peer_is_asked_again_as_often_as_was_told(client, method):
    with peer(breaks_off(b"", 10), says(status=502), says_json({"ok": True})) as node:
        assert client(node.url, retries=2).json(method, "/x") == {"ok": True}
    assert len(node.asked) == 3


def test_after_the_last_attempt_the_error_stands(client):
    with peer(says(status=502)) as node:
        with pytest.raises(errors.PeerUnreachable):
            client(node.url, retries=1).json("GET", "/x")
    assert len(node.asked) == 2


def test_a_post_is_never_sent_twice(client):
    with peer(says(status=502)) as node:
        with pytest.raises(errors.PeerUnreachable):
            client(node.url, retries=3).json("POST", "/x", body={})
    assert len(node.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 503, 507])
def test_an_answer_that_says_why_is_not_asked_for_again(client, status):
    with peer(says(status=status)) as node:
        with pytest.raises(errors.ArgensError):
            client(node.url, retries=3).json("GET", "/x")
    assert len(node.asked) == 1


def test_a_download_is_the_exact_bytes_with_their_digest(client, tmp_path):
    content = bytes(range(256)) * 12_289  # three mebibytes: several chunks
    with peer(says(content, 200, "application/dicom")) as node:
        received = client(node.url).download("/file", tmp_path / "got", token="T")
    assert (tmp_path / "got").read_bytes() == content
    assert received.size_bytes == len(content)
    assert received.sha256 == hashlib.sha256(content).hexdigest()
    assert node.asked[0].headers["authorization"] == "Bearer T"


def test_a_download_that_breaks_off_is_never_taken_for_whole(client, tmp_path):
    with peer(breaks_off(b"half", of=8)) as node:
        with pytest.raises(errors.PeerUnreachable, match="broke off"):
            client(node.url).download("/file", tmp_path / "got")


def test_a_download_that_stalls_is_given_up(client, tmp_path, released):
    with peer(waits(released, b"some")) as node:
        with pytest.raises(errors.PeerUnreachable, match="broke off: did not answer in time"):
            client(node.url, read_s=0.2).download("/file", tmp_path / "got")
        released.set()


def test_a_download_that_is_refused_leaves_no_file(client, tmp_path):
    with peer(says_json(errors.problem(errors.NotOnline("on a tape")), 503)) as node:
        with pytest.raises(errors.NotOnline, match="on a tape"):
            client(node.url).download("/file", tmp_path / "got")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_that_breaks_off_is_an_unreachable_peer(client):
    with peer(breaks_off(b"{", of=100, status=404)) as node:
        with pytest.raises(errors.PeerUnreachable):
            with client(node.url).stream("GET", "/x"):
                pass


def test_a_passing_stream_yields_refusals_as_they_are(client):
    with peer(says(b"why", 404, "text/plain")) as node:
        with client(node.url).stream("GET", "/x", passing=True) as answer:
            assert answer.status_code == 404
            assert answer.read() == b"why"


def test_a_stream_whose_kept_connection_was_just_closed_is_asked_for_again(client):
    with peer(hangs_up, says(b"here", 200, "text/plain")) as node:
        with client(node.url).stream("GET", "/x") as answer:
            assert answer.read() == b"here"
    assert len(node.asked) == 2


def test_a_streamed_post_is_never_sent_twice(client):
    with peer(hangs_up, says(b"here", 200, "text/plain")) as node:
        with pytest.raises(errors.PeerUnreachable):
            with client(node.url).stream("POST", "/x", body={}):
                pass
    assert len(node.asked) == 1


def hangs_up(request):
    """Close the connection without a word, as a server does with one that was idle."""
    request.close_connection = True


def test_a_body_is_streamed_not_gathered(client, released):
    with peer(waits(released, b"first")) as node:
        with client(node.url).stream("GET", "/x") as answer:
            assert next(guarded(answer.iter_raw(), node.url)) == b"first"
        released.set()


def test_a_streamed_body_is_asked_for_again_while_nothing_of_it_came(client):
    with peer(hangs_up, hangs_up, breaks_off(b"", of=4), says(b"here")) as node:
        assert b"".join(client(node.url).body("/x", token="T")) == b"here"
    assert len(node.asked) == 4
    assert node.asked[-1].headers["authorization"] == "Bearer T"
    assert node.asked[-1].headers["accept-encoding"] == "identity"


def test_a_streamed_body_of_which_part_came_is_never_begun_anew(client):
    came = b""
    with peer(breaks_off(b"half", of=8), says(b"other")) as node:
        with pytest.raises(errors.PeerUnreachable, match="broke off"):
            for chunk in client(node.url).body("/x"):
                came += chunk
    assert (came, len(node.asked)) == (b"half", 1)


def test_a_streamed_body_that_is_refused_says_why(client):
    with peer(says_json(errors.problem(errors.NotOnline("on a tape")), 503)) as node:
        with pytest.raises(errors.NotOnline, match="on a tape"):
            next(client(node.url).body("/x"))
    assert len(node.asked) == 1


def test_a_file_is_put_with_its_length_and_its_exact_bytes(client):
    content = bytes(range(256)) * 8_193
    with peer(says_json({"restored": True}, 201)) as node:
        source = io.BytesIO(b"before" + content)
        source.seek(6)
        answer = client(node.url).put_file("/x", source, len(content), token="T")
    (asked,) = node.asked
    assert answer == {"restored": True}
    assert asked.headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in asked.headers
    assert asked.headers["content-type"] == "application/dicom"
    assert asked.headers["authorization"] == "Bearer T"
    assert asked.body == content


@pytest.mark.parametrize("promised", [3, 9])
def test_a_file_that_is_not_as_long_as_promised_is_not_put(client, promised):
    with peer(says_json({})) as node:
        with pytest.raises(errors.BadInput, match=f"not of {promised} bytes"):
            client(node.url, read_s=2).put_file("/x", io.BytesIO(b"abcdef"), promised)


def test_a_refusal_before_the_whole_file_was_sent_is_understood(client):
    def full(request):
        says_json(errors.problem(errors.DiskFull("the disk is full")), 507)(request)
        request.close_connection = True

    with peer(full) as node:
        with pytest.raises(errors.DiskFull, match="the disk is full"):
            client(node.url).put_file("/x", io.BytesIO(b"a" * 100), 100)


def test_a_client_serves_many_threads(client):
    with peer(says_json({"ok": True})) as node:
        ask, answers = client(node.url), []
        threads = [
            threading.Thread(target=lambda: answers.append(ask.json("GET", "/x"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [{"ok": True}] * 8
