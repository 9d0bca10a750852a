"""Every element of one instance's header, as a person reads it: group 2, private and nested too."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET
from pydicom.datadict import (
    dictionary_description,
    dictionary_has_tag,
    dictionary_VR,
    keyword_for_tag,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import PersonName

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.custody.stub import object_or_stub
from dicom_node.index.attributes import UNREADABLE
from dicom_node.models import Instance
from dicom_node.prepared.intact import require_intact
from dicom_node.store.layout import Layout
from pacs_common.errors import NotFound
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)
MAX_VALUE_CHARS = 4096
_BYTES_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
_SHOWN_BYTES = 64


@require_GET
@allowed("dicomweb")
def header(request: HttpRequest, sop_uid: str) -> JsonResponse:
    """Answer the elements of an instance, online or not."""
    return JsonResponse(described(sop_uid))


def described(sop_uid: str) -> dict[str, Any]:
    """Return an instance's header as it is answered; raises NotFound, or Damaged."""
    found = (
        Instance.objects.filter(uid=Uid.parse(sop_uid, "SOPInstanceUID"))
        .select_related("series__study")
        .first()
    )
    if found is None:
        raise NotFound(f"instance {sop_uid} is not here")
    with suppress(FileNotFoundError):  # its stub is shown
        path = LAYOUT.object(found.hour, found.uid)
        require_intact(path, found.received_sha256, found.verified)
    ds = object_or_stub(LAYOUT, found)
    return {
        "study_uid": found.series.study.uid,
        "series_uid": found.series.uid,
        "sop_instance_uid": found.uid,
        "transfer_syntax": UID(found.transfer_syntax).name,
        "elements": [*elements(ds.file_meta), *elements(ds)],
    }


def elements(ds: Dataset) -> list[dict[str, Any]]:
    """Return each element's tag, VR, name, length and value as text; sequences with items."""
    return [_described(ds, tag) for tag in sorted(ds.keys())]


def _described(ds: Dataset, tag: BaseTag) -> dict[str, Any]:
    raw = ds.get_item(tag, keep_deferred=True)
    line: dict[str, Any] = {
        "tag": f"({tag.group:04X},{tag.element:04X})",
        "vr": raw.VR or _dictionary_vr(tag),
        "name": "",
        "keyword": "",
        "private": tag.is_private,
        "length": _length(raw),
    }
    if _is_left_on_disk(raw, line):
        name, keyword = dictionary_description(tag), keyword_for_tag(tag)
        return line | {"name": name, "keyword": keyword, "value": f"{raw.length} bytes"}
    try:
        element = ds[tag]
        line |= {"vr": element.VR, "name": element.name.strip("[]"), "keyword": element.keyword}
        if element.VR == "SQ":
            items = [elements(item) for item in element.value]
            return line | {"value": _counted(len(items)), "items": items}
        return line | {"value": _text(element)}
    except UNREADABLE as error:
        return line | {"value": f"cannot be read: {error}"[:200]}


def _dictionary_vr(tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag).rpartition(" ")[2]  # "OB or OW" is OW in Implicit VR
    except KeyError:
        return "UN"


def _is_left_on_disk(raw: Any, line: dict[str, Any]) -> bool:
    """True for pixels and other public bulk data: their size is told without reading them."""
    is_public = dictionary_has_tag(raw.tag) and not line["private"]
    return is_public and raw.value is None and bool(line["length"]) and line["vr"] in _BYTES_VRS


def _length(raw: Any) -> int | None:
    """Return the value's length in bytes as stored, None for an undefined one or a sequence."""
    length = getattr(raw, "length", None)
    if length is None:
        return len(raw.value) if isinstance(raw.value, bytes) else None
    return None if length == 0xFFFFFFFF else length


def _counted(items: int) -> str:
    return "1 item" if items == 1 else f"{items} items"


def _text(element: DataElement) -> str:
    value = element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        if element.VR in _BYTES_VRS and len(value) > _SHOWN_BYTES:
            return f"{len(value)} bytes"
        return value.hex(" ") if element.VR in _BYTES_VRS else value.decode("latin-1")
    is_one = isinstance(value, str | PersonName) or not hasattr(value, "__iter__")
    parts = [value] if is_one else value
    text = "\\".join(str(part) for part in parts)
    if element.VR == "UI" and UID(text).name != text:
        text = f"{text} ({UID(text).name})"
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"
