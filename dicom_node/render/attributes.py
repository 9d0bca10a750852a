"""What an element says, read with tolerance: real files lie, and hostile ones try."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from dicom_node.render.image_format import FAULTS


def values(ds: Dataset, keyword: str) -> list[object]:
    """Return all values of an element; none where it is absent, empty or unreadable."""
    try:
        value = ds.get(keyword)
    except FAULTS:
        return []
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def decimals(ds: Dataset, keyword: str) -> list[float]:
    """Return all values of an element as numbers; none where one of them is no finite number."""
    try:
        found = [float(value) for value in values(ds, keyword)]  # type: ignore[arg-type]
    except FAULTS:
        return []
    return found if all(map(math.isfinite, found)) else []


def decimal(ds: Dataset, keyword: str, default: float) -> float:
    """Return the first value of an element as a number."""
    found = decimals(ds, keyword)
    return found[0] if found else default


def text(ds: Dataset, keyword: str) -> str:
    """Return the first value of an element as text in capitals, as code strings are written."""
    found = values(ds, keyword)
    return str(found[0]).strip().upper() if found else ""


def items(ds: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence."""
    return [item for item in values(ds, keyword) if isinstance(item, Dataset)]


def functional_group(ds: Dataset, index: int, keyword: str) -> Dataset:
    """Return the item that holds for frame `index` (from 0), its own or the shared one (C.7.6.16).

    An object without such a group says it itself: then `ds` is returned.
    """
    for sequence, item in (
        ("PerFrameFunctionalGroupsSequence", index),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        try:
            return ds[sequence].value[item][keyword].value[0]
        except FAULTS:
            continue
    return ds
