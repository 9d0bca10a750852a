"""Answers of the query engine, encoded as C-FIND encodes them and read by pydicom."""

from __future__ import annotations

import io

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_node.dimse.scp.answer import Encoder
from dicom_node.index import answers
from dicom_node.index.query import Query


def datasets(query: Query, charset: str = "", *, is_implicit: bool = False) -> list[Dataset]:
    """Return the answers of a query as data sets."""
    encoder = Encoder(is_implicit=is_implicit, charset=charset)
    return [read(encoder.encode(found), is_implicit=is_implicit) for found in answers.find(query)]


def read(encoded: bytes, *, is_implicit: bool = False) -> Dataset:
    """Return an identifier as pydicom reads it."""
    ds = read_dataset(io.BytesIO(encoded), is_implicit, True)
    ds.decode()
    return ds
