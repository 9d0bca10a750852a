"""The two clients ask what `docs/interfaces.md` says, each with a ticket for that and no more."""

from __future__ import annotations

import io
import json
import tarfile
import time

import pytest

from pacs_common import errors
from pacs_common.archive_client import ArchiveClient
from pacs_common.node_client import NodeClient
from pacs_common.node_client.stored_files import FILES_AT_ONCE
from pacs_common.tickets import TicketIssuer, TicketVerifier
from tests.common.peer import breaks_off, peer, says, says_json

UNSAFE = ["../secrets", "1.2/3", "1.2?x=1", "1.2#", "", "%2e%2e"]


@pytest.fixture
def keys(tmp_path):
    return TicketIssuer.at("archive", tmp_path / "key.pem", tmp_path / "trust"), tmp_path / "trust"


@pytest.fixture
def node(keys):
    made = []

    def make(served) -> NodeClient:
        made.append(NodeClient("CT", served.url, keys[0], subject="job 7", retries=0))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def archive(keys):
    made = []

    def make(served) -> ArchiveClient:
        made.append(ArchiveClient(served.url, keys[0], subject="archivist"))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


def ticket(keys, asked, audience):
    kind, _, token = asked.headers["authorization"].partition(" ")
    assert kind == "Bearer"
    return TicketVerifier(audience, keys[1]).verify(token)


PLAN = {"plan_id": "p-1", "study_uid": "1.2", "instances": []}
NODE_CALLS = [
    (lambda c: c.status(), {}, "GET", "/api/node", "status", None, None),
    (lambda c: c.qido("studies", {"limit": 2}), [], "GET", "/dicom-web/studies?limit=2",
     "dicomweb", None, None),
    (lambda c: c.header("1.2.3"), {"elements": []}, "GET", "/api/instances/1.2.3/header",
     "dicomweb", None, None),
    (lambda c: c.custody_studies(after="1.2", limit=9), {}, "GET",
     "/api/custody/studies?after=1.2&limit=9", "custody.read", None, None),
    (lambda c: c.manifest("1.2"), {}, "GET", "/api/custody/studies/1.2", "custody.read", "1.2",
     None),
    (lambda c: c.put_back("1.2", "1.2.3", io.BytesIO(b"ab"), 2), {}, "PUT",
     "/api/custody/studies/1.2/instances/1.2.3", "custody.recall", "1.2", None),
    (lambda c: list(c.streamed("1.2", "1.2.3")), {}, "GET",
     "/api/custody/studies/1.2/instances/1.2.3", "custody.read", "1.2", None),
    (lambda c: c.evict(PLAN), {}, "POST", "/api/custody/evictions", "custody.evict", "1.2", "p-1"),
    (lambda c: c.recall_requests(), {"requests": []}, "GET", "/api/custody/recall-requests",
     "custody.read", None, None),
    (lambda c: c.peers(), {"peers": []}, "GET", "/api/peers", "peers.read", None, None),
    (lambda c: c.put_peer({"ae_title": "WS/1 A"}), {"peer": {}}, "PUT", "/api/peers/WS%2F1%20A",
     "peers.write", None, None),
    (lambda c: c.delete_peer("CT1"), None, "DELETE", "/api/peers/CT1", "peers.write", None, None),
    (lambda c: c.rejected_callers(), {"callers": []}, "GET", "/api/rejected-callers",
     "peers.read", None, None),
    (lambda c: c.approve_caller(3, ["echo"]), {"peer": {}}, "POST",
     "/api/rejected-callers/3/approve", "peers.write", None, None),
    (lambda c: c.forget_caller(3), None, "DELETE", "/api/rejected-callers/3", "peers.write", None,
     None),
    (lambda c: c.scu_echo("WS1"), {}, "POST", "/api/scu/echo", "scu", None, None),
    (lambda c: c.scu_find("WS1", "STUDY", {"PatientID": "7"}), {}, "POST", "/api/scu/find", "scu",
     None, None),
    (lambda c: c.scu_send("WS1", study_uid="1.2"), {}, "POST", "/api/scu/send", "scu", "1.2", None),
    (lambda c: c.audit(kind="query", limit=5), {"records": []}, "GET",
     "/api/audit?since=&kind=query&limit=5&before=", "audit.read", None, None),
    (lambda c: c.audit_lines("2026-11-28:9", 5), {"records": []}, "GET",
     "/api/audit/lines?after=2026-11-28%3A9&limit=5", "audit.read", None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "answer", "method", "path", "scope", "study", "plan"),
    NODE_CALLS,
    ids=[f"{method} {path}" for _, _, method, path, *_ in NODE_CALLS],
)
def test_a_node_is_asked_with_a_ticket_for_that_alone(
    node, keys, call, answer, method, path, scope, study, plan
):
    with peer(says_json(answer)) as served:
        call(node(served))
    (asked,) = served.asked
    shown = ticket(keys, asked, "CT")
    assert (asked.method, asked.path) == (method, path)
    assert (shown.scopes, shown.study, shown.plan) == ({scope}, study, plan)
    assert (shown.issuer, shown.subject) == ("archive", "job 7")


