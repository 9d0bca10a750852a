"""What a message is, and its P-DATA on the wire (PS3.7 6.3.1, PS3.8 9.3.5 and annex E)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dicom_node.dimse.association import wire as wires

PDV = struct.Struct(">LBB")
_HEADERS = struct.Struct(">BxLLBB")  # of a PDU and of its one PDV
IS_COMMAND, IS_LAST = 0x01, 0x02


@dataclass(frozen=True)
class Context:
    """An accepted presentation context, and what we may be on it."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool


@dataclass(frozen=True)
class Message:
    """A command set with its context; what is not `kept` of its data set is still to be read."""

    context: Context
    command: dict[str, Any]
    has_data: bool
    kept: bytes = b""

    @property
    def id(self) -> int:
        """The Message ID that an answer responds to."""
        number = self.command.get("MessageID", 0)
        return number if isinstance(number, int) else 0


def framed(
    fragment_bytes: int, context_id: int, data: bytes | memoryview, kind: int, *, is_last: bool
) -> Iterator[bytes | memoryview]:
    """Yield data as P-DATA PDUs of one PDV each, with at most `fragment_bytes` of it in one."""
    view, length = memoryview(data), len(data)
    last_start = max(0, (length - 1) // fragment_bytes * fragment_bytes)
    for start in range(0, last_start + 1, fragment_bytes):
        size = min(fragment_bytes, length - start)
        control = kind | IS_LAST if is_last and start == last_start else kind
        yield _HEADERS.pack(wires.P_DATA, size + PDV.size, size + 2, context_id, control)
        yield view[start : start + size]
