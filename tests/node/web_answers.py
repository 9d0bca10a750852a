"""Reading the answers of the HTTP door as a client does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes

from dicom_node.models import Instance
from dicom_node.store.layout import Layout


@dataclass(frozen=True)
class Part:
    """One part of a multipart answer."""

    content_type: str
    body: bytes


def whole(answer) -> bytes:
    """Return the body of an answer, streamed or not."""
    return answer.getvalue() if answer.streaming else answer.content


def parts_of(answer) -> list[Part]:
    """Return the parts of a multipart/related answer, checked against its boundary."""
    assert answer.status_code == 200, whole(answer)
    boundary = re.search(r"boundary=([^;]+)", answer["Content-Type"])[1].encode()
    opening, *pieces, closing = (b"\r\n" + whole(answer)).split(b"\r\n--" + boundary)
    assert (opening, closing) == (b"", b"--\r\n")
    found = []
    for piece in pieces:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append(Part(message_from_bytes(head)["Content-Type"], body))
    return found


def stored_bytes(layout: Layout, uid: str) -> bytes:
    """Return an instance's file as it lies on disk."""
    row = Instance.objects.get(uid=uid)
    return layout.object(row.hour, row.uid).read_bytes()


def require_problem(answer, status: int) -> str:
    """Check that an answer is a problem document of one line, and return its detail."""
    assert answer.status_code == status, whole(answer)
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert len(problem["detail"].splitlines()) == 1
    return problem["detail"]
