"""What a node that lost its disk had, as the catalogue knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max, Sum

from archive_node.catalogue import Key
from archive_node.models import CopiedInstance, Copy, Plan, Proof, StudyFacts
from archive_node.steps.whereabouts import proven_copies
from pacs_common import errors
from pacs_common.node_client import NodeClient

PAGE = 500


Age = tuple[int, int]
NOTHING: Age = (-1, 0)


@dataclass(frozen=True)
class Present:
    """What a node has of a study now."""

    instances: int = 0
    online: int = 0
    online_bytes: int = 0


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
    """A study that is not whole on its node: where each of its instances may be read.

    `records` are its members, that of the newest revision first: each tells the node's records up
    to then. `online` instances are given back as files, the others as what an eviction leaves.
    """

    study_uid: str
    online: bool
    revision: int
    records: list[Copy]
    copies: dict[Key, list[CopiedInstance]]
    brought: list[list[CopiedInstance]] = field(default_factory=list)

    @property
    def newest_records(self) -> Age:
        """Return how new the newest records are that a member of it holds."""
        return age_of(self.records[0]) if self.records else NOTHING


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
            counts = (facts["instances"], facts["online"], facts["online_bytes"])
            found[facts["study_uid"]] = Present(*map(int, counts))
        after = page["next"]
    return found


def lost(
    client: NodeClient, known: Known, *, online: bool, there: There, told: bool
) -> Lost | None:
    """Return what the node lacks of a study; None where it is whole, and its records were told."""
    uid = known.study_uid
    copies = newest_digests(proven_copies(client.name, uid))
    present = there.get(uid, Present())
    if len(copies) <= (present.online if online else present.instances):
        copies = {}
        if told:
            return None
    has = _present(client, uid, online) if copies and present.instances else set()
    return Lost(
        uid,
        online,
        Proof.objects.filter(node=client.name, study_uid=uid).aggregate(at=Max("revision"))["at"]
        or 0,
        _records(client, uid),
        {key: rows for key, rows in copies.items() if key[0] not in has},
    )


def newest_digests(copies: dict[Key, list[CopiedInstance]]) -> dict[Key, list[CopiedInstance]]:
    """Return the same with one digest for each UID: the one that was archived last."""
    latest: dict[str, Key] = {}
    for key, rows in copies.items():
        before = latest.get(key[0])
        if before is None or _age(copies[before]) < _age(rows):
            latest[key[0]] = key
    return {key: copies[key] for key in latest.values()}


def _age(rows: list[CopiedInstance]) -> tuple[int, int]:
    return max((row.copy.revision, row.copy_id) for row in rows)


def _present(client: NodeClient, study_uid: str, must_be_online: bool) -> set[str]:
    try:
        entries = client.manifest(study_uid)["instances"]
    except errors.NotFound:
        return set()
    return {
        entry["sop_instance_uid"]
        for entry in entries
        if entry["availability"] == "ONLINE" or not must_be_online
    }


def _records(client: NodeClient, study_uid: str) -> list[Copy]:
    good = Copy.objects.filter(
        node=client.name, study_uid=study_uid, bad_since=None, verified_at__isnull=False
    )
    return sorted(good.order_by("-id"), key=age_of, reverse=True)
