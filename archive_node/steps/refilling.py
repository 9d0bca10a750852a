"""What a node that lost its disk had, as the catalogue knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Max, Sum

from archive_node.catalogue import Key
from archive_node.models import CopiedInstance, Copy, Plan, Proof, StudyFacts
from archive_node.steps.whereabouts import proven_copies
from pacs_common import errors
from pacs_common.node_client import NodeClient

PAGE = 500


Age = tuple[int, int]
Copies = dict[Key, list[CopiedInstance]]
NOTHING: Age = (-1, 0)


@dataclass(frozen=True)
class Present:
    """What a node has of a study now."""

    instances: int = 0
    online: int = 0
    online_bytes: int = 0
    quarantine_files: int = 0


There = dict[str, Present]


@dataclass(frozen=True)
class Known:
    """One study of the node that the vaults hold; sizes are those of its members."""

    study_uid: str
    at: datetime
    size_bytes: int
    evicted: bool


@dataclass
class Lost:
    """A study that is not whole on its node: where each of its files may be read.

    `records` are its members, that of the newest revision first: each tells the node's records up
    to then. `online` instances are given back as files, the others as what an eviction leaves;
    what lay in quarantine goes there again, whole. Which is which, the newest manifest says.
    """

    study_uid: str
    online: bool
    revision: int
    records: list[Copy]
    everything: Copies  # that is proven, of former times too
    copies: Copies  # of what is to be brought
    here: Collection[str] = ()  # instances that the node has
    brought: list[list[CopiedInstance]] = field(default_factory=list)
    quarantine: dict[Key, Quarantined] = field(default_factory=dict)

    @property
    def newest_records(self) -> Age:
        """Return how new the newest records are that a member of it holds."""
        return age_of(self.records[0]) if self.records else NOTHING

    def settle(self, manifest: Mapping[str, Any], revision: int) -> None:
        """Decide by a manifest which files lay in quarantine, and which is each UID's instance.

        What was quarantined after it was written is known by where it lies.
        """
        told = (manifest.get("study") or {}).get("quarantine") or []
        self.quarantine = {
            (one["uid"], one["stored_sha256"]): Quarantined.told(one) for one in told
        }
        for key, rows in self.everything.items():
            if all(row.quarantined and row.copy.revision > revision for row in rows):
                self.quarantine.setdefault(key, Quarantined())
        stored = newest_digests(
            {key: rows for key, rows in self.everything.items() if key not in self.quarantine}
        )
        wanted = {key for key in stored if key[0] not in self.here} | set(self.quarantine)
        self.copies = {key: rows for key, rows in self.copies.items() if key in wanted}


@dataclass(frozen=True)
class Quarantined:
    """Why a file lay in quarantine."""

    reason: str = "same-uid"
    detail: str = ""

    @classmethod
    def told(cls, entry: Mapping[str, Any]) -> Quarantined:
        """Return it as a manifest tells it."""
        return cls(str(entry["reason"]), str(entry.get("detail", "")))


def age_of(copy: Copy) -> Age:
    """Return how new the records of a member are: its revision, then how many it tells of."""
    return (copy.revision, getattr(copy, "records", 0))


def known_studies(node: str, *, study_uid: str = "", since: datetime | None = None) -> list[Known]:
    """Return the studies of a node of which verified copies are held, the newest first.

    `since` leaves those of which something arrived, or was copied, from then on.
    """
    good = Copy.objects.filter(node=node, bad_since=None, verified_at__isnull=False)
    if study_uid:
        good = good.filter(study_uid=study_uid)
    rows = good.values("study_uid", "vault").annotate(at=Max("written_at"), size=Sum("size_bytes"))
    facts = StudyFacts.objects.filter(node=node)
    arrived = dict(facts.values_list("study_uid", "last_arrival_at"))
    evicted = _evicted(node)
    found: dict[str, Known] = {}
    for row in rows:
        uid, at = row["study_uid"], arrived.get(row["study_uid"]) or row["at"]
        before = found.get(uid)
        size_bytes = max(row["size"], before.size_bytes if before else 0)
        found[uid] = Known(uid, at, size_bytes, uid in evicted)
    chosen = (one for one in found.values() if since is None or one.at >= since)
    return sorted(chosen, key=lambda one: (one.at, one.study_uid), reverse=True)


def _evicted(node: str) -> set[str]:
    """Return the studies that were evicted and not recalled since.

    What the node now says of itself counts for nothing: an empty one has nothing online.
    """
    recalled = dict(
        StudyFacts.objects.filter(node=node, recalled_at__isnull=False).values_list(
            "study_uid", "recalled_at"
        )
    )
    plans = Plan.objects.filter(node=node, answer__isnull=False, answered_at__isnull=False)
    latest = plans.values_list("study_uid").annotate(at=Max("answered_at"))
    return {uid for uid, at in latest if uid not in recalled or recalled[uid] < at}


def present_at(client: NodeClient) -> There:
    """Return what the node has of each study."""
    found: There = {}
    after: str | None = ""
    while after is not None:
        page = client.custody_studies(after=after, limit=PAGE)
        for facts in page["studies"]:
            counts = [facts[name] for name in ("instances", "online", "online_bytes")]
            counts.append(facts.get("quarantine_files", 0))
            found[facts["study_uid"]] = Present(*map(int, counts))
        after = page["next"]
    return found


def lost(
    client: NodeClient, known: Known, *, online: bool, there: There, told: bool
) -> Lost | None:
    """Return what the node lacks of a study; None where it is whole, and its records were told."""
    uid = known.study_uid
    everything = proven_copies(client.name, uid)
    present = there.get(uid, Present())
    least = present.online if online else present.instances
    is_plain = _is_plain(everything)
    copies = {} if is_plain and len(everything) <= least else everything
    here = _Here(set(), set())
    if copies and (present.instances or present.quarantine_files):
        here = _present(client, uid, online)
    if is_plain:
        copies = {key: rows for key, rows in copies.items() if key[0] not in here.uids}
    else:  # which of a UID's files is its instance is not known yet
        copies = {key: rows for key, rows in copies.items() if key not in here.keys}
    if not copies and told:
        return None
    return Lost(
        uid,
        online,
        Proof.objects.filter(node=client.name, study_uid=uid).aggregate(at=Max("revision"))["at"]
        or 0,
        _records(client, uid),
        everything,
        copies,
        here.uids,
    )


class _Here(NamedTuple):
    """The files that a node has where they belong; a restore leaves those alone."""

    stored: set[Key]
    quarantined: set[Key]

    @property
    def keys(self) -> set[Key]:
        return self.stored | self.quarantined

    @property
    def uids(self) -> set[str]:
        return {uid for uid, _ in self.stored}


def _is_plain(copies: Copies) -> bool:
    """Whether nothing of it ever lay in quarantine, and each UID has one digest: it is counted."""
    uids = {uid for uid, _ in copies}
    return len(uids) == len(copies) and not any(
        row.quarantined for rows in copies.values() for row in rows
    )


def newest_digests(copies: Copies) -> Copies:
    """Return the same with one digest for each UID: the one that was archived last."""
    latest: dict[str, Key] = {}
    for key, rows in copies.items():
        before = latest.get(key[0])
        if before is None or _age(copies[before]) < _age(rows):
            latest[key[0]] = key
    return {key: copies[key] for key in latest.values()}


def _age(rows: list[CopiedInstance]) -> tuple[int, int]:
    return max((row.copy.revision, row.copy_id) for row in rows)


def _present(client: NodeClient, study_uid: str, must_be_online: bool) -> _Here:
    try:
        told = client.manifest(study_uid)
    except errors.NotFound:
        return _Here(set(), set())
    return _Here(
        stored={
            (entry["sop_instance_uid"], entry["stored_sha256"])
            for entry in told["instances"]
            if entry["availability"] == "ONLINE" or not must_be_online
        },
        quarantined={(one["uid"], one["stored_sha256"]) for one in told.get("quarantine") or []},
    )


def _records(client: NodeClient, study_uid: str) -> list[Copy]:
    good = Copy.objects.filter(
        node=client.name, study_uid=study_uid, bad_since=None, verified_at__isnull=False
    )
    return sorted(good.order_by("-id"), key=age_of, reverse=True)
