"""Where things lie on the node's disk: every path of the node is made here (custody rule 11).

<data>/objects/YYYY/MM/DD/HH/<SOP Instance UID>.dcm      the bytes as they arrived
                             <SOP Instance UID>.stub     after eviction: without bulk data
                             <SOP Instance UID>.jpg      after eviction: its thumbnail
<data>/quarantine/YYYY/MM/DD/HH/<UID>.<digest>.dcm       kept, waiting for a decision
<data>/journal/YYYY-MM.jsonl                             what happened to objects later
<data>/journal/0-restored.jsonl                          the same, of a node that this one replaces
<data>/audit/YYYY-MM-DD.jsonl                            who did what, for PACS_AUDIT_DAYS
<data>/peers.json                                        who may associate, and do what
<data>/renditions/                                       pictures that can be made again
<data>/renditions/metadata/                              series' metadata, likewise
<data>/checkpoint                                        the hour up to which the index is whole
<data>/index.lock                                        whose turn it is to write to SQLite
<data>/forwarding.json                                   the forwarding rules
<data>/routed-until                                      arrivals before it have met the rules
<data>/chores.lock                                       held by the one process that does chores
<data>/measures/                                         what its processes count, for /metrics
<data>/take-over.json                                    it replaces a lost node, unfilled yet
<data>/rescue/                                           the sealed emergency account, its sessions
<data>/cache/                                            what the portal said of tokens, a minute
<data>/log/                                              the last lines of the log, for IT
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pacs_common.uids import Uid

OBJECT, STUB, THUMBNAIL = ".dcm", ".stub", ".jpg"
PARTIAL = ".part"
DIGEST_CHARS = 16
_HOUR = re.compile(r"\d{4}/\d{2}/\d{2}/\d{2}\Z")


def hour_of(moment: datetime) -> str:
    """Return the folder of an arrival, in UTC: "2026/11/21/09"."""
    return moment.astimezone(UTC).strftime("%Y/%m/%d/%H")


class Layout:
    """The paths below one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.objects = data_dir / "objects"
        self.quarantine = data_dir / "quarantine"
        self.journal = data_dir / "journal"
        self.renditions = data_dir / "renditions"
        self.metadata = self.renditions / "metadata"
        self.audit = data_dir / "audit"
        self.peers = data_dir / "peers.json"
        self.checkpoint = data_dir / "checkpoint"
        self.index_lock = data_dir / "index.lock"
        self.forwarding_rules = data_dir / "forwarding.json"
        self.routed_until = data_dir / "routed-until"
        self.chores_lock = data_dir / "chores.lock"
        self.measures = data_dir / "measures"
        self.take_over = data_dir / "take-over.json"
        self.rescue = data_dir / "rescue"
        self.rescue_account = self.rescue / "account.json"
        self.rescue_failures = self.rescue / "failures.json"
        self.rescue_sessions = self.rescue / "sessions"
        self.cache = data_dir / "cache"
        self.log = data_dir / "log"

    def folder(self, hour: str) -> Path:
        """Return the folder of an hour's arrivals."""
        return self.objects / _hour(hour)

    def object(self, hour: str, uid: str, suffix: str = OBJECT) -> Path:
        """Return the path of an object, its stub or its thumbnail."""
        return self.objects / f"{_hour(hour)}/{Uid.parse(uid)}{suffix}"

    def quarantined(self, hour: str, uid: str, received_sha256: str) -> Path:
        """Return the path of a quarantined object: one for each UID and digest."""
        name = f"{Uid.parse(uid)}.{received_sha256[:DIGEST_CHARS]}{OBJECT}"
        return self.quarantine / _hour(hour) / name

    def hours(self, root: Path, since: str = "") -> Iterator[str]:
        """Yield the hours that have a folder below `root`, oldest first, from `since` on."""
        for folder in sorted(root.glob("[0-9]*/[0-9]*/[0-9]*/[0-9]*")):
            hour = folder.relative_to(root).as_posix()
            if is_hour(hour) and hour >= since and folder.is_dir():
                yield hour


def is_hour(text: str) -> bool:
    """True for the name of a folder of arrival: "2026/11/21/09"."""
    return _HOUR.match(text) is not None


def is_partial(path: Path) -> bool:
    """True for a file that was being written and has no final name yet."""
    return path.name.startswith(".") and path.name.endswith(PARTIAL)


def _hour(hour: str) -> str:
    if not is_hour(hour):
        raise ValueError(f"{hour!r} is not an hour of arrival")
    return hour
