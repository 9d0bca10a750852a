"""The hash chain: what of a row is hashed, and how; docs/audit.md describes the format.

A row's digest is the SHA-256 of the digest before it and of the row in one canonical text, so that
no row can be changed, removed, added or moved without all digests after it being other.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

FIRST = "0" * 64  # what stands before the first row
VERSION = 1
MAX_EXACT = 2**53  # beyond it, databases and JSON disagree about numbers


class Row(Protocol):
    """What of a row is hashed."""

    at: datetime
    who: str
    action: str
    result: str
    study_uid: str
    patient_issuer: str
    patient_id: str
    address: str | None
    agent: str
    source: str
    source_key: str
    detail: Any


def digest_of(previous: str, row: Row) -> str:
    """Return the digest of a row that follows the row with the digest `previous`."""
    return hashlib.sha256(f"{previous}\n{canonical(row)}".encode()).hexdigest()


def canonical(row: Row) -> str:
    """Return a row as one line of ASCII, the same on every database."""
    return json.dumps(
        [
            VERSION,
            row.at.astimezone(UTC).isoformat(timespec="microseconds"),
            row.who,
            row.action,
            row.result,
            row.study_uid,
            row.patient_issuer,
            row.patient_id,
            address(row.address),
            row.agent,
            row.source,
            row.source_key,
            row.detail,
        ],
        sort_keys=True,
        separators=(",", ":"),
    )


def address(text: str | None) -> str | None:
    """Return an IP address in one spelling; None for what is none."""
    try:
        found = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def text(value: object, most: int) -> str:
    """Return a text of at most `most` characters that every database keeps as it is."""
    shown = str(value).replace("\x00", "\ufffd")
    return shown.encode("utf-8", "replace").decode()[:most]


def plain(value: Any) -> Any:
    """Return a value that comes back from every database as it was put in."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < MAX_EXACT:
        return value
    if isinstance(value, Mapping):
        return {text(key, 200): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return text(value, 4096)
