"""Associations are negotiated by PS3.8 with an independent peer (pynetdicom, DCMTK) on a port."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pydicom.uid import JPEGLosslessSV1 as LOSSLESS
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.presentation import build_context, build_role, negotiate_as_acceptor
from pynetdicom.sop_class import CTImageStorage, Verification

from dicom_node.dimse.association import associate, wire
from dicom_node.dimse.association.acceptor import (
    CALLED_AE,
    PERMANENT,
    SERVICE_USER,
    Admission,
    Offer,
    Refusal,
    Rejected,
    accept,
    negotiate,
)
from dicom_node.dimse.association.associate import Proposal, Request, Result
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.offers import COMMITMENT, offered
from dicom_node.dimse.association.requestor import request
from dicom_node.dimse.association.wire import AssociationEnded, BadPdu, PeerSilent, Wire
from pacs_common.errors import PeerUnreachable
from tests.support.rejections import rejected

pytestmark = pytest.mark.slow

Admit = Callable[[Request], Admission | Refusal]
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)


class Acceptor:
    """Accepts one association on a free port in a thread, and keeps what came of it."""

    def __init__(self, admit: Admit) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked: list[Request] = []
        self.conversation: Conversation | None = None
        self.error: AssociationEnded | None = None
        self._thread = threading.Thread(target=self._accept, args=(admit,))
        self._thread.start()

    def _accept(self, admit: Admit) -> None:
        connection, address = self._listening.accept()

        def remembered(asked: Request) -> Admission | Refusal:
            self.asked.append(asked)
            return admit(asked)

        line = Wire(connection, idle_s=5, max_pdu_bytes=65536)
        try:
            self.conversation = accept(line, address[0], remembered, within_s=5, idle_s=5)
            while (message := self.conversation.receive()) is not None:
                self.conversation.answer(message, 0)
        except AssociationEnded as error:
            self.error = error
            line.close()

    def join(self) -> None:
        self._thread.join(10)
        self._listening.close()
        assert not self._thread.is_alive()


@pytest.fixture
def acceptor() -> Iterator[Callable[[Admit], Acceptor]]:
    """Start an acceptor with its rule of admission."""
    started: list[Acceptor] = []

    def start(admit: Admit = lambda asked: Admission(offered())) -> Acceptor:
        started.append(Acceptor(admit))
        return started[-1]

    yield start
    for one in started:
        one.join()


def peer(*contexts: tuple[str, list[str]]) -> AE:
    """A requestor of pynetdicom's with these contexts."""
    ae = AE("WS1")
    ae.acse_timeout = ae.network_timeout = 10
    for sop_class, syntaxes in contexts:
        ae.add_requested_context(sop_class, syntaxes)
    return ae


def accepted(port: int, ae: AE, **how: object) -> dict[int, str]:
    """Associate, and return the transfer syntax of each accepted context by its id."""
    association = ae.associate("127.0.0.1", port, ae_title="ARGENS", **how)
    assert association.is_established
    found = {cx.context_id: str(cx.transfer_syntax[0]) for cx in association.accepted_contexts}
    association.release()
    return found


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([IMPLICIT, LOSSLESS], LOSSLESS),
        ([JPEGBaseline8Bit, IMPLICIT], IMPLICIT),
        ([JPEGBaseline8Bit, LOSSLESS, IMPLICIT], LOSSLESS),
        ([JPEGBaseline8Bit], JPEGBaseline8Bit),
    ],
)
def test_lossless_goes_before_implicit_and_lossy_comes_last(
    acceptor: Callable[..., Acceptor], proposed: list[str], chosen: str
) -> None:
    assert accepted(acceptor().port, peer((CTImageStorage, proposed))) == {1: chosen}


def test_a_peers_own_preference_goes_first(acceptor: Callable[..., Acceptor]) -> None:
    running = acceptor(lambda asked: Admission(offered((IMPLICIT, LOSSLESS))))
    proposed = [EXPLICIT, LOSSLESS, IMPLICIT]
    assert accepted(running.port, peer((CTImageStorage, proposed))) == {1: IMPLICIT}


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
        "1.2.3.4",
    ],
)
def test_a_syntax_whose_pixels_lie_elsewhere_is_refused(
    acceptor: Callable[..., Acceptor], syntax: str
) -> None:
    proposed = [(CTImageStorage, [syntax]), (Verification, [IMPLICIT])]
    assert accepted(acceptor().port, peer(*proposed)) == {3: IMPLICIT}


