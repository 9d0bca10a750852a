"""Retrieve Capabilities: which resources there are and what they answer (PS3.18 8.9, annex H).

Made from the table of addresses, so that it names what is there and nothing else. OPTIONS
tells nothing of what is stored, and asks for no ticket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import get_resolver

from dicom_node.api.guard import allowed
from dicom_node.dicomweb import qido
from dicom_node.dicomweb.accept import Offer, best
from dicom_node.dicomweb.wado import DICOM, ZIP
from dicom_node.prepared.frames import CODESTREAMS, OCTETS
from dicom_node.render.encodings import MEDIA_TYPES

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "http://wadl.dev.java.net/2009/02"
SERVICE, JSON = "dicom-web/", "application/json"
_FORMS = [Offer(WADL), Offer("application/xml"), Offer(JSON)]
_OBJECTS = [Offer(DICOM, multipart=True), Offer(ZIP)]
_SEARCHES = dict.fromkeys(("studies", "series", "instances"), qido.FORMS)
# What GET serves, by the last word of an address; a UID stands for whole objects.
_SERVED: dict[str, Sequence[Offer]] = {
    **_SEARCHES,
    "{study_uid}": _OBJECTS,
    "{series_uid}": _OBJECTS,
    "{sop_uid}": [*_OBJECTS, Offer(DICOM)],
    "{numbers}": [
        Offer(OCTETS, multipart=True),
        *(Offer(name, multipart=True) for name in CODESTREAMS),
    ],
    "metadata": qido.FORMS,
    "rendered": [*map(Offer, MEDIA_TYPES.values())],
    "thumbnail": [Offer(MEDIA_TYPES["jpeg"])],
    "bulkdata": [Offer(OCTETS, multipart=True)],
    "pixeldata": [Offer(OCTETS, multipart=True)],
    "wado": [*map(Offer, MEDIA_TYPES.values()), Offer(DICOM)],
}
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
_NO_ID = re.compile(r"\W+")


@dataclass(frozen=True)
class Resource:
    """One address below its service's root, and its methods."""

    path: str
    methods: tuple[str, ...]

    @property
    def served(self) -> Sequence[Offer]:
        """What its GET serves; of documents, films and bulk data their own media types too."""
        return _SERVED.get(self.path.rpartition("/")[2], ())


def resources(service: str) -> list[Resource]:
    """Return the resources of a service, by the table of addresses, sorted by path."""
    found = {}
    for pattern in get_resolver().url_patterns:
        path = _readable(str(pattern.pattern))
        if hasattr(pattern.callback, "views") and path.startswith(service):
            found[path.removeprefix(service)] = tuple(pattern.callback.views)
    return [Resource(path, found[path]) for path in sorted(found) if path or not service]


@allowed("dicomweb")
def root(request: HttpRequest) -> HttpResponse:
    """Answer at the service's root, in whatever form the caller takes."""
    return answer(request, ["GET", "HEAD", "OPTIONS"])


def answer(request: HttpRequest, allow: Sequence[str]) -> HttpResponse:
    """Return the resources at and below the one that is asked (all, at the service's root)."""
    offer = best(request, _FORMS)
    asked = _readable(request.resolver_match.route)
    service = SERVICE if asked.startswith(SERVICE) else ""
    below = asked.removeprefix(service).rstrip("/")
    found = [one for one in resources(service) if _is_at_or_below(one.path, below)]
    base = request.build_absolute_uri(f"/{service}")
    if offer.media_type == JSON:
        made: HttpResponse = JsonResponse(_as_json(base, found))
    else:
        made = HttpResponse(_as_wadl(base, found), content_type=offer.media_type)
    made["Allow"] = ", ".join(allow)
    return made


def _readable(route: str) -> str:
    return _VARIABLE.sub(r"{\1}", route)


def _is_at_or_below(path: str, asked: str) -> bool:
    return not asked or f"{path}/".startswith(f"{asked}/")


def _as_json(base: str, found: list[Resource]) -> dict[str, object]:
    listed = [
        {"path": one.path, "methods": list(one.methods), "serves": list(map(str, one.served))}
        for one in found
    ]
    return {"application": {"resources": {"base": base, "resource": listed}}}


def _as_wadl(base: str, found: list[Resource]) -> bytes:
    application = ET.Element("application", xmlns=NAMESPACE)
    top = ET.SubElement(application, "resources", base=base)
    for one in found:
        resource = ET.SubElement(top, "resource", path=one.path)
        for name in re.findall(r"\{(\w+)\}", one.path):
            ET.SubElement(resource, "param", name=name, style="template", required="true")
        for method in one.methods:
            identity = _NO_ID.sub("-", f"{method} {one.path}").rstrip("-")
            element = ET.SubElement(resource, "method", name=method, id=identity)
            if method == "GET" and one.served:
                _add_served(element, one.served)
    return ET.tostring(application, encoding="utf-8", xml_declaration=True)


def _add_served(method: ET.Element, served: Sequence[Offer]) -> None:
    """Add the Accept header with what it may name, and the answers (annex H)."""
    request = ET.SubElement(method, "request")
    accept = ET.SubElement(request, "param", name="Accept", style="header", default=str(served[0]))
    response = ET.SubElement(method, "response", status="200")
    for offer in served:
        ET.SubElement(accept, "option", value=str(offer))
        ET.SubElement(response, "representation", mediaType=str(offer))
