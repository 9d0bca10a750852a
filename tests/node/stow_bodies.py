"""Posting to the node, and reading what it answers (PS3.18 I.2)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse
from django.test import Client

from tests.support.stow import BOUNDARY, RELATED, STUDIES, as_file, body, meta

__all__ = ["BOUNDARY", "RELATED", "STUDIES", "as_file", "body", "meta"]
KEPT, FAILED, OTHER = "00081199", "00081198", "0008119A"
Post = Callable[..., HttpResponse]


def poster(client: Client) -> Post:
    """Return `post(content, address=..., content_type=..., **headers)`."""

    def post(content: bytes, address: str = STUDIES, content_type: str = RELATED, **more: str):
        return client.post(address, content, content_type=content_type, **more)

    return post


def uids(answer: HttpResponse, sequence: str) -> list[str]:
    """Return the SOP Instance UIDs of a sequence of the response."""
    items = answer.json().get(sequence, {}).get("Value", [])
    return [item["00081155"]["Value"][0] for item in items]


def reasons(answer: HttpResponse, sequence: str = FAILED) -> list[int]:
    """Return the Failure Reasons of a sequence of the response."""
    items = answer.json().get(sequence, {}).get("Value", [])
    return [item["00081197"]["Value"][0] for item in items]
