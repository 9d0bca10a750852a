"""The DICOM door and its keys, on real wires: rights, TLS peers, users, limits, approval."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from dicom_node import peers
from dicom_node.config import CONFIG
from dicom_node.config.access import Tls
from dicom_node.dimse.association.tls import ServerTls
from dicom_node.dimse.scu import remote, send
from dicom_node.dimse.server.port import DicomServer, Listener, listen
from dicom_node.models import Instance, RejectedCaller
from dicom_node.peers import book, rejected
from dicom_node.peers.peer import from_json
from pacs_common.errors import PeerUnreachable
from tests.node.objects import STUDY, ct
from tests.support import roles
from tests.support.certificates import Authority, Paper
from tests.support.ports import free_port
from tests.support.rejections import rejected as refused
from tests.support.services import require

pytestmark = pytest.mark.slow  # real peers, real waiting

STUDY_FIND = StudyRootQueryRetrieveInformationModelFind
MODALITY = {"ae_title": "CT1", "addresses": ["127.0.0.1"], "may": ["echo", "store"]}
WORKSTATION = {"ae_title": "WS1", "addresses": ["127.0.0.1"], "may": ["echo", "query"]}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def papers(hospital) -> dict[str, Paper]:
    return {name: hospital.issue(name, rsa_bits=3072) for name in ("node", "ct1", "ws1")}


@dataclasses.dataclass
class Node:
    """A node in this process: its two ports, and its settings, which a test may change."""

    port: int
    tls_port: int
    tls: Tls

    def audited(self, kind: str) -> list[dict]:
        """What the audit holds of a kind, oldest first."""
        files = sorted((CONFIG.data_dir / "audit").glob("*.jsonl"))
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [record for record in records if record["kind"] == kind]


@pytest.fixture
def configure(monkeypatch):
    """Change settings of access while the node runs, as a new start would."""

    def configure(**settings) -> None:
        monkeypatch.setattr(book, "CONFIG", dataclasses.replace(book.CONFIG, **settings))

    configure(accept_loopback=False)
    return configure


@pytest.fixture
def node(layout, transactional_db, configure, hospital, papers) -> Iterator[Node]:
    tls = Tls(
        port=1,
        bind="127.0.0.1",
        certificate=papers["node"].certificate,
        key=papers["node"].key,
        authorities=hospital.certificate,
        client_certificate="require",
        profile="bcp195",
    )
    plain, secured = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    server = DicomServer(
        layout,
        [Listener(plain), Listener(secured, ServerTls(tls))],
        reserve_bytes=CONFIG.reserve_bytes,
    )
    yield Node(server.port, secured.getsockname()[1], tls)
    server.stop()


def know(*told: dict) -> None:
    for one in told:
        book.put(from_json(one))


def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [require(program), "-v", "-to", "5", "-ta", "5", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def echo(port: int, ae_title: str, *words: object) -> subprocess.CompletedProcess[str]:
    return run("echoscu", "-aet", ae_title, "-aec", "ARGENS_CT", *words, "127.0.0.1", port)


def with_tls(paper: Paper, authority: Authority) -> list[object]:
    return ["+tls", paper.key, paper.certificate, "+cf", authority.certificate]


@contextlib.contextmanager
def associated(node: Node, ae_title: str, **more) -> Iterator:
    found = _asked(node, ae_title, **more)
    yield found
    if found.is_established:
        found.release()


def _asked(node: Node, ae_title: str, **more) -> Association:
    ae = AE(ae_title=ae_title)
    for sop_class in (Verification, STUDY_FIND, CTImageStorage):
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    return ae.associate("127.0.0.1", node.port, **more)


def stored(association) -> int:
    ds = ct(1)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return association.send_c_store(ds).Status


def write(file: Path, ds: Dataset) -> None:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(file, enforce_file_format=True)


def found(association) -> int:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", ""
    *_, (status, _) = association.send_c_find(identifier, STUDY_FIND)
    return status.Status


def test_each_peer_does_what_it_may_and_nothing_else(node):
    know(MODALITY, WORKSTATION)
    with associated(node, "CT1") as modality:
        assert modality.send_c_echo().Status == 0x0000
        assert stored(modality) == 0x0000
        assert found(modality) == 0x0124
    with associated(node, "WS1") as workstation:
        assert stored(workstation) == 0x0124
        assert found(workstation) == 0x0000
    refused(lambda: _asked(node, "STRANGER"))
    assert Instance.objects.count() == 1
    whys = {record["why"] for record in node.audited("refused")}
    assert whys == {"CT1 may not query here", "WS1 may not store here"}


def test_a_stranger_is_told_why_remembered_and_let_in_by_approval_while_the_node_runs(node):
    know(MODALITY)
    answer = echo(node.port, "CT9")
    assert answer.returncode != 0
    assert "Calling AE Title Not Recognized" in answer.stderr + answer.stdout
    wait_until(RejectedCaller.objects.exists)
    row = RejectedCaller.objects.get()
    assert (row.ae_title, row.address, row.called_ae) == ("CT9", "127.0.0.1", "ARGENS_CT")
    rejected.approve(row.id, [peers.Service.ECHO])
    assert echo(node.port, "CT9").returncode == 0
    assert echo(node.port, "CT8").returncode != 0
    assert [record["ae_title"] for record in node.audited("rejected")] == ["CT9", "CT8"]


def test_a_known_title_from_a_new_address_is_remembered_as_such(node):
    know({**MODALITY, "addresses": ["10.0.0.7"]})
    assert echo(node.port, "CT1").returncode != 0
    wait_until(RejectedCaller.objects.exists)
    row = RejectedCaller.objects.get()
    assert (row.cause, row.address) == ("new-address", "127.0.0.1")
    rejected.approve(row.id)
    assert echo(node.port, "CT1").returncode == 0


def test_the_called_title_counts_where_the_setting_says_so(node, configure):
    know(MODALITY)
    wrong = ["-aet", "CT1", "-aec", "OTHER", "127.0.0.1", node.port]
    assert run("echoscu", *wrong).returncode == 0
    configure(check_called_ae=True)
    answer = run("echoscu", *wrong)
    assert "Called AE Title Not Recognized" in answer.stderr + answer.stdout
    assert echo(node.port, "CT1").returncode == 0


def test_a_peer_has_no_more_associations_than_its_limit(node):
    know({**MODALITY, "max_associations": 1}, WORKSTATION)
    with associated(node, "CT1") as first:
        assert first.is_established
        answer = echo(node.port, "CT1")
        assert "Local Limit Exceeded" in answer.stderr + answer.stdout
        assert echo(node.port, "WS1").returncode == 0
    wait_until(lambda: echo(node.port, "CT1").returncode == 0)
    assert not RejectedCaller.objects.exists()  # nothing for IT to approve


def test_an_association_is_audited_from_begin_to_end(node):
    know(MODALITY)
    with associated(node, "CT1") as modality:
        stored(modality)
        stored(modality)
    wait_until(lambda: node.audited("ended"))
    (begun,) = node.audited("associated")
    assert (begun["ae_title"], begun["address"], begun["tls"]) == ("CT1", "127.0.0.1", False)
    first, again = node.audited("stored")
    assert (first["outcome"], first["instances"], again["outcome"]) == ("stored", 1, "duplicate")
    assert (first["study_uid"], first["size_bytes"]) == (STUDY, Instance.objects.get().size_bytes)
    (ended,) = node.audited("ended")
    assert (ended["ae_title"], ended["why"]) == ("CT1", "released")


@pytest.mark.parametrize(
    "profile", ["--profile-bcp195", "--profile-bcp195-nd", "--profile-bcp195-ex"]
)
def test_dcmtk_gets_in_over_tls_with_each_profile_of_bcp_195(node, hospital, papers, profile):
    know(MODALITY)
    answer = echo(node.tls_port, "CT1", *with_tls(papers["ct1"], hospital), profile)
    assert answer.returncode == 0, answer.stderr + answer.stdout
    (begun,) = node.audited("associated")
    assert (begun["tls"], begun["certificate"]) == (True, "CN=ct1")


def test_dcmtk_stores_over_tls_and_the_plain_port_goes_on(node, hospital, papers, tmp_path):
    know(MODALITY)
    file = tmp_path / "image.dcm"
    write(file, ct(1, Rows=512, Columns=512, PixelData=bytes(2 * 512 * 512)))
    options = ["-aet", "CT1", *with_tls(papers["ct1"], hospital), "127.0.0.1", node.tls_port]
    answer = run("storescu", *options, file)
    assert answer.returncode == 0, answer.stderr + answer.stdout
    assert Instance.objects.get().source_ae == "CT1"
    assert echo(node.port, "CT1").returncode == 0


def test_without_the_hospitals_certificate_nobody_gets_in_over_tls(
    node, hospital, papers, tmp_path
):
    know(MODALITY)
    stranger = Authority(tmp_path, "Elsewhere").issue("ct1", rsa_bits=3072)
    assert echo(node.tls_port, "CT1", "+tla", "-ic").returncode != 0
    assert echo(node.tls_port, "CT1", *with_tls(stranger, hospital)).returncode != 0
    assert echo(node.tls_port, "CT1").returncode != 0  # plain words at the TLS port
    assert echo(node.tls_port, "CT1", *with_tls(papers["ct1"], hospital)).returncode == 0
    wait_until(lambda: len(node.audited("rejected")) >= 2)
    assert all("no TLS" in record["why"] for record in node.audited("rejected"))


def test_a_peer_bound_to_its_certificate_gets_in_with_that_one_alone(node, hospital, papers):
    know({**MODALITY, "certificate": {"sha256": papers["ct1"].sha256}}, WORKSTATION)
    assert echo(node.tls_port, "CT1", *with_tls(papers["ct1"], hospital)).returncode == 0
    assert echo(node.tls_port, "CT1", *with_tls(papers["ws1"], hospital)).returncode != 0
    assert echo(node.port, "CT1").returncode != 0
    assert echo(node.tls_port, "WS1", *with_tls(papers["ct1"], hospital)).returncode == 0
    wait_until(lambda: RejectedCaller.objects.count() == 2)
    shown = set(RejectedCaller.objects.values_list("cause", "certificate_subject"))
    assert shown == {("certificate", "CN=ws1"), ("certificate", "")}


@pytest.fixture
def listening(tmp_path, hospital, papers) -> Iterator[int]:
    """DCMTK's storescp behind TLS, which asks for a certificate of the hospital."""
    port = free_port()
    process = subprocess.Popen(
        [
            require("storescp"),
            *map(str, with_tls(papers["ws1"], hospital)),
            "-od",
            tmp_path,
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(port))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_the_node_calls_a_destination_over_tls(node, listening, monkeypatch, papers):
    config = dataclasses.replace(remote.CONFIG, tls=node.tls)
    monkeypatch.setattr(remote, "CONFIG", config)
    there = {"host": "127.0.0.1", "port": listening, "tls": True}
    know({**WORKSTATION, "listens": there})
    send.echo(remote.known("WS1"))
    know({**WORKSTATION, "listens": there, "certificate": {"sha256": papers["ws1"].sha256}})
    send.echo(remote.known("WS1"))
    know({**WORKSTATION, "listens": there, "certificate": {"sha256": papers["ct1"].sha256}})
    with pytest.raises(PeerUnreachable, match="showed CN=ws1"):
        send.echo(remote.known("WS1"))
    know({**WORKSTATION, "listens": {**there, "tls": False}})
    with pytest.raises(PeerUnreachable):
        send.echo(remote.known("WS1"))


@pytest.fixture
def users(configure, tmp_path):
    """Anna has a passcode; tokens of the hospital's key are believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "jwt.pem").write_bytes(public)
    rules = dataclasses.replace(
        book.CONFIG.identity,
        demand="required",
        users_file=tmp_path / "users.json",
        jwt_key=tmp_path / "jwt.pem",
        jwt_issuer="hospital",
    )
    configure(identity=rules)
    book.put_user("anna", peers.identity.hashed("open-sesame"))

    def token(**claims) -> Path:
        told = {"sub": "anna", "iss": "hospital", "aud": "ARGENS_CT", "exp": time.time() + 60}
        file = tmp_path / "token"
        file.write_text(jwt.encode(told | claims, key, "ES256"))
        return file

    return token


def test_a_user_is_asked_for_believed_or_refused(node, users, tmp_path):
    know(MODALITY)
    file = tmp_path / "image.dcm"
    write(file, ct(1))

    def store(*words: object) -> subprocess.CompletedProcess[str]:
        return run("storescu", "-aet", "CT1", *words, "127.0.0.1", node.port, file)

    assert store().returncode != 0
    assert store("--user", "anna", "--password", "guess").returncode != 0
    assert store("--user", "anna").returncode != 0
    right = store("--user", "anna", "--password", "open-sesame", "--pos-response")
    assert right.returncode == 0, right.stderr
    assert store("--jwt", users(), "--pos-response").returncode == 0
    assert store("--jwt", users(iss="elsewhere")).returncode != 0
    assert {record["identity"] for record in node.audited("stored")} == {"anna"}
    whys = [record["why"] for record in node.audited("rejected")]
    assert whys[:3] == [
        "no user identity is given, and one is required",
        "user 'anna': wrong passcode",
        "user 'anna' needs a passcode",
    ]
    assert "not believed" in whys[3]
    assert "guess" not in str(whys)


@pytest.mark.slow
def test_approval_takes_effect_in_a_running_node_of_several_processes(tmp_path, hospital, papers):
    tls_port = free_port()
    node = roles.node(
        tmp_path,
        PACS_ACCEPT_LOOPBACK="no",
        PACS_SCP_PROCESSES="2",
        PACS_DICOM_TLS_PORT=str(tls_port),
        PACS_DICOM_TLS_CERT=str(papers["node"].certificate),
        PACS_DICOM_TLS_KEY=str(papers["node"].key),
        PACS_DICOM_TLS_CA=str(hospital.certificate),
    )
    with roles.running(node):
        assert echo(node.dicom_port, "CT1").returncode != 0
        wait_until(lambda: "'CT1' is not known" in node.command("peers", "rejected").stdout)
        approved = node.command("peers", "approve", "1", "--may", "echo")
        assert approved.returncode == 0, approved.stderr
        for _ in range(4):  # whichever process takes it
            assert echo(node.dicom_port, "CT1").returncode == 0
            secured = echo(tls_port, "CT1", *with_tls(papers["ct1"], hospital))
            assert secured.returncode == 0, secured.stdout + secured.stderr
        assert node.command("peers", "remove", "CT1").returncode == 0
        assert echo(node.dicom_port, "CT1").returncode != 0


def wait_until(holds, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
