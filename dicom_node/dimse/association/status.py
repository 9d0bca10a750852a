"""The status codes that the node sends and reads, with what they mean to a person."""

from __future__ import annotations

SUCCESS = 0x0000
PENDING, PENDING_KEYS_IGNORED, CANCELLED = 0xFF00, 0xFF01, 0xFE00  # PS3.4 C.4.1.1.4

# PS3.7 C.5, and 10.1 for notifications and actions
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE, NO_SUCH_EVENT, INVALID_ARGUMENT = 0x0112, 0x0113, 0x0115
NO_SUCH_CLASS, CLASS_NOT_SUPPORTED, NO_SUCH_ACTION = 0x0118, 0x0122, 0x0123
NOT_AUTHORISED, UNRECOGNISED_OPERATION, NO_RESOURCES = 0x0124, 0x0211, 0x0213

# PS3.4 C.4.2.1.5: retrieves
NO_NUMBER_OF_MATCHES, NONE_DONE, SOME_FAILED = 0xA701, 0xA702, 0xB000

_MEANINGS = {
    CLASS_NOT_SUPPORTED: "SOP class not supported",
    NOT_AUTHORISED: "not authorised",
    0xA700: "out of resources",
    NO_NUMBER_OF_MATCHES: "unable to calculate the number of matches",
    NONE_DONE: "unable to perform sub-operations",
    0xA801: "move destination unknown",
    0xA900: "identifier does not match the SOP class",
}


def code_of(status: object) -> str:
    """Return a status as people write it: "0xA700"."""
    return f"0x{status:04X}" if isinstance(status, int) else "no status"


def meaning_of(status: object) -> str:
    """Return what a failure of a query or retrieve means, empty where it has no usual meaning."""
    return _MEANINGS.get(status, "") if isinstance(status, int) else ""
