"""What two sides agree on beyond plain matching: the seven bytes of PS3.4 C.5.1.1.1.1."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Semantics:
    """How keys are matched, in the order of the negotiation's bytes; all off by default.

    `multiframe` (conversion to enhanced multi-frame images) is never agreed: it is not built.
    """

    relational: bool = False
    combined: bool = False  # a date key and its time key are one range
    fuzzy: bool = False  # names by their sound
    timezone: bool = False  # (0008,0201) of the request tells the zone of its times
    multiframe: bool = False
    empty: bool = False  # a key of two quotation marks matches absent values only
    multiple: bool = False  # each of several values must be there

    @classmethod
    def of(cls, agreed: bytes) -> Semantics:
        """Return what the application information of an agreed negotiation switches on."""
        return cls(*(byte == 1 for byte in agreed[: len(_OFFERED)]))


PLAIN = Semantics()
_OFFERED = bytes(astuple(Semantics(True, True, True, True, False, True, True)))


def agree(sop_class: str, requested: bytes) -> bytes:
    """Return the answer to a requested extended negotiation of a query class: byte by byte 1 or 0.

    As long as what was asked, at most seven bytes; the same for all classes of queries.
    """
    return bytes(int(ask == 1 and offer) for ask, offer in zip(requested, _OFFERED, strict=False))
