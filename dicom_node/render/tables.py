"""Look-up tables of PS3.3 C.11: modality, VOI and presentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render.codecs import Array
from dicom_node.render.image_format import FAULTS


@dataclass(frozen=True, eq=False)
class Lut:
    """A table whose first entry stands for the value `first`; entries have `bits` bits."""

    first: int
    bits: int
    entries: Array

    @property
    def top(self) -> float:
        """The greatest value that an entry can have."""
        return float((1 << self.bits) - 1)

    def looked_up(self, values: Array) -> Array:
        """Return the entry of each value; those outside the table take its first or last one."""
        return for_every_value(values, self._looked_up)

    def _looked_up(self, values: Array) -> Array:
        last = self.entries.size - 1
        indexes = np.clip(np.rint(values).astype(np.int64) - self.first, 0, last)
        return self.entries[indexes]


def for_every_value(samples: Array, function: Callable[[Array], Array]) -> Array:
    """Return `function` of each sample, which depends on its value alone.

    Of many whole numbers of 16 bits it is computed once for each value that there can be.
    """
    width = samples.dtype.itemsize
    if samples.dtype.kind not in "iu" or width > 2 or samples.size < 1 << 8 * width:
        return function(samples)
    cells = np.dtype(f"u{width}")
    every = np.arange(1 << 8 * width).astype(cells).view(samples.dtype)
    return np.take(function(every), samples.view(cells), mode="wrap")


def lut_of(ds: Dataset, keyword: str, *, signed: bool) -> Lut | None:
    """Return the table in the first item of a sequence, None where there is no usable one.

    `signed` tells how the descriptor's second value is read where its VR leaves that open.
    """
    try:
        item = ds[keyword].value[0]
        count, first, bits = (int(number) for number in item["LUTDescriptor"].value)
        count = count % 65536 or 65536  # 0 says 65,536; read as signed, it may be negative
        entries = item["LUTData"].value
    except FAULTS:
        return None
    if isinstance(entries, bytes):
        narrow = len(entries) in (count, count + count % 2)
        entries = np.frombuffer(entries, np.uint8 if narrow else "<u2")
    table = np.asarray(entries).astype(np.uint16)[:count]
    if table.size == 0 or not 1 <= bits <= 16:
        return None
    first = first - 65536 if signed and first > 32767 else first
    return Lut(first, _true_bits(bits, table), table)


def _true_bits(bits: int, table: Array) -> int:
    """Return the number of bits that entries really have: some descriptors say too few."""
    return max(bits, int(table.max()).bit_length())