def test_the_role_of_an_scp_is_granted_for_images_and_reports(
    acceptor: Callable[..., Acceptor],
) -> None:
    running = acceptor()
    ae = peer((CTImageStorage, [EXPLICIT]), (COMMITMENT, [IMPLICIT]), (Verification, [IMPLICIT]))
    roles = [
        build_role(CTImageStorage, scp_role=True, scu_role=True),
        build_role(COMMITMENT, scp_role=True),
        build_role(Verification, scp_role=True),
    ]
    association = ae.associate("127.0.0.1", running.port, ext_neg=roles)
    theirs = {cx.context_id: (cx.as_scu, cx.as_scp) for cx in association.accepted_contexts}
    association.release()
    running.join()
    assert theirs == {1: (True, True), 3: (False, True), 5: (True, False)}
    assert running.conversation is not None
    ours = {id: (cx.as_scu, cx.as_scp) for id, cx in running.conversation.contexts.items()}
    assert ours == {1: (True, True), 3: (True, False), 5: (False, True)}


def test_a_refusal_reaches_the_peer_with_its_reason(acceptor: Callable[..., Acceptor]) -> None:
    refusal = Refusal(PERMANENT, SERVICE_USER, CALLED_AE, "not our title")
    asked: list[Acceptor] = []

    def ask_anew() -> Association:
        asked.append(acceptor(lambda _: refusal))
        return peer((Verification, [IMPLICIT])).associate("127.0.0.1", asked[-1].port)

    assert rejected(ask_anew).acceptor.primitive.diagnostic == CALLED_AE
    asked[-1].join()
    assert isinstance(asked[-1].error, Rejected)


def test_our_requestor_tells_why_it_was_rejected(acceptor: Callable[..., Acceptor]) -> None:
    running = acceptor(lambda asked: Refusal(PERMANENT, SERVICE_USER, CALLED_AE, "no"))
    with pytest.raises(PeerUnreachable, match="called AE title not recognised"):
        ask(running.port, [Proposal(Verification, (IMPLICIT,))])


def ask(port: int, proposals: list[Proposal], **how: object) -> Conversation:
    """Associate with our own requestor."""
    return request(
        ("127.0.0.1", port), called_ae="ARGENS", calling_ae="US", proposals=proposals, **how
    )


def test_our_requestor_agrees_with_our_acceptor(acceptor: Callable[..., Acceptor]) -> None:
    running = acceptor(lambda asked: Admission(offered(), extended={Verification: b"\x01"}))
    proposals = [
        Proposal(Verification, (IMPLICIT,), extended=b"\x01\x01"),
        Proposal(COMMITMENT, (IMPLICIT,), scu=False, scp=True),
        Proposal("1.2.3", (IMPLICIT,)),
    ]
    us = ask(running.port, proposals)
    us.release()
    running.join()
    assert {id: (cx.as_scu, cx.as_scp) for id, cx in us.contexts.items()} == {
        1: (True, False),
        3: (False, True),
    }
    assert us.extended == {Verification: b"\x01"}
    assert running.asked[0].user.extended == {Verification: b"\x01\x01"}
    assert (running.asked[0].calling_ae, running.asked[0].called_ae) == ("US", "ARGENS")


def test_our_requestor_tells_that_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PeerUnreachable, match=r"cannot be reached: Connection refused"):
        ask(port, [Proposal(Verification, (IMPLICIT,))])


def test_our_requestor_gives_up_a_peer_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(PeerUnreachable, match=r"no association PDU came in time|silent"):
            ask(silent.getsockname()[1], [Proposal(Verification, (IMPLICIT,))], idle_s=0.2)


