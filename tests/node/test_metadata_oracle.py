"""Every public file says the same in our JSON as in DCMTK's, or differs for a stated reason."""

from __future__ import annotations

import json
import struct
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicom_node.metadata.json_model import JsonWriter, bulk_of, reading
from pacs_common.errors import NotDicom
from pacs_common.native_xml import native_xml
from tests.node.test_native_xml import parsed, require_schema
from tests.support.services import SHARED_DICOM, require

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED_DICOM.is_dir(), reason="../shared/dicom is not here"),
]
# Ours refuses them, as the node did at their arrival.
CUT = {"MR_truncated.dcm", "rtplan_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}
NO_SYNTAX = {"meta_missing_tsyntax.dcm"}
# Single elements that differ, and why.
EXCEPTIONS = {
    ("chrSQEncoding.dcm", "00321064/1/00100010"): "dcm2json knows one character set an object",
    ("nested_priv_SQ.dcm", "00010001/1/00010002"): "dcm2json pads a value of odd length",
    ("DICOMDIR-nooffset", "00041220"): "the length of the sequence is wrong: its bytes stay bytes",
}
# dcm2json gives up on the whole file.
_NO_TABLE = "the C library's iconv has no ISO 2022 IR 87"
_WRONG_SET = "(0008,0005) is '49\\\\53...', what nobody defined"
_MISSPELT = "(0008,0005) is 'ISO-IR 100'"
_CTS = "CTImage.dcm_JPEG"
NOT_READ_BY_DCMTK = {
    **dict.fromkeys(("chrH31.dcm", "chrH32.dcm", "chrJapMulti.dcm"), _NO_TABLE),
    **dict.fromkeys(("chrJapMultiExplicitIR6.dcm", "chrSQEncoding1.dcm"), _NO_TABLE),
    "J2K_pixelrep_mismatch.dcm": _NO_TABLE,
    f"{_CTS}2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm": _WRONG_SET,
    f"{_CTS}2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm": _WRONG_SET,
    f"{_CTS}LSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm": _WRONG_SET,
    "explicit_VR-UN.dcm": _WRONG_SET,
    "IM00001.fragmented_no_bot_jpeg_baseline.50.dcm": _MISSPELT,
    "IM00001.implicit_little_endian.dcm": _MISSPELT,
    "SC_rgb_jpeg.dcm": "it is Implicit VR under an explicit label",
}
VRS_OF_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
LEFT_OUT = {"00080005", "FFFCFFFC"}
PIXELS = "7FE00000"


def part10_files():
    found = []
    for path in sorted(SHARED_DICOM.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(144)[128:136] == b"DICM\x02\x00\x00\x00":
                    found.append(path)
    return found


def ours(path):
    return json.loads(JsonWriter().written(path, "/at/", {}))


def theirs(path, folder):
    """Return what DCMTK writes of a file, its compressed pixels cut off: it refuses those."""
    with reading(path) as opened:
        last = bulk_of(opened)[-1:]
    if last and last[0].is_encapsulated:
        header = 12 if is_explicit(path) else 8
        end = last[0].stretches[0][0] - 8 - header
        content = path.read_bytes()[:end]
        path = folder / f"{abs(hash(path))}.dcm"
        path.write_bytes(content)
    told = subprocess.run(
        [require("dcm2json"), "-q", "-fc", path], capture_output=True, check=False
    )
    found = json.loads(told.stdout.decode("utf-8", "replace"), strict=False)
    return found[0] if isinstance(found, list) else found


def is_explicit(path):
    with reading(path) as opened:
        return not opened.coding.is_implicit


def differences(ours, theirs, path=""):
    """Yield (path, reason) where two data sets of the JSON model differ."""
    for tag in sorted((set(ours) | set(theirs)) - LEFT_OUT):
        if tag.endswith("0000") or tag.startswith("7FE0"):
            continue
        here = path + tag
        if tag in ours and tag in theirs:
            yield from between(ours[tag], theirs[tag], here)
        elif tag < PIXELS or tag in theirs:  # theirs was cut off at compressed pixels
            yield here, f"missing in {'ours' if tag not in ours else 'theirs'}"


def between(one, other, here):
    """Yield the differences of two attributes."""
    if other["vr"] == "UN" and one["vr"] != "UN":
        return  # UN of what a dictionary knows: ours says what it is (PS3.5 6.2.2)
    if one["vr"] != other["vr"]:
        yield here, f"VR {one['vr']}, theirs {other['vr']}"
    elif one["vr"] != "SQ":
        if not is_same(one, other):
            yield here, f"{one}, theirs {other}"[:200]
    elif len(items(one)) != len(items(other)):
        yield here, "number of items"
    else:
        for number, pair in enumerate(zip(items(one), items(other), strict=True), 1):
            yield from differences(*pair, f"{here}/{number}/")


def items(attribute):
    return attribute.get("Value", [])


def is_same(one, other):
    if "BulkDataURI" in one:
        return "InlineBinary" in other or "BulkDataURI" in other
    if one["vr"] in VRS_OF_BYTES:
        return one.get("InlineBinary") == other.get("InlineBinary")
    values = [plain(value, one["vr"]) for value in items(one)]
    expected = [plain(value, one["vr"]) for value in items(other)]
    return values == expected or not any([*values, *expected])


def plain(value, vr):
    """Return a value without what is a matter of taste: padding, empty parts, digits."""
    if value in (None, "", {}):
        return None
    if isinstance(value, dict):
        return {group: text.strip().rstrip("^") for group, text in value.items()}
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip(" \0")
    if vr == "FL":
        return struct.pack("<f", number)
    return f"{number:.14g}"


def test_every_public_file_agrees_with_dcmtk(tmp_path):
    wrong, reasons = [], Counter()
    paths = [path for path in part10_files() if path.name not in CUT | NO_SYNTAX]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda path: attempted(theirs, path, tmp_path), paths))
    for path, told in zip(paths, answers, strict=True):
        if isinstance(told, ValueError):
            reasons["not read by DCMTK"] += 1
            if path.name not in NOT_READ_BY_DCMTK:
                wrong.append((path.name, str(told)))
            continue
        for place, reason in differences(ours(path), told):
            if (path.name, place) in EXCEPTIONS:
                reasons[EXCEPTIONS[path.name, place]] += 1
            else:
                wrong.append((path.name, place, reason))
        reasons["compared"] += 1
    assert wrong == []
    assert reasons["compared"] > 400


def attempted(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        return error


def test_what_is_cut_is_refused_as_at_arrival():
    refused = set()
    for path in part10_files():
        try:
            ours(path)
        except NotDicom:
            refused.add(path.name)
    assert refused == CUT | NO_SYNTAX


def test_every_public_file_is_xml_by_the_schema():
    for path in part10_files()[::3]:
        if path.name not in CUT | NO_SYNTAX:
            attributes = ours(path)
            native_xml(attributes)
            require_schema(parsed(attributes))
