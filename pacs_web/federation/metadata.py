"""The metadata of a series or an image, asked of the server that holds it (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pacs_common.errors import NotFound, PeerUnreachable
from pacs_common.http import guarded
from pacs_common.node_client import bears_uid
from pacs_common.resources import resource_path
from pacs_web.federation.dicom_json import Attributes
from pacs_web.federation.server import Server

JSON = {"Accept": "application/dicom+json", "Accept-Encoding": "gzip"}
REVISION_DIGITS = 16


@dataclass(frozen=True)
class Told:
    """The metadata of some instances, and what changes whenever they do."""

    instances: list[dict[str, Any]]
    revision: str


def series_metadata(node: Server, study_uid: str, series_uid: str) -> Told:
    """Return the metadata of every instance of a series."""
    return _metadata(node, f"{resource_path(study_uid, series_uid)}/metadata")


def image_metadata(node: Server, study_uid: str, series_uid: str, instance_uid: str) -> Attributes:
    """Return the metadata of one instance; NotFound where the series has no such one."""
    path = f"{resource_path(study_uid, series_uid, instance_uid)}/metadata"
    found = _metadata(node, path).instances
    if not found:
        raise NotFound("this series has no such image")
    return found[0]


def _metadata(node: Server, path: str) -> Told:
    with node.dicomweb(path, headers=JSON, passing=False) as answer:
        content = b"".join(guarded(answer.iter_bytes(), node.name))
        said = answer.headers.get("ETag", "").encode()
    try:
        instances = json.loads(content)
    except (ValueError, RecursionError):
        raise PeerUnreachable(f"{node.name} answered {path} with no JSON") from None
    if not isinstance(instances, list) or not all(map(_is_instance, instances)):
        raise PeerUnreachable(f"{node.name} answered {path} with no metadata")
    return Told(instances, revision_of(said or content))


def _is_instance(told: object) -> bool:
    return isinstance(told, dict) and bears_uid(told.get("00080018"))


def revision_of(content: bytes) -> str:
    """Return a short name for a state of things: equal for equal content alone."""
    return hashlib.sha256(content).hexdigest()[:REVISION_DIGITS]
