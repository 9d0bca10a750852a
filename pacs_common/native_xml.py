"""The Native DICOM Model: attributes of the DICOM JSON model as XML (PS3.19 A.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
# XML 1.0 2.2 cannot hold these, not even as references.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Attributes = Mapping[str, Mapping[str, Any]]


def native_xml(attributes: Attributes) -> bytes:
    """Return one data set of the DICOM JSON model as an XML document in UTF-8.

    Characters that XML 1.0 cannot hold become U+FFFD. A private attribute names its creator and
    leaves the number of its block out (table A.1.5-2).
    """
    root = Element("NativeDicomModel", {"xmlns": NAMESPACE, "xml:space": "preserve"})
    _add_attributes(root, attributes)
    text = tostring(root, encoding="unicode")
    # A bare carriage return would come back as a line feed (XML 1.0 2.11).
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.replace("\r", "&#13;").encode()


def _add_attributes(parent: Element, attributes: Attributes) -> None:
    creators = _creators(attributes)
    for tag in sorted(attributes):
        attribute = attributes[tag]
        vr = attribute["vr"]
        node = SubElement(parent, "DicomAttribute", _names(tag, vr, creators.get(tag[:4], {})))
        if "BulkDataURI" in attribute:
            SubElement(node, "BulkData", {"uri": _clean(attribute["BulkDataURI"])})
        elif "InlineBinary" in attribute:
            SubElement(node, "InlineBinary").text = attribute["InlineBinary"]
        else:
            for number, value in enumerate(attribute.get("Value", ()), 1):
                _add_value(node, vr, str(number), value)


def _names(tag: str, vr: str, creators: Mapping[str, str]) -> dict[str, str]:
    from pydicom.datadict import keyword_for_tag  # its tables: for roles that write XML alone

    is_creator_known = tag[4:6] in creators
    names = {"tag": f"{tag[:4]}00{tag[6:]}" if is_creator_known else tag, "vr": vr}
    keyword = keyword_for_tag(int(tag, 16))
    if keyword:
        names["keyword"] = keyword
    if is_creator_known:
        names["privateCreator"] = creators[tag[4:6]]
    return names


def _creators(attributes: Attributes) -> dict[str, dict[str, str]]:
    """Return the private creators by group and block (PS3.5 7.8.1): {"0009": {"10": ...}}."""
    found: dict[str, dict[str, str]] = {}
    for tag, attribute in attributes.items():
        if int(tag[3], 16) % 2 and tag[4:6] == "00" and tag[6] != "0":
            values = attribute.get("Value") or [None]
            if isinstance(values[0], str):
                found.setdefault(tag[:4], {})[tag[6:]] = _clean(values[0])
    return found


def _add_value(node: Element, vr: str, number: str, value: Any) -> None:
    if vr == "SQ":
        _add_attributes(SubElement(node, "Item", {"number": number}), value or {})
    elif vr == "PN":
        _add_name(SubElement(node, "PersonName", {"number": number}), value or {})
    else:
        SubElement(node, "Value", {"number": number}).text = _text(value)


def _add_name(node: Element, name: Mapping[str, str]) -> None:
    for group in _GROUPS:
        components = _clean(name.get(group, "")).split("^")
        if not any(components):
            continue
        part = SubElement(node, group)
        last = len(_COMPONENTS) - 1
        components[last:] = ["^".join(components[last:])] if len(components) > last else []
        for title, text in zip(_COMPONENTS, components, strict=False):
            if text:
                SubElement(part, title).text = text


def _text(value: Any) -> str:
    return "" if value is None else _clean(str(value))


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
