"""Identifiers of queries and retrieves: between bytes and data sets (PS3.7 9.1.2.1.5)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.index.attributes import Level, text_of
from dicom_node.store import part10
from pacs_common.errors import ArgensError, BadQuery, PeerFailed


def encoded(ds: Dataset, transfer_syntax: str) -> bytes:
    """Return a data set as bytes in one of the two little endian syntaxes of queries."""
    file = DicomBytesIO()
    file.is_implicit_VR = transfer_syntax == ImplicitVRLittleEndian
    file.is_little_endian = True
    write_dataset(file, ds)
    return file.getvalue()


def parsed(content: bytes, transfer_syntax: str) -> Dataset:
    """Return the data set of an identifier, its texts as bytes; raises BadQuery."""
    if not content:
        raise BadQuery("the request has no identifier")
    try:
        return part10.parse_data_set(content, transfer_syntax)
    except ArgensError as error:
        raise BadQuery(f"the identifier cannot be read: {error}") from None


def decoded(content: bytes, transfer_syntax: str) -> Dataset:
    """Return the data set of an identifier, its texts decoded; raises BadQuery."""
    ds = parsed(content, transfer_syntax)
    try:
        ds.decode()
    except part10.UNREADABLE as error:
        raise BadQuery(f"the identifier cannot be read: {error}") from None
    return ds


def level_of(identifier: Dataset, root: str) -> Level:
    """Return its Query/Retrieve Level; raises BadQuery where the root has no such level."""
    text = text_of(identifier, "QueryRetrieveLevel")
    try:
        level = Level(text)
    except ValueError:
        raise BadQuery(f"Query/Retrieve Level {text!r} is not one of {', '.join(Level)}") from None
    if root == "study" and level is Level.PATIENT:
        raise BadQuery("the Study Root model has no PATIENT level")
    return level


def answer(content: bytes, transfer_syntax: str) -> Dataset:
    """Return a peer's answer, its texts decoded; raises PeerFailed where it cannot be read."""
    try:
        ds = part10.parse_data_set(content, transfer_syntax)
        ds.decode()
    except (ArgensError, *part10.UNREADABLE) as error:
        raise PeerFailed(f"the peer's answer cannot be read: {error}") from None
    return ds


def texts(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """Return an element's values as texts, none where it is absent."""
    return tuple(filter(None, text_of(ds, keyword).split("\\")))


def as_json(ds: Dataset) -> dict[str, Any]:
    """Return an answer in the DICOM JSON model (PS3.18 F.2); what makes no sense there is left out.

    Its character set is named as UTF-8's, which is what JSON is.
    """
    plain = {}
    for element in ds:
        try:
            plain |= Dataset({element.tag: element}).to_json_dict()
        except part10.UNREADABLE:
            continue
    if "00080005" in plain:
        plain["00080005"]["Value"] = ["ISO_IR 192"]
    return plain