def tar_of(**files: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            header = tarfile.TarInfo(f"{name}.dcm")
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return made.getvalue()


def test_several_stored_files_come_in_one_answer(node, keys):
    files = {"1.2": b"x" * 512, "1.3": b"", "1.4": b"y" * 700_001}
    with peer(says(tar_of(**files), 200, "application/x-tar")) as served:
        found = {uid: b"".join(file) for uid, file in node(served).files("9.9", list(files))}
    assert found == files
    (asked,) = served.asked
    assert asked.path == "/api/custody/studies/9.9/files?instances=1.2%2C1.3%2C1.4"
    assert ticket(keys, asked, "CT").study == "9.9"


def test_a_stored_file_that_is_not_read_is_passed_over(node):
    files = {"1.2": b"x" * 700, "1.3": b"here"}
    with peer(says(tar_of(**files), 200, "application/x-tar")) as served:
        found = node(served).files("9.9", list(files))
        next(found)
        uid, file = next(found)
        assert (uid, file.size_bytes, b"".join(file)) == ("1.3", 4, b"here")


@pytest.mark.parametrize("kept_bytes", [0, 100, 600, 1100])
def test_files_that_break_off_are_never_taken_for_whole(node, kept_bytes):
    raw = tar_of(**{"1.2": b"x" * 700})
    with peer(breaks_off(raw[:kept_bytes], of=len(raw))) as served:
        with pytest.raises(errors.PeerUnreachable):
            for _, file in node(served).files("9.9", ["1.2"]):
                b"".join(file)


@pytest.mark.parametrize("raw", [b"", b"no tar" * 200])
def test_what_is_no_tar_is_a_peer_that_did_not_answer(node, raw):
    with peer(says(raw, 200, "application/x-tar")) as served:
        with pytest.raises(errors.PeerUnreachable):
            list(node(served).files("9.9", ["1.2"]))


def test_the_files_of_one_answer_fit_into_an_address():
    longest = "9" * 64
    uids = "%2C".join([longest] * FILES_AT_ONCE)
    assert len(f"GET /api/custody/studies/{longest}/files?instances={uids} HTTP/1.1") < 4094


def test_a_peer_that_is_no_name_but_an_address_needs_a_scope_more(node, keys):
    address = {"ae_title": "PACS1", "host": "10.0.0.9", "port": 104}
    with peer(says_json({"answered": True})) as served:
        node(served).scu_echo(address)
    (asked,) = served.asked
    assert ticket(keys, asked, "CT").scopes == {"scu", "scu.address"}
    assert json.loads(asked.body) == address


@pytest.mark.parametrize("ask", ["scu_move", "scu_get"])
def test_a_retrieve_is_told_line_by_line_and_raises_what_ends_it(node, ask):
    lines = [{"completed": 1}, {"error": errors.problem(errors.PeerFailed("0xA702"))}]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with peer(says(body, 200, "application/x-ndjson")) as served:
        told = getattr(node(served), ask)("WS1", "STUDY", {"StudyInstanceUID": "1.2"})
        assert next(told) == {"completed": 1}
        with pytest.raises(errors.PeerFailed, match="CT: 0xA702"):
            next(told)


def test_no_match_is_an_empty_list(node):
    with peer(says(status=204)) as served:
        assert node(served).qido("studies", {"PatientID": "?"}) == []
    assert served.asked[0].headers["accept"] == "application/dicom+json"


def test_a_dicomweb_answer_can_be_passed_on_as_it_is(node):
    with peer(says(b"later", 503, "text/plain", Retry_After="9")) as served:
        with node(served).dicomweb("studies/1.2", headers={"Accept": "image/jpeg"}) as answer:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "9")
            assert answer.read() == b"later"
    assert served.asked[0].headers["accept"] == "image/jpeg"