def test_our_requestor_echoes_dcmtk_and_pynetdicom() -> None:
    heard: list[str] = []
    ae = AE("THEIRS")
    ae.add_supported_context(Verification)
    handlers = [(evt.EVT_C_ECHO, lambda event: heard.append(event.assoc.requestor.ae_title) or 0)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    us = ask(server.socket.getsockname()[1], [Proposal(Verification, (IMPLICIT,))])
    us.send(1, {"CommandField": 0x30, "MessageID": 1, "AffectedSOPClassUID": Verification})
    answer = us.receive()
    us.release()
    server.shutdown()
    assert answer is not None and answer.command["Status"] == 0
    assert [title.strip() for title in heard] == ["US"]


def test_dcmtk_is_echoed_and_released(acceptor: Callable[..., Acceptor]) -> None:
    running = acceptor()
    done = subprocess.run(
        ["echoscu", "-v", "-aet", "WS1", "127.0.0.1", str(running.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Received Echo Response (Success)" in done.stderr + done.stdout
    running.join()
    assert running.error is None


def associate_rq(*contexts: tuple[str, list[str]], called: str = "ARGENS") -> bytes:
    """The bytes of an A-ASSOCIATE-RQ."""
    proposals = [Proposal(sop_class, tuple(syntaxes)) for sop_class, syntaxes in contexts]
    return associate.write_request(called, "WS1", proposals, 16384)


UIDS = st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)
ROLES = st.sampled_from([(True, False), (False, True), (True, True)])
KNOWN = ["1.2.1", "1.2.2", "1.2.3"]
SYNTAXES = [EXPLICIT, IMPLICIT, LOSSLESS, str(JPEGBaseline8Bit)]


@st.composite
def proposals(draw: st.DrawFn) -> list[Proposal]:
    """What a requestor may propose: any classes, some with roles and extended negotiation."""
    found = []
    roles: dict[str, tuple[bool, bool]] = {}
    for _ in range(draw(st.integers(1, 8))):
        sop_class = draw(st.one_of(st.sampled_from(KNOWN), UIDS))
        scu, scp = roles.setdefault(sop_class, draw(ROLES))
        syntaxes = draw(st.lists(st.sampled_from(SYNTAXES), min_size=1, unique=True))
        extended = draw(st.sampled_from([b"", b"", b"\1", bytes(7)]))
        found.append(Proposal(sop_class, tuple(syntaxes), scu, scp, extended))
    return found


@given(proposals(), st.integers(0, 2**32 - 1))
def test_pynetdicom_reads_our_request(proposed: list[Proposal], max_pdu: int) -> None:
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(associate.write_request("CALLED", "CALLING AE", proposed, max_pdu))
    primitive = pdu.to_primitive()
    assert (primitive.called_ae_title, primitive.calling_ae_title) == ("CALLED", "CALLING AE")
    assert primitive.maximum_length_received == max_pdu
    read = [
        (cx.context_id, str(cx.abstract_syntax), tuple(map(str, cx.transfer_syntax)))
        for cx in primitive.presentation_context_definition_list
    ]
    assert read == [(2 * n + 1, p.sop_class, p.syntaxes) for n, p in enumerate(proposed)]


@given(proposals(), st.integers(0, 2**32 - 1))
def test_our_request_is_read_as_it_was_written(proposed: list[Proposal], max_pdu: int) -> None:
    found = associate.read_request(associate.write_request("CALLED", "US", proposed, max_pdu))
    assert (found.called_ae, found.calling_ae, found.user.max_pdu) == ("CALLED", "US", max_pdu)
    assert [(cx.sop_class, cx.syntaxes) for cx in found.contexts] == [
        (p.sop_class, p.syntaxes) for p in proposed
    ]
    assert found.user.roles == {
        p.sop_class: (p.scu, p.scp) for p in proposed if (p.scu, p.scp) != (True, False)
    }
    assert found.user.extended == {p.sop_class: p.extended for p in proposed if p.extended}


@given(proposals(), st.lists(st.sampled_from(SYNTAXES), min_size=1, unique=True), st.booleans())
def test_contexts_are_negotiated_as_pynetdicom_does(
    proposed: list[Proposal], syntaxes: list[str], both: bool
) -> None:
    asked = associate.read_request(associate.write_request("A", "B", proposed, 0))
    offers = {uid: Offer(uid, tuple(syntaxes), both_roles=both) for uid in KNOWN}
    results, contexts = negotiate(asked.contexts, offers, asked.user.roles)
    theirs = []
    for number, one in enumerate(proposed):
        context = build_context(one.sop_class, list(one.syntaxes))
        context.context_id = 2 * number + 1
        theirs.append(context)
    supported = [build_context(uid, syntaxes) for uid in KNOWN]
    for context in supported:
        context.scu_role = context.scp_role = True if both else None
    roles = {UID(uid): wanted for uid, wanted in asked.user.roles.items()}
    expected, _ = negotiate_as_acceptor(theirs, supported, roles)
    assert [one.result for one in results] == [cx.result for cx in expected]
    assert {id: (cx.transfer_syntax, cx.as_scu, cx.as_scp) for id, cx in contexts.items()} == {
        cx.context_id: (str(cx.transfer_syntax[0]), cx.as_scu, cx.as_scp)
        for cx in expected
        if cx.result == 0
    }


@given(proposals())
def test_pynetdicom_reads_our_answer(proposed: list[Proposal]) -> None:
    asked = associate.read_request(associate.write_request("A", "B", proposed, 0))
    offers = {uid: Offer(uid, (EXPLICIT, IMPLICIT), both_roles=True) for uid in KNOWN}
    results, _ = negotiate(asked.contexts, offers, asked.user.roles)
    agreed = associate.UserItems(
        max_pdu=65536, roles=asked.user.roles, identity_response=b"", has_async_window=True
    )
    pdu = A_ASSOCIATE_AC()
    pdu.decode(associate.write_answer(asked, results, agreed))
    primitive = pdu.to_primitive()
    assert primitive.maximum_length_received == 65536
    assert [
        (cx.context_id, cx.result) for cx in primitive.presentation_context_definition_results_list
    ] == [(one.id, one.result) for one in results]
    assert associate.read_answer(pdu.encode()).results == results


def answered(sent: bytes, *, within_s: float = 1.0, is_slow: bool = False) -> Conversation:
    """Serve what a peer sends as its first bytes."""
    one, other = socket.socketpair()
    with other:
        other.sendall(sent)
        if not is_slow:
            other.shutdown(socket.SHUT_WR)
        line = Wire(one, idle_s=1, max_pdu_bytes=16384)
        try:
            return accept(
                line, "127.0.0.1", lambda asked: Admission(offered()),
                within_s=within_s, idle_s=1,
            )  # fmt: skip
        finally:
            one.close()


def test_items_that_the_standard_does_not_know_are_passed_over() -> None:
    sent = associate_rq((Verification, [IMPLICIT]))
    user_information = sent.rindex(b"\x50\x00")
    item = sent[user_information:]
    strange = b"\x60\x00\x00\x04abcd"
    longer = struct.pack(">BxH", 0x50, len(item) - 4 + len(strange)) + item[4:] + strange
    body = sent[6:user_information] + b"\x99\x00\x00\x02zz" + longer
    found = answered(struct.pack(">BxL", 1, len(body)) + body)
    assert found.contexts[1].abstract_syntax == Verification


def test_a_request_that_comes_too_slowly_is_given_up() -> None:
    with pytest.raises(PeerSilent):
        answered(associate_rq((Verification, [IMPLICIT]))[:50], within_s=0.05, is_slow=True)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", "does not speak DICOM"),
        (b"\x01\x00\xff\xff\xff\xff", "4294967295 bytes"),
        (b"\x04\x00\x00\x00\x00\x04abcd", "before any association"),
        (b"\x01\x00\x00\x00\x00\x04abcd", "is cut"),
        (b"\x01\x00\x00\x00\x00\x50" + bytes(80), "cut|version|context"),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes, why: str) -> None:
    with pytest.raises((BadPdu, Rejected), match=why):
        answered(sent)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_request_is_accepted_or_refused_and_nothing_else(data: st.DataObject) -> None:
    sent = bytearray(associate_rq((Verification, [IMPLICIT]), (CTImageStorage, [EXPLICIT])))
    for _ in range(data.draw(st.integers(1, 6))):
        sent[data.draw(st.integers(6, len(sent) - 1))] = data.draw(st.integers(0, 255))
    try:
        answered(bytes(sent), within_s=0.2)
    except AssociationEnded as error:
        assert str(error)


def test_a_hundred_and_twenty_eight_contexts_are_negotiated() -> None:
    syntaxes = [[EXPLICIT], [IMPLICIT], [LOSSLESS]]
    contexts = [(CTImageStorage, syntaxes[n % 3]) for n in range(128)]
    assert len(answered(associate_rq(*contexts)).contexts) == 128


def test_a_name_that_is_no_uid_is_answered_as_it_came() -> None:
    name = b"\xe9" * 40_000  # as UTF-8 it would not fit into an item
    context = bytes([1, 0, 0, 0]) + _item(0x30, CTImageStorage.encode()) + _item(0x40, name)
    proposed = associate.read_request(
        wire.HEADER.pack(1, 0) + bytes([0, 1]) + bytes(66) + _item(0x20, context)
    )
    results, contexts = negotiate(proposed.contexts, offered(), {})
    answer = associate.write_answer(proposed, results, associate.UserItems())
    assert not contexts
    assert name in answer


def test_a_syntax_that_we_did_not_propose_is_not_used() -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            asked = Request("ARGENS", "PEER", [], associate.UserItems(), titles=bytes(64))
            results = [Result(1, 0, LOSSLESS), Result(3, 0, ""), Result(5, 0, EXPLICIT)]
            connection.sendall(associate.write_answer(asked, results, associate.UserItems()))
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        proposals = [Proposal(CTImageStorage, (EXPLICIT, IMPLICIT)) for _ in range(3)]
        called = request(
            listening.getsockname(), called_ae="PEER", calling_ae="ARGENS", proposals=proposals
        )
        assert list(called.contexts) == [5]
        called.abort()
        thread.join()


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def test_the_kinds_of_pdus_are_those_of_the_standard() -> None:
    assert (wire.ASSOCIATE_RQ, wire.P_DATA, wire.ABORT) == (1, 4, 7)  # PS3.8 9.3.1
