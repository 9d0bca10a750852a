"""The DICOMDIR of a file-set (PS3.10 section 8, PS3.3 annex F), from headers alone.

pydicom makes the directory. It names each file as soon as it is added, so files can be sent one
after the other and the directory last; the objects themselves never pass through it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import UID, ExplicitVRLittleEndian

from pacs_common.errors import BadInput
from pacs_web.federation.dicom_json import Attributes

FILE_SET_ID = "ARGENS"
_LARGE = {"52009229", "52009230"}  # functional groups: no directory record speaks of them
_PIXELS = "7FE0"
_UNDATED = {"Date": "19000101", "Time": "000000"}
# What a directory record must say (type 1 in PS3.3 F.5) and files sometimes do not.
_UNSAID = {
    "PatientID": "UNKNOWN",
    "StudyID": "0",
    "Modality": "OT",
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
    "ContentLabel": "UNNAMED",
    "PresentationCreationDate": _UNDATED["Date"],
    "PresentationCreationTime": _UNDATED["Time"],
    "ContentDate": _UNDATED["Date"],
    "ContentTime": _UNDATED["Time"],
    "StudyDate": _UNDATED["Date"],
    "StudyTime": _UNDATED["Time"],
}
_NONSENSE = (ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
_MAY_BE_EMPTY = ("PatientName", "AccessionNumber", "StudyDescription")


class Directory:
    """The records of a file-set that is being written."""

    def __init__(self, file_set: FileSet) -> None:
        self._file_set = file_set

    def add(self, told: Attributes) -> str:
        """Take an object in by its metadata and return its File ID, at most 8 characters a level.

        Raises BadInput where no directory record can be made of it.
        """
        try:
            added = self._file_set.add(header_of(told, len(self._file_set) + 1))
        except _NONSENSE as error:
            raise BadInput(f"no directory record can be made: {error}") from None
        return Path(added.FileID).as_posix()

    def content(self) -> bytes:
        """Return the DICOMDIR of what was added; empty where nothing was."""
        if not len(self._file_set):
            return b""
        with tempfile.TemporaryDirectory(prefix="argens-dicomdir-") as folder:
            self._file_set.write(folder)
            return (Path(folder) / "DICOMDIR").read_bytes()


@contextmanager
def directory() -> Iterator[Directory]:
    """Begin a file-set; its headers lie in a temporary folder until the end."""
    file_set = FileSet()
    file_set.ID = FILE_SET_ID
    try:
        yield Directory(file_set)
    finally:
        file_set._stage["t"].cleanup()  # pydicom leaves its folder to the garbage collector


def header_of(told: Attributes, position: int) -> Dataset:
    """Return an object's small elements, with all that a directory record must say.

    `position` numbers an object that has no Instance Number of its own.
    """
    header = Dataset.from_json({tag: said for tag, said in told.items() if _is_small(tag, said)})
    header.SpecificCharacterSet = "ISO_IR 192"  # what DICOM JSON is written in
    for keyword, unsaid in _UNSAID.items():
        if not header.get(keyword):
            setattr(header, keyword, unsaid)
    for keyword, number in (("SeriesNumber", 0), ("InstanceNumber", position)):
        if header.get(keyword) is None:
            setattr(header, keyword, number)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = UID(str(header.get("SOPClassUID", "")))
    header.file_meta.MediaStorageSOPInstanceUID = UID(str(header.get("SOPInstanceUID", "")))
    return header


def _is_small(tag: str, said: Any) -> bool:
    """Whether an element is public, no pixels, and written out in the metadata."""
    if len(tag) != 8 or tag in _LARGE or tag.startswith((_PIXELS, "0002")):
        return False
    is_private = int(tag[3], 16) % 2 == 1
    return not is_private and not {"BulkDataURI", "InlineBinary"} & set(said)
