"""Whether a stored file still is what arrived, so that nothing wrong is made of it and kept."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import NamedTuple

from dicom_node.store import part10, verified
from dicom_node.store.verified import Identity
from pacs_common.errors import ArgensError, NotDicom

LOG = logging.getLogger(__name__)
_MOST_REMEMBERED = 65536


class _Verdict(NamedTuple):
    """What the data set of a file was hashed to, and when; "" where it cannot be read."""

    identity: Identity
    at: float
    sha256: str


_VERDICTS: dict[Path, _Verdict] = {}
_LOCK = threading.Lock()


def require_intact(path: Path, received_sha256: str, marked: str | None = None) -> None:
    """Raise ArgensError where the data set of a stored file is not the one that arrived.

    A damaged lossless frame would decode silently to wrong pixels. `marked` is what the chores
    noted when they verified the file: one that has not changed since is not hashed again; any
    other is, once in each process. Raises FileNotFoundError where there is none.
    """
    identity, now = Identity.of(path.stat()), time.time()
    known = _VERDICTS.get(path)
    if known is None or known.identity != identity or not verified.is_fresh(known.at, now):
        known = _verdict(path, identity, now, received_sha256, marked)
        with _LOCK:
            if len(_VERDICTS) >= _MOST_REMEMBERED:
                _VERDICTS.clear()
            _VERDICTS[path] = known
    if known.sha256 != received_sha256:
        LOG.critical("damaged object", extra={"file": path.name})
        raise ArgensError("the stored file is damaged: it is not what arrived")


def _verdict(
    path: Path, identity: Identity, now: float, received_sha256: str, marked: str | None
) -> _Verdict:
    at = verified.believed_at(marked, identity, now)
    if at is not None:
        return _Verdict(identity, at, received_sha256)
    try:
        return _Verdict(identity, now, part10.data_set_sha256(path))
    except (NotDicom, ValueError, EOFError):
        return _Verdict(identity, now, "")
