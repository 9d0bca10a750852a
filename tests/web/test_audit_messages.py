"""Audit rows as DICOM audit messages (PS3.15 A.5), sent by syslog over TLS to a real listener."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from pacs_web import config
from pacs_web.audit import delivering
from pacs_web.audit.delivering import deliver, receiver
from pacs_web.audit.dicom_message import message_of
from pacs_web.audit.models import Action, AuditEvent, AuditTarget, Result
from pacs_web.audit.syslog import Receiver, syslog_message
from tests.support.certificates import Authority
from tests.web.audit_schema import check

NOON = datetime(2021, 11, 20, 12, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def row(**given: object) -> AuditEvent:
    return AuditEvent(**({"who": "lea", "action": "study", "at": NOON, "detail": {}} | given))


@given(
    action=st.sampled_from([*Action.values, "something new"]),
    result=st.sampled_from(Result.values),
    who=TEXT, study=TEXT, patient=TEXT, issuer=TEXT, agent=TEXT | st.just("AE WS1"),
    address=st.sampled_from([None, "10.0.0.7", "2001:db8::1"]),
    detail=st.dictionaries(TEXT, TEXT | st.integers(), max_size=3) | st.just({"why": "\x00<&"}),
)  # fmt: skip
def test_whatever_a_row_holds_its_message_is_as_the_schema_has_it(
    action: str, result: str, who: str, study: str, patient: str, issuer: str, agent: str,
    address: str | None, detail: dict,
) -> None:  # fmt: skip
    made = message_of(row(
        action=action, result=result, who=who, study_uid=study, patient_id=patient,
        patient_issuer=issuer, agent=agent, address=address, detail=detail,
    ))  # fmt: skip
    check(ElementTree.fromstring(made))


def test_an_exam_that_was_looked_at_names_the_person_the_study_and_the_patient() -> None:
    made = ElementTree.fromstring(message_of(row(
        study_uid="1.2.3", patient_id="P1", patient_issuer="FREJUS", address="10.0.0.7",
    )))  # fmt: skip
    event = made.find("EventIdentification")
    assert (event.get("EventActionCode"), event.get("EventOutcomeIndicator")) == ("R", "0")
    assert event.get("EventDateTime") == "2021-11-20T12:00:00.000+00:00"
    assert event.find("EventID").get("csd-code") == "110103"
    person = made.find("ActiveParticipant")
    assert (person.get("UserID"), person.get("NetworkAccessPointID")) == ("lea", "10.0.0.7")
    objects = made.findall("ParticipantObjectIdentification")
    assert [one.get("ParticipantObjectID") for one in objects] == ["1.2.3", "P1^^^FREJUS"]


def test_a_query_keeps_its_keys_and_a_refusal_is_an_alert() -> None:
    made = ElementTree.fromstring(message_of(row(action="search", detail={"name": "Lefèvre"})))
    asked = made.find("ParticipantObjectIdentification/ParticipantObjectQuery").text
    assert json.loads(base64.b64decode(asked)) == {"name": "Lefèvre"}
    made = ElementTree.fromstring(message_of(row(action="refused", result="refused")))
    assert made.find("EventIdentification").get("EventOutcomeIndicator") == "4"
    assert made.find("EventIdentification/EventID").get("csd-code") == "110113"


def test_a_syslog_message_is_as_rfc_5424_has_it() -> None:
    told = syslog_message(NOON, b"<AuditMessage/>")
    pattern = rb"<85>1 2021-11-20T12:00:00\.000Z [!-~]+ argens \d+ DICOM\+RFC3881 - \xef\xbb\xbf<"
    assert re.match(pattern, told)


@dataclass
class Listener:
    """A syslog receiver by TLS that counts octets (RFC 5425) and keeps the messages."""

    port: int
    received: list[bytes] = field(default_factory=list)
    breaks_after: int = 0

    @property
    def people(self) -> list[str]:
        """Who is named in the messages, in the order of their coming."""
        found = [ElementTree.fromstring(one.partition(b"\xef\xbb\xbf")[2]) for one in self.received]
        return [one.find("ActiveParticipant").get("UserID") for one in found]

    def read(self, connection: ssl.SSLSocket) -> None:
        """Read messages until the sender ends."""
        with connection.makefile("rb") as stream:
            while length := _length(stream):
                self.received.append(stream.read(length))
                if len(self.received) == self.breaks_after:
                    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return


def _length(stream: object) -> int:
    digits = b""
    while (one := stream.read(1)) not in (b" ", b""):
        digits += one
    return int(digits or b"0")


@contextmanager
def listening(
    paper: object, authority: Authority | None = None, **given: int
) -> Iterator[Listener]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paper.certificate, paper.key)
    if authority is not None:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    plain = socket.create_server(("127.0.0.1", 0))
    listener = Listener(plain.getsockname()[1], **given)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                peer, _ = plain.accept()
            except OSError:
                return
            with peer:
                try:
                    with context.wrap_socket(peer, server_side=True) as connection:
                        listener.read(connection)
                except OSError:
                    pass  # the sender did not trust us, or we it

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener
    finally:
        ended.set()
        plain.shutdown(socket.SHUT_RDWR)
        plain.close()
        thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def three(db: None) -> None:
    for who in ("lea", "tom", "éva"):
        AuditEvent.objects.create(who=who, action="study")


def to(listener: Listener | int, authority: Authority, **given: str) -> Receiver:
    port = listener if isinstance(listener, int) else listener.port
    return Receiver("127.0.0.1", port, str(authority.certificate), **given)


def target() -> AuditTarget:
    return AuditTarget.objects.get(name="syslog")


def test_rows_arrive_whole_in_order_and_once(three: None, authority: Authority) -> None:
    with listening(authority.issue("receiver")) as listener:
        assert deliver(to(listener, authority)) == 3
        assert deliver(to(listener, authority)) == 0
        AuditEvent.objects.create(who="new", action="login")
        assert deliver(to(listener, authority)) == 1
    assert listener.people == ["lea", "tom", "éva", "new"]


def test_what_came_while_the_receiver_was_away_goes_once_it_is_back(
    three: None, authority: Authority
) -> None:
    with listening(authority.issue("receiver")) as gone:
        pass
    assert deliver(to(gone, authority)) == 0
    assert target().problem and target().row == 0
    with listening(authority.issue("receiver")) as listener:
        assert deliver(to(listener, authority)) == 3
    assert listener.people == ["lea", "tom", "éva"]
    assert target().problem == ""


def test_a_receiver_that_breaks_off_gets_its_batch_again(three: None, authority: Authority) -> None:
    for number in range(400):
        AuditEvent.objects.create(who=f"p{number}", action="search", detail={"x": "y" * 900})
    with listening(authority.issue("receiver"), breaks_after=2) as broken:
        assert deliver(to(broken, authority)) == 0
    assert target().row == 0
    with listening(authority.issue("receiver")) as listener:
        assert deliver(to(listener, authority)) == 403
    assert len(listener.received) == 403


def test_batches_move_the_cursor_one_by_one(
    three: None, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "ROWS_AT_ONCE", 2)
    with listening(authority.issue("receiver")) as listener:
        assert deliver(to(listener, authority)) == 3
    assert listener.people == ["lea", "tom", "éva"]


def test_a_receiver_that_nobody_vouches_for_gets_nothing(
    three: None, authority: Authority, tmp_path: Path
) -> None:
    with listening(Authority(tmp_path, "other").issue("receiver")) as listener:
        assert deliver(to(listener, authority)) == 0
    assert listener.received == []
    assert "CERTIFICATE_VERIFY_FAILED" in target().problem


def test_a_receiver_that_asks_for_a_certificate_gets_it(three: None, authority: Authority) -> None:
    own = authority.issue("portal")
    shown = {"certificate": str(own.certificate), "key": str(own.key)}
    with listening(authority.issue("receiver"), authority) as listener:
        assert deliver(to(listener, authority)) == 0  # shows none
        assert target().row == 0
        assert deliver(to(listener, authority, **shown)) == 3


def test_the_command_sends_to_the_receiver_of_the_settings(
    three: None, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="names no receiver"):
        call_command("audit", "send")
    monkeypatch.setattr(config, "AUDIT_SYSLOG_HOST", "127.0.0.1")
    monkeypatch.setattr(config, "AUDIT_SYSLOG_CA", str(authority.certificate))
    with listening(authority.issue("receiver")) as listener:
        monkeypatch.setattr(config, "AUDIT_SYSLOG_PORT", listener.port)
        assert receiver() is not None
        out = StringIO()
        call_command("audit", "send", stdout=out)
    assert "3 rows are sent" in out.getvalue()


def test_a_receiver_that_is_away_is_told_on_the_page(
    db: None, browser: Callable[[str], Client]
) -> None:
    AuditTarget.objects.create(name="syslog", problem="no route to host")
    assert "no route to host" in browser("it").get("/audit/").content.decode()
