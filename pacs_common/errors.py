"""The error tree: each class knows its own translation, and only the edges convert.

ArgensError                       0x0110  500
|-- BadInput                      0xC000  400   the sender must change something
|   |-- NotDicom                  0xC000  400
|   |-- UnsafeUid                 0xC000  400
|   |-- MissingUid                0xA900  400   PS3.4 B.2.3: data set does not match SOP class
|   |-- UidMismatch               0xA900  409   Affected SOP UID differs from the data set's
|   |-- ClassNotSupported         0x0122  409   objects of this SOP class are not kept here
|   |-- TooLarge                  0xC000  413   the request is beyond a limit
|   |-- UnsupportedMediaType      0xC000  415   the request's body is of another kind
|   |-- SyntaxNotSupported        0xC122  409   PS3.18 I.2: the transfer syntax is not kept here
|   |-- UnknownDestination        0xA801  400   PS3.4 C.4.2.1.5
|   `-- BadQuery                  0xA900  400   identifier does not match SOP class
|-- NotFound                      0x0112  404
|-- NotAcceptable                 0x0122  406   no representation fits the Accept header
|-- Refused                       0x0124  403
|   `-- NotAuthenticated          0x0124  401
|-- Conflict                      0x0111  409   the state does not allow it (a void plan)
|   `-- DigestMismatch            0x0111  409
|-- NotOnline                     0xA702  503   the bytes are on a volume: recall first (retriable)
|-- CannotRender                  0x0110  406   pixels that cannot be decoded or do not exist
|-- PeerFailed                    0x0110  502   a DICOM peer answered, with a failure
`-- Unavailable                   0xA700  503   try again later (retriable)
    |-- DiskFull                  0xA700  507
    |-- IndexUnavailable          0xA700  503
    `-- PeerUnreachable           0xA700  502   another role did not answer
"""

from __future__ import annotations

from collections.abc import Iterator


class ArgensError(Exception):
    """Anything Argens can explain; `str(error)` is one line that a person can act on."""

    dimse_status = 0x0110  # PS3.7 C.5.9: processing failure
    http_status = 500
    title = "Internal error"
    retriable = False


class BadInput(ArgensError):
    dimse_status, http_status, title = 0xC000, 400, "Bad input"


class NotDicom(BadInput):
    title = "Not a DICOM object"


class UnsafeUid(BadInput):
    title = "Unsafe UID"


class MissingUid(BadInput):
    dimse_status, title = 0xA900, "Missing UID"


class UidMismatch(BadInput):
    dimse_status, http_status, title = 0xA900, 409, "UIDs differ"


class ClassNotSupported(BadInput):
    dimse_status, http_status, title = 0x0122, 409, "SOP class not supported"


class TooLarge(BadInput):
    http_status, title = 413, "Too large"


class UnsupportedMediaType(BadInput):
    http_status, title = 415, "Unsupported media type"


class SyntaxNotSupported(BadInput):
    dimse_status, http_status, title = 0xC122, 409, "Transfer syntax not supported"


class UnknownDestination(BadInput):
    dimse_status, title = 0xA801, "Unknown move destination"


class BadQuery(BadInput):
    dimse_status, title = 0xA900, "Bad query"


class NotFound(ArgensError):
    dimse_status, http_status, title = 0x0112, 404, "Not found"


class NotAcceptable(ArgensError):
    dimse_status, http_status, title = 0x0122, 406, "Not acceptable"


class Refused(ArgensError):
    dimse_status, http_status, title = 0x0124, 403, "Refused"


class NotAuthenticated(Refused):
    http_status, title = 401, "Not authenticated"


class Conflict(ArgensError):
    dimse_status, http_status, title = 0x0111, 409, "Conflict"


class DigestMismatch(Conflict):
    title = "Digest mismatch"


class NotOnline(ArgensError):
    dimse_status, http_status, title, retriable = 0xA702, 503, "Not online", True


class CannotRender(ArgensError):
    dimse_status, http_status, title = 0x0110, 406, "Cannot render"


class PeerFailed(ArgensError):
    http_status, title = 502, "Peer answered a failure"


class Unavailable(ArgensError):
    dimse_status, http_status, title, retriable = 0xA700, 503, "Unavailable", True


class DiskFull(Unavailable):
    http_status, title = 507, "Disk full"


class IndexUnavailable(Unavailable):
    title = "Index unavailable"


class PeerUnreachable(Unavailable):
    http_status, title = 502, "Peer did not answer"


def explained() -> Iterator[type[ArgensError]]:
    """Yield every class of this tree below its root, parents first."""
    waiting = ArgensError.__subclasses__()
    while waiting:
        kind = waiting.pop(0)
        if kind.__module__ == __name__:
            yield kind
            waiting.extend(kind.__subclasses__())


def problem(error: ArgensError) -> dict[str, object]:
    """Return the RFC 9457 problem document (without `instance`) of an error."""
    return {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "detail": str(error),
    }
