"""SIGKILL in the middle of STOW-RS: what was answered is there, nothing is there half."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import (
    data_set_digest,
    indexed,
    kill_node,
    left_overs,
    objects,
    wait_until,
)
from tests.support.stow import RELATED, STUDIES, as_file, body

pytestmark = pytest.mark.slow
PARTS = 50
SIDE = 256
PIECE_BYTES = 64 << 10


def post(node: roles.Role, chunks: Iterator[bytes] | bytes) -> int:
    """POST a body, chunked where it is an iterator; returns the status."""
    key = Path(node.folder) / "portal.key"
    signer = TicketIssuer.at("portal", key, Path(node.env["PACS_TRUST_DIR"]))
    ticket = signer.issue("CT", ["dicomweb.store"], subject="tester")
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=60)
    headers = {"Authorization": f"Bearer {ticket}", "Content-Type": RELATED}
    try:
        is_whole = isinstance(chunks, bytes)
        connection.request("POST", STUDIES, chunks, headers, encode_chunked=not is_whole)
        return connection.getresponse().status
    finally:
        connection.close()


class Uploading(threading.Thread):
    """Sends a body up to a mark, then waits until it is let go."""

    def __init__(self, node: roles.Role, content: bytes, mark: int) -> None:
        super().__init__(daemon=True)
        self.go_on = threading.Event()
        self.status = 0
        self._node, self._content, self._mark = node, content, mark

    def run(self) -> None:
        """Upload; a node that goes away ends it."""
        try:
            self.status = post(self._node, self._chunks())
        except (OSError, http.client.HTTPException):
            self.status = -1

    def _chunks(self) -> Iterator[bytes]:
        for start in range(0, self._mark, PIECE_BYTES):
            yield self._content[start : min(start + PIECE_BYTES, self._mark)]
        self.go_on.wait(60)
        yield self._content[self._mark :]


def test_a_kill_in_the_middle_of_fifty_parts_loses_nothing_answered_and_leaves_nothing_half(
    tmp_path,
):
    study = "1.2.826.0.1.3680043.10.1361.501"
    pixels = {"Rows": SIDE, "Columns": SIDE, "PixelData": bytes(SIDE * SIDE * 2)}
    sent = [ct(n, study=study, series=f"{study}.1", **pixels) for n in range(1, PARTS + 11)]
    digests = {ds.SOPInstanceUID: hashlib.sha256(encoded(ds)).hexdigest() for ds in sent}
    answered, uploaded = sent[:10], sent[10:]
    node = roles.node(tmp_path)
    with roles.running(node):
        assert post(node, body(map(as_file, answered))) == 200
        content = body(map(as_file, uploaded))
        upload = Uploading(node, content, mark=len(content) * 3 // 5 + 400)
        upload.start()
        wait_until(lambda: len(indexed(node)) > 20)
        kill_node(node)
        upload.go_on.set()
        upload.join()
        assert upload.status == -1
    with roles.running(node):
        rows, files = indexed(node), objects(node)
        assert {ds.SOPInstanceUID for ds in answered} <= set(rows)
        assert set(rows) == set(files) and 20 < len(rows) < len(sent)
        for uid, path in files.items():
            assert rows[uid] == data_set_digest(path) == digests[uid]
        assert not left_overs(node)
        assert post(node, body(map(as_file, sent))) == 200
        assert indexed(node) == digests
