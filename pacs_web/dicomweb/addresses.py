"""The portal's own addresses in what the nodes answer: theirs lead behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from pacs_web.federation.dicom_json import Attributes

RETRIEVE_URL = "00081190"
SERVICE = "/dicom-web"


def base_of(request: HttpRequest) -> str:
    """Return the address of this DICOMweb service, as the caller reached it."""
    return request.build_absolute_uri(SERVICE)


def forwarded(request: HttpRequest) -> dict[str, str]:
    """Return the header that tells a node under which address its answer is read."""
    return {"X-Forwarded-Base": base_of(request)}


def readdressed(found: Iterable[Attributes], base: str) -> list[dict[str, Any]]:
    """Return answers whose Retrieve URL (0008,1190) leads through the service at `base`."""
    return [_readdressed(dict(one), base) for one in found]


def _readdressed(attributes: dict[str, Any], base: str) -> dict[str, Any]:
    values = (attributes.get(RETRIEVE_URL) or {}).get("Value") or [""]
    _, service, below = str(values[0]).partition(f"{SERVICE}/")
    if service:
        attributes[RETRIEVE_URL] = {"vr": "UR", "Value": [f"{base}/{below}"]}
    return attributes
