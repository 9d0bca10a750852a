"""Roles know each other over HTTPS by the hospital's own authorities, and by no others."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pacs_common.archive_client import ArchiveClient
from pacs_common.authorities import of_roles, read_authorities
from pacs_common.env import Env, SettingError
from pacs_common.errors import PeerUnreachable
from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support.certificates import Authority, Paper


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(paper: Paper) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paper.certificate, paper.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    read_authorities(Env({}))


def asked(url: str, folder: Path) -> list[object]:
    issuer = TicketIssuer.at("portal", folder / "key", folder / "trust")
    clients = [
        NodeClient("CT", url, issuer, subject="s"),
        ArchiveClient(url, issuer, subject="s"),
    ]
    try:
        return [client.status() for client in clients]
    finally:
        for client in clients:
            client.http.close()


def test_a_role_is_believed_by_the_authority_that_is_named_alone(tmp_path):
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    with served(ours.issue("node")) as url:
        with pytest.raises(PeerUnreachable, match="certificate verify failed"):
            asked(url, tmp_path)
        assert read_authorities(Env({"PACS_CA_FILE": str(ours.certificate)}))
        assert asked(url, tmp_path) == [{}, {}]
        read_authorities(Env({"PACS_CA_FILE": str(others.certificate)}))
        with pytest.raises(PeerUnreachable, match="certificate verify failed"):
            asked(url, tmp_path)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_no_authority_is_refused_with_one_line(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError) as refused:
        read_authorities(Env({"PACS_CA_FILE": str(file)}))
    assert refused.value.message.startswith(f"setting PACS_CA_FILE: {file} holds no authority")
    assert "\n" not in refused.value.message
    assert of_roles() is None
