"""The Native DICOM Model (PS3.19 A.1): one document for one data set of the JSON model."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_common.native_xml import NAMESPACE, native_xml

NAME = {
    "Alphabetic": "Yamada^Tarou^^Dr^Jr",
    "Ideographic": "山田^太郎",
    "Phonetic": "やまだ^たろう",
}
# What each element may hold, in this order: the grammar of PS3.19 A.1.6.
ATTRIBUTES = {
    "NativeDicomModel": ["{http://www.w3.org/XML/1998/namespace}space"],
    "DicomAttribute": ["tag", "vr", "keyword", "privateCreator"],
    "BulkData": ["uri", "uuid"],
    "Value": ["number"],
    "Item": ["number"],
    "PersonName": ["number"],
}
COMPONENTS = ["FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"]
GROUPS = ["Alphabetic", "Ideographic", "Phonetic"]


def parsed(attributes):
    return ElementTree.fromstring(native_xml(attributes))


def local(element):
    namespace, _, name = element.tag[1:].partition("}")
    assert namespace == NAMESPACE
    return name


def require_schema(element):
    """Hold a document to the grammar of PS3.19 A.1.6."""
    name, children = local(element), [local(child) for child in element]
    assert set(element.attrib) <= set(ATTRIBUTES.get(name, []))
    if name in ("NativeDicomModel", "Item"):
        assert set(children) <= {"DicomAttribute"}
    elif name == "DicomAttribute":
        assert re.fullmatch("[0-9A-F]{8}", element.get("tag"))
        assert re.fullmatch("[A-Z]{2}", element.get("vr"))
        assert len(set(children)) <= 1
        assert set(children) <= {"BulkData", "InlineBinary", "Value", "Item", "PersonName"}
        numbers = [child.get("number") for child in element if child.get("number")]
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    elif name == "PersonName":
        assert children == [group for group in GROUPS if group in children]
    elif name in GROUPS:
        assert children == [part for part in COMPONENTS if part in children]
    else:
        assert children == []
    for child in element:
        require_schema(child)


def found(root, path):
    return root.findall("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))


def test_an_attribute_has_tag_vr_keyword_and_numbered_values():
    root = parsed({"00280030": {"vr": "DS", "Value": [0.5, None, 2]}})
    require_schema(root)
    (attribute,) = root
    assert attribute.attrib == {"tag": "00280030", "vr": "DS", "keyword": "PixelSpacing"}
    assert [value.text for value in attribute] == ["0.5", None, "2"]


def test_a_name_has_its_groups_and_components():
    root = parsed({"00100010": {"vr": "PN", "Value": [NAME]}})
    require_schema(root)
    (name,) = found(root, "DicomAttribute/PersonName")
    assert [local(group) for group in name] == GROUPS
    assert [part.text for part in name[0]] == ["Yamada", "Tarou", "Dr", "Jr"]
    assert [local(part) for part in name[0]] == [
        "FamilyName", "GivenName", "NamePrefix", "NameSuffix",
    ]  # fmt: skip
    assert [part.text for part in name[1]] == ["山田", "太郎"]


def test_a_name_with_too_many_components_keeps_them_all():
    root = parsed({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "a^b^c^d^e^f"}]}})
    require_schema(root)
    (suffix,) = found(root, "DicomAttribute/PersonName/Alphabetic/NameSuffix")
    assert suffix.text == "e^f"


def test_items_nest():
    inner = {"00080100": {"vr": "SH", "Value": ["T1"]}}
    root = parsed({"00081032": {"vr": "SQ", "Value": [inner, {}]}})
    require_schema(root)
    assert len(found(root, "DicomAttribute/Item")) == 2
    (value,) = found(root, "DicomAttribute/Item/DicomAttribute/Value")
    assert value.text == "T1"


def test_a_private_attribute_names_its_creator_and_no_block():
    root = parsed(
        {
            "00090010": {"vr": "LO", "Value": ["GEMS_IDEN_01"]},
            "00091027": {"vr": "SL", "Value": [7]},
            "00091127": {"vr": "SL", "Value": [8]},
        }
    )
    require_schema(root)
    known, orphan = root[1], root[2]
    assert known.attrib == {"tag": "00090027", "vr": "SL", "privateCreator": "GEMS_IDEN_01"}
    assert orphan.attrib == {"tag": "00091127", "vr": "SL"}


def test_bulk_data_goes_by_address_and_small_binary_inline():
    root = parsed(
        {
            "7FE00010": {"vr": "OW", "BulkDataURI": "/dicom-web/studies/1/bulkdata/7FE00010?a&b"},
            "00420011": {"vr": "OB", "InlineBinary": "AAEC"},
            "00420010": {"vr": "ST"},
        }
    )
    require_schema(root)
    assert found(root, "DicomAttribute/BulkData")[0].get("uri").endswith("7FE00010?a&b")
    assert found(root, "DicomAttribute/InlineBinary")[0].text == "AAEC"
    assert len(root[0]) == 0


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=()), max_size=30)


@given(TEXTS)
@example("a\x00b\x1bc\x0b")
@example("]]> & <Item> \r\n\t")
@example("\ufffe\U0001f480")
def test_any_text_is_well_formed_and_comes_back_but_for_what_xml_forbids(text):
    root = parsed(
        {
            "00104000": {"vr": "LT", "Value": [text]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]},
            "00090010": {"vr": "LO", "Value": [text]},
            "00091001": {"vr": "UN", "BulkDataURI": text},
        }
    )
    require_schema(root)
    expected = "".join(char if is_xml(char) else "\ufffd" for char in text)
    (value,) = next(one for one in root if one.get("tag") == "00104000")
    assert (value.text or "") == expected


def is_xml(char):
    code = ord(char)
    return char in "\t\n\r" or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF


@pytest.mark.parametrize("values", [[None], [{}], []])
def test_empty_values_of_any_kind_are_empty_elements(values):
    for vr in ("PN", "SQ", "LO"):
        require_schema(parsed({"00100010": {"vr": vr, "Value": values}}))
