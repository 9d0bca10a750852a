"""Stored objects as DICOM JSON (PS3.18 F), their large values by address."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dicom_node.metadata.encoded import Encoded, opened
from dicom_node.metadata.walk import Bulk, Shared, Walk, object_of
from pacs_common.errors import NotDicom


class JsonWriter:
    """Writes the objects of one series; not for several threads at once."""

    def __init__(self) -> None:
        self._shared = Shared()

    def written(self, path: Path, address: str, told: Mapping[int, str], overlay: str = "") -> str:
        """Return a stored file as a JSON object, as the corrections of `overlay` show it.

        `address` precedes the paths of bulk data; `told` holds attributes that the file does not
        tell, as JSON by tag. Raises NotDicom, FileNotFoundError.
        """
        with reading(path, overlay) as encoded:
            fragments = Walk(encoded, self._shared, address).fragments()
        for tag, attribute in told.items():
            fragments[tag] = f'"{tag:08X}":{attribute}'
        return object_of(fragments)


@contextmanager
def reading(path: Path, overlay: str = "") -> Iterator[Encoded]:
    """Open a stored file for a while; what is no data set raises NotDicom."""
    encoded = opened(path, overlay)
    try:
        yield encoded
    except struct.error:
        raise NotDicom("the data set is cut") from None
    finally:
        encoded.file.close()


def bulk_of(encoded: Encoded) -> list[Bulk]:
    """Return the values of an object that its JSON names by address, in their order."""
    walk = Walk(encoded, Shared(), "")
    walk.fragments()
    return walk.bulk
