"""The node as SCU over real associations: echo, store, find, move, get, and its commands."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from django.core.management import CommandError, call_command
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_node.config import CONFIG
from dicom_node.dimse.association import offers
from dicom_node.dimse.scu import ask, delivery, fetch, plan, remote, send
from dicom_node.dimse.scu.remote import Remote
from dicom_node.index.attributes import Level
from dicom_node.models import Instance
from dicom_node.peers import Destination, Peer, book
from dicom_node.store import part10
from pacs_common.errors import BadQuery, PeerFailed, PeerUnreachable, UnknownDestination
from tests.node.dimse_peers import EXPLICIT, IMPLICIT, known_as, silent, storage
from tests.node.objects import SERIES, STUDY, ct, encoded
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.roles import wait_for_port
from tests.support.services import require

pytestmark = pytest.mark.slow  # real peers, real waiting


def at(port: int, title: str = "DEST") -> Remote:
    return Remote(title, "127.0.0.1", port)


@contextlib.contextmanager
def pacs(*contexts: str, **handlers) -> Iterator[int]:
    """Run a foreign PACS by pynetdicom that answers by `handlers`; yields its port."""
    ae = AE(ae_title="PACS")
    for sop_class in (Verification, *contexts):
        ae.add_supported_context(sop_class, scu_role=True, scp_role=True)
    bound = [(getattr(evt, f"EVT_C_{name.upper()}"), do) for name, do in handlers.items()]
    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
    try:
        yield scp.socket.getsockname()[1]
    finally:
        scp.shutdown()


@pytest.fixture
def patience(monkeypatch):
    changed = dataclasses.replace(CONFIG, peer_response_s=0.5)
    for module in (delivery, remote, ask):
        monkeypatch.setattr(module, "CONFIG", changed)


def file_of(folder: Path, ds: Dataset, syntax: str = EXPLICIT) -> Path:
    """Write a data set as a DICOM file and return its path."""
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    origin = part10.Provenance(part10.datetime.now(part10.UTC))
    meta = part10.meta_group(ds.SOPClassUID, ds.SOPInstanceUID, syntax, origin)
    path.write_bytes(meta + encoded(ds, syntax))
    return path


# --- echo -----------------------------------------------------------------------------------


def test_a_peer_that_answers_is_echoed():
    with pacs() as port:
        send.echo(at(port))


def test_a_peer_that_fails_is_told_in_full():
    with pacs(echo=lambda event: 0x0122) as port:
        with pytest.raises(PeerFailed, match=rf"DEST at 127.0.0.1:{port} .*0x0122"):
            send.echo(at(port))


def test_a_peer_without_verification_is_told():
    with storage() as found:
        with pytest.raises(PeerFailed, match="does not take a C-ECHO"):
            send.echo(at(found.port))


def test_nobody_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(PeerUnreachable, match="refused"):
        send.echo(at(port))


def test_a_name_that_is_nowhere_is_told():
    with pytest.raises(PeerUnreachable, match=r"cannot be reached: .*(known|resolution)"):
        send.echo(Remote("DEST", "no-such-host.invalid", 104))


def test_a_rejection_is_told_with_its_result_source_and_reason():
    ae = AE(ae_title="OTHER")
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    scp = ae.start_server(("127.0.0.1", 0), block=False)
    with pytest.raises(PeerUnreachable, match=r"permanent.*service user.*called AE"):
        send.echo(at(scp.socket.getsockname()[1]))
    scp.shutdown()


def test_a_silent_peer_is_told(patience):
    with silent() as port, pytest.raises(PeerUnreachable, match=r"silent|in time"):
        send.echo(at(port))


def test_an_abort_is_told():
    with pacs(echo=lambda event: event.assoc.abort() or 0x0000) as port:
        with pytest.raises(PeerUnreachable, match=r"aborted|closed"):
            send.echo(at(port))


def test_only_known_peers_have_a_name():
    with pytest.raises(UnknownDestination, match="NOBODY"):
        remote.known("NOBODY")
    with known_as("WS7", 4242):
        assert str(remote.known("WS7")) == "WS7 at 127.0.0.1:4242"


# --- store ----------------------------------------------------------------------------------


def test_files_leave_in_their_own_syntax_over_one_association(tmp_path):
    files = [file_of(tmp_path, ct(1)), file_of(tmp_path, ct(2), IMPLICIT)]
    with storage() as found:
        results = list(send.files(files, at(found.port)))
    assert [(r.item.path, r.status) for r in results] == [(path, 0x0000) for path in files]
    assert [ds.file_meta.TransferSyntaxUID for ds in found.kept] == [EXPLICIT, IMPLICIT]
    assert found.associations == 1


def test_what_is_no_dicom_file_or_refused_fails_alone(tmp_path):
    text = tmp_path / "readme.txt"
    text.write_text("no DICOM")
    files = [text, file_of(tmp_path, ct(1)), file_of(tmp_path, ct(2)), tmp_path / "missing"]
    with storage() as found:
        found.on_store = lambda e: 0xA700 if e.request.MessageID == 1 else 0xB007
        results = {r.item.path.name: r for r in send.files(files, at(found.port))}
    refused, warned = results[f"{SERIES}.1.dcm"], results[f"{SERIES}.2.dcm"]
    assert (refused.status, refused.is_taken) == (0xA700, False)
    assert (warned.status, warned.is_taken) == (0xB007, True)
    assert results["readme.txt"].reason.startswith("not a DICOM file")
    assert results["missing"].status is None


def test_a_file_that_the_peer_does_not_take_is_turned_or_fails(tmp_path):
    lossy = Path(str(pydicom.data.get_testdata_file("SC_rgb_jpeg_dcmtk.dcm", download=False)))
    files = [lossy, file_of(tmp_path, ct(1, SOPClassUID=MRImageStorage))]
    sop_class = send.item_of(lossy).sop_class
    with storage(EXPLICIT, classes=(sop_class,)) as found:
        results = list(send.files(files, at(found.port)))
    by_path = {r.item.path: r for r in results}
    assert by_path[lossy].status == 0x0000
    assert found.kept[0].file_meta.TransferSyntaxUID == EXPLICIT
    assert "does not take MR Image Storage" in by_path[files[1]].reason


def test_stored_instances_leave_as_files_do_and_the_absent_ones_come_back_unsent(take, layout):
    for number in (1, 2, 3):
        take(ct(number))
    Instance.objects.filter(uid=f"{SERIES}.2").update(availability="NEARLINE")
    with storage() as found:
        results = list(send.instances(Instance.objects.order_by("number"), layout, at(found.port)))
    assert [r.status for r in results] == [0x0000, None, 0x0000]
    assert found.uids == [f"{SERIES}.1", f"{SERIES}.3"]


def test_whoever_stops_reading_ends_the_sending_with_a_release(take, layout):
    for number in (1, 2, 3):
        take(ct(number))
    ended: list[str] = []
    with storage() as found:
        found.on_end = ended.append
        results = send.instances(Instance.objects.order_by("number"), layout, at(found.port))
        next(results)
        results.close()
    assert found.uids == [f"{SERIES}.1"]
    assert ended == ["EVT_RELEASED"]


def test_a_peer_over_tls_is_called_over_tls(tmp_path, monkeypatch):
    hospital = Authority(tmp_path)
    node, peer = hospital.issue("node"), hospital.issue("peer")
    files = {"certificate": node.certificate, "key": node.key, "authorities": hospital.certificate}
    secured = dataclasses.replace(CONFIG.tls, **files)
    monkeypatch.setattr(remote, "CONFIG", dataclasses.replace(CONFIG, tls=secured))
    port = free_port()
    command = [require("storescp"), "+tls", peer.key, peer.certificate]
    command += ["+cf", hospital.certificate, "-od", tmp_path, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        listens = Destination("SECURE", "127.0.0.1", port, tls=True)
        book.put(Peer("SECURE", listens=listens))
        send.echo(remote.known("SECURE"))
        with pytest.raises(PeerUnreachable):
            send.echo(at(port, "SECURE"))
    finally:
        process.terminate()
        process.wait(10)
        book.remove("SECURE")


def test_a_peer_that_is_away_is_tried_once_for_many_files(tmp_path):
    files = [file_of(tmp_path, ct(number)) for number in range(1, 6)]
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    results = list(send.files(files, at(port)))
    assert len(results) == 5
    assert all(r.is_lost and "refused" in r.reason for r in results)


# --- find -----------------------------------------------------------------------------------

FIND = StudyRootQueryRetrieveInformationModelFind


def matches_of(count: int, cancelled: list[int]):
    """Return a C-FIND handler with `count` matches; it notes after how many it was cancelled."""

    def find(event):
        for number in range(count):
            if event.is_cancelled:
                cancelled.append(number)
                yield 0xFE00, None
                return
            ds = Dataset()
            ds.SpecificCharacterSet = "ISO_IR 100"
            ds.PatientName = f"Lefèvre^{number}"
            ds.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, ds
        yield 0x0000, None

    return find


def test_answers_come_decoded_one_by_one():
    with pacs(FIND, find=matches_of(3, [])) as port:
        query = ask.identifier(Level.STUDY, {"PatientName": "LEF*"})
        found = [str(ds.PatientName) for ds in ask.find(at(port), query)]
    assert found == ["Lefèvre^0", "Lefèvre^1", "Lefèvre^2"]


def test_a_query_is_cancelled_after_its_limit():
    cancelled: list[int] = []
    with pacs(FIND, find=matches_of(100_000, cancelled)) as port:
        found = list(ask.find(at(port), ask.identifier(Level.STUDY, {}), limit=5))
    assert len(found) == 5
    assert cancelled and cancelled[0] < 100_000


def test_whoever_stops_reading_ends_the_query():
    with pacs(FIND, find=matches_of(100_000, [])) as port:
        answers = ask.find(at(port), ask.identifier(Level.STUDY, {}))
        next(answers)
        answers.close()


def test_a_failed_query_is_told():
    def find(event):
        yield 0xA700, None

    with pacs(FIND, find=find) as port, pytest.raises(PeerFailed, match="0xA700: out of"):
        list(ask.find(at(port), ask.identifier(Level.STUDY, {})))


def test_a_peer_without_queries_is_told():
    with storage() as found, pytest.raises(PeerFailed, match="not this service"):
        list(ask.find(at(found.port), ask.identifier(Level.STUDY, {})))


def test_a_key_that_is_no_keyword_is_refused():
    with pytest.raises(BadQuery, match="PatientNam"):
        ask.identifier(Level.STUDY, {"PatientNam": "x"})


def test_a_name_beyond_latin_1_is_asked_in_unicode():
    assert ask.identifier(Level.STUDY, {"PatientName": "Lefèvre"}).SpecificCharacterSet == (
        "ISO_IR 100"
    )
    assert ask.identifier(Level.STUDY, {"PatientName": "Łukasz"}).SpecificCharacterSet == (
        "ISO_IR 192"
    )


# --- move and get ---------------------------------------------------------------------------

MOVE = StudyRootQueryRetrieveInformationModelMove
GET = StudyRootQueryRetrieveInformationModelGet
WHOLE_STUDY = {"StudyInstanceUID": STUDY}


def test_a_peer_sends_its_instances_to_this_node(server):
    def move(event):
        assert event.move_destination.strip() == CONFIG.ae_title
        yield "127.0.0.1", server.port, {"contexts": [build_context(CTImageStorage, EXPLICIT)]}
        yield 2
        for number in (1, 2):
            yield 0xFF00, with_meta(ct(number))

    named = ask.retrieve_identifier(Level.STUDY, WHOLE_STUDY)
    with pacs(MOVE, CTImageStorage, move=move) as port:
        told = list(ask.move(at(port), named, CONFIG.ae_title))
    assert [(p.remaining, p.completed) for p in told[:-1]] == [(1, 1), (0, 2)]
    assert (told[-1].status, told[-1].completed) == (0x0000, 2)
    assert Instance.objects.count() == 2


def with_meta(ds: Dataset) -> Dataset:
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds


def test_a_move_that_is_refused_is_told():
    def move(event):
        yield None, None

    with pacs(MOVE, move=move) as port, pytest.raises(PeerFailed, match="0xA801: move dest"):
        list(ask.move(at(port), ask.retrieve_identifier(Level.STUDY, WHOLE_STUDY), "X"))


def test_what_a_peer_sends_back_lands_by_the_nodes_own_way_in(ingest):
    def get(event):
        yield 2
        for number in (1, 2):
            yield 0xFF00, with_meta(ct(number))

    named = ask.retrieve_identifier(Level.STUDY, WHOLE_STUDY)
    with pacs(GET, CTImageStorage, get=get) as port:
        told = list(fetch.get(at(port, "PACS"), named, ingest))
    assert (told[-1].status, told[-1].completed) == (0x0000, 2)
    assert sorted(Instance.objects.values_list("uid", "source_ae")) == [
        (f"{SERIES}.1", "PACS"),
        (f"{SERIES}.2", "PACS"),
    ]


@pytest.mark.parametrize(
    "uids", [{}, {"PatientID": "7"}, {"StudyInstanceUID": STUDY, "StudyDate": "2026"}]
)
def test_a_retrieve_names_its_unique_key_and_no_other_attribute(uids):
    with pytest.raises(BadQuery):
        ask.retrieve_identifier(Level.STUDY, uids)


def test_a_get_proposes_no_more_contexts_than_fit():
    proposals = fetch.proposals()
    assert len(proposals) + len(offers.GET) <= plan.MAX_CONTEXTS
    assert all(p.scp and not p.scu for p in proposals)


# --- commands -------------------------------------------------------------------------------


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_echo_command_says_who_answers():
    with pacs() as port:
        assert run("echo", "127.0.0.1", str(port)).startswith(f"ANY-SCP at 127.0.0.1:{port} answ")
        with known_as("WS1", port):
            assert run("echo", "--to", "WS1").startswith("WS1 at")


@pytest.mark.parametrize(
    "words",
    [("echo",), ("echo", "host", "port"), ("echo", "--to", "NOBODY"), ("find", "h", "1", "Name"),
     ("send", "127.0.0.1", "104", "/nowhere"), ("echo", "127.0.0.1", "²"),
     ("echo", "--called", "X" * 17, "127.0.0.1", "1"), ("echo", "--called", "A\nB", "h", "1"),
     ("echo", "--calling", "é", "127.0.0.1", "1")],
)  # fmt: skip
def test_a_command_that_makes_no_sense_fails_with_one_line(words):
    with pytest.raises(CommandError) as failed:
        run(*words)
    assert "\n" not in str(failed.value)


def test_the_find_command_prints_a_table_or_json():
    with pacs(FIND, find=matches_of(2, [])) as port:
        table = run("find", "127.0.0.1", str(port), "PatientName=LEF*").splitlines()
        lines = run("find", "127.0.0.1", str(port), "--json", "--limit", "1").splitlines()
    assert table[0].split() == ["PatientName", "StudyInstanceUID"]
    assert table[1].split() == ["Lefèvre^0", "1.2.0"]
    assert table[-1] == "2 found"
    (answer,) = map(json.loads, lines)
    assert answer["00100010"]["Value"] == [{"Alphabetic": "Lefèvre^0"}]


def test_the_send_command_names_each_file_that_was_not_taken(tmp_path):
    file_of(tmp_path, ct(1))
    with storage() as found:
        assert "1 files sent" in run("send", "127.0.0.1", str(found.port), str(tmp_path))
        (tmp_path / "x.txt").write_text("x")
        with pytest.raises(CommandError, match="1 of 2 files were not taken"):
            run("send", "127.0.0.1", str(found.port), str(tmp_path))
