"""Nodes that answer nonsense: the portal says so, and never tells half for the whole."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.test import Client

from pacs_common.errors import PeerUnreachable
from pacs_web import config
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY

pytestmark = pytest.mark.slow

EXAM = f"/studies/{CT_STUDY}/"
SERIES = f"{EXAM}series/{CT_STUDY}.1/"
IMAGE = f"{SERIES}instances/{CT_STUDY}.1.1/"
SOUND = {
    "studies": {"0020000D": {"vr": "UI", "Value": [CT_STUDY]}},
    "series": {
        "0020000D": {"vr": "UI", "Value": [CT_STUDY]},
        "0020000E": {"vr": "UI", "Value": [f"{CT_STUDY}.1"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00201209": {"vr": "IS", "Value": [1]},
    },
    "instances": {
        "0020000D": {"vr": "UI", "Value": [CT_STUDY]},
        "0020000E": {"vr": "UI", "Value": [f"{CT_STUDY}.1"]},
        "00080018": {"vr": "UI", "Value": [f"{CT_STUDY}.1.1"]},
    },
}


def answer(
    body: bytes, status: str = "200 OK", kind: str = "application/dicom+json", **said
) -> bytes:
    """Return an answer on the wire; `said` are further headers, or another Content-Length."""
    headers = {"Content-Type": kind, "Content-Length": len(body), "Connection": "close"}
    headers |= {name.replace("_", "-"): value for name, value in said.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Hostile:
    """A server that answers searches soundly, and what it is told to where a path matches."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.name, self.where, self.says = "HOSTILE", "nowhere", b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked and (more := connection.recv(65536)):
            asked += more
        path = asked.split(b" ")[1].decode().partition("?")[0] if asked else ""
        level = path.rpartition("/")[2]
        if re.search(self.where, path):
            connection.sendall(self.says)
        elif level in SOUND:
            connection.sendall(answer(json.dumps([SOUND[level]]).encode()))
        else:
            connection.sendall(answer(b"{}", "404 Not Found", "application/problem+json"))


@pytest.fixture
def hostile(register: Callable[[SimpleNamespace], Node], monkeypatch) -> Iterator[Hostile]:
    monkeypatch.setattr(config, "NODE_TIMEOUT_S", 3.0)
    node = Hostile()
    register(SimpleNamespace(name=node.name, url=node.url))
    yield node
    node.socket.close()


CUT = answer(b"[{}", Content_Length=1000)
CHUNKS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
NONSENSE = {
    "cut": CUT,
    "cut chunks": CHUNKS + b"5\r\n[{}]",
    "bad chunks": CHUNKS + b"zz\r\n[{}]\r\n0\r\n\r\n",
    "nothing": b"",
    "no HTTP": b"220 smtp ready\r\n",
    "redirect": answer(b"", "302 Found", Location="http://127.0.0.1:1/"),
    "permanent redirect": answer(b"", "308 Permanent Redirect", Location="/elsewhere"),
    "status 999": answer(b"[]", "999 What"),
    "status 600": answer(b"[]", "600 What"),
    "status 099": answer(b"[]", "099 What"),
    "status 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "not authorized": answer(b"{}", "401 Unauthorized", WWW_Authenticate="Basic"),
    "refused": answer(b"{}", "403 Forbidden", "application/problem+json"),
    "failed": answer(b"{}", "500 Oh"),
    "strange headers": answer(b"[]", X_Picture_Window="\xe9\xff", ETag="\x80", Warning="a\tb"),
    "strange type": answer(b"[]", kind="\xe9;;;=\xff"),
    "long header": answer(b"[]", Warning="w" * 300_000),
    "two lengths": answer(b"[{}]", content_length=3),
    "garbled gzip": answer(b"[{}]", Content_Encoding="gzip"),
    "cut gzip": answer(gzip.compress(b"[" + b" " * 9999 + b"{}]")[:-12], Content_Encoding="gzip"),
    "page": answer(b"<script>alert(1)</script>", kind="text/html"),
    "object": answer(b"{}"),
    "numbers": answer(b"[1, null]"),
    "text": answer(b'"x"'),
    "no elements": answer(
        b'[{"00080018": 5, "0020000D": "x", "0020000E": [], "00080060": {"Value": {}}}]'
    ),
    "deep": answer(b"[" * 100_000),
    "long number": answer(b"[" + b"9" * 10_000 + b"]"),
    "no text": answer(b"\xff\xfe\x00"),
    "digits": answer(
        json.dumps(
            [
                {
                    "00080018": {"vr": "UI", "Value": [f"{CT_STUDY}.1.1"]},
                    "00080060": {"vr": "CS", "Value": ["PR"]},
                    "00081115": {
                        "Value": [{"00081140": {"Value": [{"00081160": {"Value": ["\u00b2"]}}]}}]
                    },
                    "0040A730": {
                        "Value": [
                            {
                                "0040A040": {"Value": ["IMAGE"]},
                                "00081199": {"Value": [{"00081160": {"Value": ["\u00b2"]}}]},
                            }
                        ]
                    },
                }
            ]
        ).encode()
    ),
}
ADDRESSES = [
    "/dicom-web/studies",
    f"/dicom-web{EXAM}series",
    f"/dicom-web{IMAGE}frames/1",
    f"/dicom-web{IMAGE}rendered",
    f"/dicom-web{SERIES}metadata",
    f"/dicom-web/wado?requestType=WADO&studyUID={CT_STUDY}",
    EXAM,
    f"{EXAM}series/",
    f"{EXAM}companions/",
    f"{EXAM}exams/",
    f"{EXAM}download/",
    SERIES,
    f"{SERIES}pictures/",
    f"{SERIES}thumbnail",
    IMAGE,
    f"{IMAGE}header/",
    f"{IMAGE}document/",
    f"{IMAGE}content/pdf",
    f"{IMAGE}rendered",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["series$|instances$", "metadata$|frames|rendered|thumbnail|header$|wado|1$"]
)
@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_of_a_node_is_told_and_is_no_fault_of_ours(
    hostile: Hostile, clinician: Client, kind: str, where: str
) -> None:
    hostile.where, hostile.says = where, NONSENSE[kind]
    for address in ADDRESSES:
        response = clinician.get(address)
        assert response.status_code != 401, address
        assert response.status_code != 500 or kind == "failed", address
        if not address.startswith("/dicom-web/") and response.status_code == 302:
            continue  # a series of one image is opened at that image
        assert not 300 <= response.status_code < 400, address
        try:
            whole = response.getvalue()
        except PeerUnreachable:
            continue
        if response.status_code == 200 and response.streaming:
            is_short = kind in ("cut", "cut chunks") and re.search(where, address)
            assert not is_short, (address, whole)
