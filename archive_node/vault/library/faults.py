"""What drives and tapes do wrong, told apart by what the programs print.

Fault
|-- Stuck          a program did not end, or moved nothing, for too long; it was killed
|-- Busy           another program has the drive
|-- NoAccess       the device is not there, or not for us, or cannot do what is needed
|-- NoMedium       the drive sees no tape
|-- Protected      the tape's tab says that nothing may be written
|-- EndOfTape      there is no room for what was being written
|-- NotOurs        the tape is of another library, or holds something without a label
|-- Mislabelled    the tape is ours, and another one than its barcode says
`-- Unreadable     an input or output error, or less on the tape than was written there
"""

from __future__ import annotations

from archive_node.vault.library.commands import Ended


class Fault(Exception):
    """Something that a drive or a tape did; never leaves this package."""


class Stuck(Fault):
    pass


class Busy(Fault):
    pass


class NoAccess(Fault):
    pass


class NoMedium(Fault):
    pass


class Protected(Fault):
    pass


class EndOfTape(Fault):
    pass


class NotOurs(Fault):
    pass


class Mislabelled(Fault):
    pass


class Unreadable(Fault):
    pass


# The C library's words for an errno (all programs run with LC_ALL=C), and what st(4) means by it.
_WORDS: tuple[tuple[str, type[Fault]], ...] = (
    ("No space left on device", EndOfTape),
    ("Read-only file system", Protected),
    ("write protected", Protected),
    ("Device or resource busy", Busy),
    ("No medium found", NoMedium),
    ("Medium not present", NoMedium),  # as ltfs says it
    ("Permission denied", NoAccess),
    ("No such file or directory", NoAccess),
    ("No such device", NoAccess),
)


def named(said: str) -> Fault:
    """Return the fault that a program's words mean; any other word is an unreadable tape."""
    kind = next((kind for words, kind in _WORDS if words.lower() in said.lower()), Unreadable)
    return kind(said)


def check(ended: Ended) -> None:
    """Raise the fault that a program ended with, if any."""
    if ended.code:
        raise named(ended.said)


def of(error: OSError) -> Fault:
    """Return the fault that an error of a mounted tape's file system means."""
    return named(f"{error.filename or 'the tape'}: {error.strerror or error}")