def test_a_stored_file_is_fetched_to_a_file(node, keys, tmp_path):
    with peer(says(b"DICM", 200, "application/dicom")) as served:
        received = node(served).fetch("1.2", "1.2.3", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"DICM" and received.size_bytes == 4
    assert ticket(keys, served.asked[0], "CT").study == "1.2"


def test_a_file_that_breaks_off_is_an_unreachable_node(node, tmp_path):
    with peer(breaks_off(b"DI", of=4)) as served, pytest.raises(errors.PeerUnreachable):
        node(served).fetch("1.2", "1.2.3", tmp_path / "got")


@pytest.mark.parametrize("uid", UNSAFE)
def test_a_uid_that_would_change_the_address_is_never_sent(node, archive, uid, tmp_path):
    with peer(says_json({})) as served:
        for call in (
            lambda: node(served).manifest(uid),
            lambda: node(served).header(uid),
            lambda: node(served).fetch("1.2", uid, tmp_path / "got"),
            lambda: node(served).put_back(uid, "1.2", io.BytesIO(b""), 0),
            lambda: archive(served).study(uid),
        ):
            with pytest.raises(errors.BadInput):
                call()
    assert served.asked == []


JOB = {"job": {"id": 4}}
ARCHIVE_CALLS = [
    (lambda c: c.status(), {}, "GET", "/api/status", "archive.read"),
    (lambda c: c.jobs(state="failed"), {"jobs": []}, "GET", "/api/jobs?state=failed",
     "archive.read"),
    (lambda c: c.volumes(), {"volumes": []}, "GET", "/api/volumes", "archive.read"),
    (lambda c: c.study("1.2"), {}, "GET", "/api/studies/1.2", "archive.read"),
    (lambda c: c.request_job("copy", "CT", "1.2"), JOB, "POST", "/api/jobs", "archive.operate"),
    (lambda c: c.request_job("recall", "CT", "1.2"), JOB, "POST", "/api/jobs", "archive.recall"),
    (lambda c: c.retry_job(4), JOB, "POST", "/api/jobs/4/retry", "archive.operate"),
    (lambda c: c.jobs_page(state="open", offset=9), {}, "GET", "/api/jobs?state=open&offset=9",
     "archive.read"),
    (lambda c: c.job(4), JOB, "GET", "/api/jobs/4", "archive.read"),
    (lambda c: c.act_on_job(4, "priority", 20), JOB, "POST", "/api/jobs/4/priority",
     "archive.operate"),
    (lambda c: c.act_on_jobs("cancel", [1, 2]), {}, "POST", "/api/jobs/actions",
     "archive.operate"),
    (lambda c: c.windows(), {"windows": []}, "GET", "/api/windows", "archive.read"),
    (lambda c: c.draw_window({"kind": "copy"}), {"window": {}}, "POST", "/api/windows",
     "archive.operate"),
    (lambda c: c.change_window(3, {}), {"window": {}}, "PUT", "/api/windows/3",
     "archive.operate"),
    (lambda c: c.remove_window(3), {}, "DELETE", "/api/windows/3", "archive.operate"),
    (lambda c: c.volumes_and_missing(), {}, "GET", "/api/volumes", "archive.read"),
    (lambda c: c.volume("v", "A/1", limit=5), {}, "GET", "/api/volumes/v/A%2F1?limit=5",
     "archive.read"),
    (lambda c: c.act_on_volume("v", "A1", "scrub"), JOB, "POST", "/api/volumes/v/A1/scrub",
     "archive.operate"),
    (lambda c: c.insert_volume("v", "A1", "A1"), {"volume": {}}, "POST",
     "/api/volumes/v/A1/insert", "archive.operate"),
    (lambda c: c.mount_requests(), {"requests": []}, "GET", "/api/mount-requests",
     "archive.read"),
    (lambda c: c.confirm_mount(7, "A1"), {}, "POST", "/api/mount-requests/7/confirm",
     "archive.operate"),
    (lambda c: c.audit_lines("7"), {"records": []}, "GET", "/api/audit/lines?after=7&limit=500",
     "audit.read"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "answer", "method", "path", "scope"), ARCHIVE_CALLS)
def test_the_archive_is_asked_with_a_ticket_for_that_alone(
    archive, keys, call, answer, method, path, scope
):
    with peer(says_json(answer)) as served:
        call(archive(served))
    (asked,) = served.asked
    assert (asked.method, asked.path) == (method, path)
    assert ticket(keys, asked, "archive").scopes == {scope}


def test_a_job_says_on_whose_behalf_it_is_asked_for(archive):
    with peer(says_json(JOB)) as served:
        assert archive(served).request_job("evict", "CT", "1.2") == {"id": 4}
    assert b'"requested_by":"archivist"' in served.asked[0].body


def test_jobs_are_acted_on_by_number_or_by_what_they_are(archive):
    with peer(says_json({})) as served:
        archive(served).act_on_jobs("cancel", [1, 2])
        archive(served).act_on_jobs("priority", priority=5, kind="copy", node="CT")
    assert [json.loads(asked.body) for asked in served.asked] == [
        {"action": "cancel", "ids": [1, 2]},
        {"action": "priority", "kind": "copy", "node": "CT", "priority": 5},
    ]


def test_what_a_node_asks_of_its_peer_may_take_longer_than_what_it_knows_itself(keys):
    def late(handler):
        time.sleep(0.6)
        says_json({"answers": [], "complete": True})(handler)

    with peer(late) as served:
        one = NodeClient("CT", served.url, keys[0], subject="it", read_s=0.2, scu_read_s=10)
        assert one.scu_find("PACS", "STUDY", {})["complete"]
        with pytest.raises(errors.PeerUnreachable):
            one.status()
        one.http.close()
