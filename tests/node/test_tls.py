"""DICOM over TLS on real sockets: which certificates, versions and suites are taken."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.config.access import Tls, read_tls
from dicom_node.dimse.association import tls
from dicom_node.peers import Certificate, CertificateRule, Destination
from pacs_common.env import Env, SettingError
from pacs_common.errors import PeerUnreachable
from tests.support.certificates import Authority, Paper

pytestmark = pytest.mark.slow  # real peers, real waiting


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def node(hospital) -> Paper:
    return hospital.issue("node")


def settings(
    paper: Paper | None, authority: Authority | None, asks: str = "require", profile: str = "bcp195"
) -> Tls:
    return Tls(
        port=2762,
        bind="",
        certificate=paper and paper.certificate,
        key=paper and paper.key,
        authorities=authority and authority.certificate,
        client_certificate=asks,
        profile=profile,
    )


class Echo:
    """Serves TLS as the node does: sends back one message, and keeps what it saw."""

    def __init__(self, served: tls.ServerTls) -> None:
        self.served = served
        self._seen: list[Certificate | str | None] = []
        self._is_stopped = False
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.port = self._bound.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            connection, _ = self._bound.accept()
            with connection:
                connection.settimeout(5)
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    return
                try:
                    with self.served.wrap_socket(connection) as secured:
                        self._seen.append(tls.certificate_of(secured))
                        secured.sendall(secured.recv(100))
                except OSError as error:
                    self._seen.append(tls.reason(error))

    @property
    def seen(self) -> list[Certificate | str | None]:
        """What each connection showed, or why it failed; ends the serving."""
        self.stop()
        return self._seen

    def stop(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._bound.close()


@pytest.fixture
def serve(node, hospital) -> Iterator:
    started: list[Echo] = []

    def serve(asks: str = "require", profile: str = "bcp195", paper: Paper = node) -> Echo:
        started.append(Echo(tls.ServerTls(settings(paper, hospital, asks, profile))))
        return started[-1]

    yield serve
    for echo in started:
        echo.stop()


def exchange(secured: ssl.SSLSocket) -> bytes:
    with secured:
        secured.sendall(b"C-ECHO")
        return secured.recv(100)


def call(echo: Echo, mine: Tls, rule: CertificateRule | None = None) -> bytes:
    destination = Destination("ARGENS", "127.0.0.1", echo.port, True, rule or CertificateRule())
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as plain:
        return exchange(tls.call(plain, mine, destination))


def test_a_peer_with_the_hospitals_certificate_gets_in_and_is_known(serve, hospital):
    echo, paper = serve(), hospital.issue("ct1")
    assert call(echo, settings(paper, hospital)) == b"C-ECHO"
    assert echo.seen == [Certificate(paper.sha256, "CN=ct1")]


def test_a_peer_without_a_certificate_stays_outside(serve, hospital):
    echo = serve()
    with pytest.raises((OSError, PeerUnreachable)):
        assert call(echo, settings(None, hospital)) != b""
        raise ConnectionError  # closed without a word
    assert echo.seen == ["peer did not return a certificate"]


@pytest.mark.parametrize("days", [1, -1])
def test_a_stranger_or_an_expired_certificate_stays_outside(serve, hospital, elsewhere, days):
    echo = serve()
    paper = (elsewhere if days > 0 else hospital).issue("ct1", days=days, file=f"ct1{days}")
    with pytest.raises((OSError, PeerUnreachable)):
        assert call(echo, settings(paper, hospital)) != b""
        raise ConnectionError
    assert "certificate not believed" in echo.seen[0]


@pytest.mark.parametrize("asks", ["optional", "none"])
def test_a_certificate_may_be_left_out_where_the_setting_says_so(serve, hospital, asks):
    echo = serve(asks)
    assert call(echo, settings(None, hospital)) == b"C-ECHO"
    assert echo.seen == [None]


def test_an_optional_certificate_is_still_checked(serve, hospital, elsewhere):
    echo = serve("optional")
    assert call(echo, settings(hospital.issue("ct2"), hospital)) == b"C-ECHO"
    with pytest.raises((OSError, PeerUnreachable)):
        assert call(echo, settings(elsewhere.issue("ct2"), hospital)) != b""
        raise ConnectionError
    known, stranger = echo.seen
    assert known.subject == "CN=ct2"
    assert "certificate not believed" in stranger


def test_a_node_that_is_not_the_hospitals_is_not_called(hospital, elsewhere):
    echo = Echo(tls.ServerTls(settings(elsewhere.issue("node"), hospital)))
    try:
        with pytest.raises(PeerUnreachable, match="ARGENS: no TLS: certificate not believed"):
            call(echo, settings(hospital.issue("ct3"), hospital))
    finally:
        echo.stop()


def test_a_certificate_of_another_host_is_believed_only_of_a_peer_bound_to_it(hospital):
    paper = hospital.issue("moved", host="moved.hospital")
    echo, mine = Echo(tls.ServerTls(settings(paper, hospital))), settings(paper, hospital)
    try:
        with pytest.raises(PeerUnreachable, match="certificate not believed: IP address mismatch"):
            call(echo, mine)
        assert call(echo, mine, CertificateRule(paper.sha256)) == b"C-ECHO"
    finally:
        echo.stop()


def test_a_destination_bound_to_its_certificate_must_show_that_one(serve, node, hospital):
    echo, mine = serve(), settings(hospital.issue("ct4"), hospital)
    assert call(echo, mine, CertificateRule(node.sha256)) == b"C-ECHO"
    with pytest.raises(PeerUnreachable, match="showed CN=node"):
        call(echo, mine, CertificateRule("0" * 64))


def test_without_authorities_no_destination_is_called_over_tls(node):
    with pytest.raises(PeerUnreachable, match="PACS_DICOM_TLS_CA"):
        tls.client_context(settings(node, None), Destination("WS1", "ws1", 2762, True))


def attempt(echo: Echo, context: ssl.SSLContext) -> str:
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as plain:
        with context.wrap_socket(plain) as secured:
            version = secured.version()
            exchange(secured)
            return version


def client(ciphers: str = "DEFAULT", **limits) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    for name, value in limits.items():
        setattr(context, name, value)
    return context


def test_the_newest_version_is_preferred_and_the_one_before_it_is_taken(serve):
    echo = serve("none")
    assert attempt(echo, client()) == "TLSv1.3"
    assert attempt(echo, client(maximum_version=ssl.TLSVersion.TLSv1_2)) == "TLSv1.2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_is_negotiated_below_tls_1_2(serve):
    echo = serve("none")
    old = client("ALL:@SECLEVEL=0", minimum_version=ssl.TLSVersion.TLSv1)
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        attempt(echo, old)
    assert echo.seen == ["unsupported protocol"]


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"]
)
def test_suites_without_forward_secrecy_or_authenticated_encryption_are_refused(serve, cipher):
    echo = serve("none")
    with pytest.raises(OSError):
        attempt(echo, client(cipher, maximum_version=ssl.TLSVersion.TLSv1_2))
    assert echo.seen == ["no shared cipher"]


def test_a_profile_may_ask_for_tls_1_3_alone(serve):
    echo = serve("none", "tls13")
    assert attempt(echo, client()) == "TLSv1.3"
    with pytest.raises(OSError):
        attempt(echo, client(maximum_version=ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("said", [b"\x01\x00" + bytes(72), b"GET / HTTP/1.0\r\n\r\n"])
def test_what_does_not_speak_tls_stays_outside(serve, said):
    echo = serve()
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as plain:
        plain.sendall(said)
        with contextlib.suppress(ConnectionError):
            plain.recv(100)
    (why,) = echo.seen
    assert why in ("wrong version number", "http request")


def test_a_new_certificate_counts_without_a_restart_and_a_bad_one_does_not(hospital, serve, caplog):
    paper = hospital.issue("first", file="served")
    echo = serve("none", paper=paper)
    assert shown(echo) == paper.sha256
    renewed = hospital.issue("second", file="served")
    _later(renewed.certificate)
    assert shown(echo) == renewed.sha256
    renewed.certificate.write_text("nonsense")
    _later(renewed.certificate)
    assert shown(echo) == renewed.sha256
    assert "last good TLS certificate" in caplog.text


def shown(echo: Echo) -> str:
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as plain:
        with client().wrap_socket(plain) as secured:
            encoded = secured.getpeercert(True)
            exchange(secured)
    return hashlib.sha256(encoded).hexdigest()


def _later(file: Path) -> None:
    at = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(at, at))


@pytest.mark.parametrize("missing", ["CERT", "KEY", "CA"])
def test_a_tls_port_without_its_files_is_refused_at_start(node, hospital, missing):
    given = {
        "PACS_DICOM_TLS_PORT": "2762",
        "PACS_DICOM_TLS_CERT": str(node.certificate),
        "PACS_DICOM_TLS_KEY": str(node.key),
        "PACS_DICOM_TLS_CA": str(hospital.certificate),
    }
    assert read_tls(Env(given)).port == 2762
    del given[f"PACS_DICOM_TLS_{missing}"]
    with pytest.raises(SettingError, match=f"PACS_DICOM_TLS_{missing}"):
        read_tls(Env(given))


@pytest.mark.parametrize(
    ("name", "value"),
    [("CERT", "/nowhere"), ("CLIENT_CERT", "perhaps"), ("PROFILE", "ssl3"), ("PORT", "70000")],
)
def test_nonsense_about_tls_is_refused_at_start(name, value):
    with pytest.raises(SettingError, match=f"PACS_DICOM_TLS_{name}"):
        read_tls(Env({f"PACS_DICOM_TLS_{name}": value}))
