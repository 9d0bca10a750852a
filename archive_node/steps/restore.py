"""Fill an empty node from the vaults, tape by tape: its files, its records, its holds."""

from __future__ import annotations

from django.conf import settings

from archive_node.steps.account import Account, Progress
from archive_node.steps.awaited import Awaited, Waits
from archive_node.steps.finished import Finished
from archive_node.steps.refill import Refill
from archive_node.steps.refilling import Known, Lost, Present, There, lost, present_at
from pacs_common.node_client import NodeClient

AT_ONCE = 2000  # studies between which the order of the tape holds


def budget_bytes(client: NodeClient) -> int:
    """Return what a node may take until its disk stands at the low watermark."""
    disk = client.status()["disk"]
    usable = int(disk["total_bytes"]) - int(disk["reserve_bytes"])
    free = int(disk["free_bytes"]) - int(disk["reserve_bytes"])
    return int(settings.ARCHIVE.low_watermark * usable) - (usable - free)


def chosen_online(
    studies: list[Known], there: There, most_bytes: int, *, everything: bool
) -> set[str]:
    """Return which studies come back as files, the newest first while there is space.

    What had been evicted stays so, unless `everything` is wanted. What the node has already takes
    no space any more.
    """
    chosen = set()
    for known in studies:
        if known.evicted and not everything:
            continue
        present = there.get(known.study_uid, Present())
        most_bytes -= max(0, known.size_bytes - present.online_bytes)
        if most_bytes < 0:
            break
        chosen.add(known.study_uid)
    return chosen


def restore(
    client: NodeClient,
    studies: list[Known],
    there: There,
    online: set[str],
    progress: Progress,
    waits: Waits | None = None,
) -> Account:
    """Bring studies back to their node: first what is to be `online`, then the others.

    Those are kept as after an eviction. A study that is whole there is passed over, so that a run
    that was killed goes on. What lies on the shelf, or is thawing, is left until all else is
    brought; then `waits` waits for it, or without one it is a problem as any other. Raises
    PeerUnreachable where the node is away, and DiskFull where it cannot even keep what an eviction
    leaves: nothing else ends it.
    """
    bringing = _Bringing(client, online, progress, waits)
    while (awaited := bringing.bring(studies, there)).studies:
        if waits is None:
            bringing.account.problems |= awaited.studies
            break
        waits.wait(awaited)
        studies = [known for known in studies if known.study_uid in awaited.studies]
        there = present_at(client)
    return bringing.account


class _Bringing:
    """One restore, over and over, until nothing of it waits."""

    def __init__(
        self, client: NodeClient, online: set[str], progress: Progress, waits: Waits | None
    ) -> None:
        self._client, self._online = client, online
        self._progress, self._waits = progress, waits
        self._finished = Finished(client.name)
        self.account = Account()

    def bring(self, studies: list[Known], there: There) -> Awaited:
        """Bring what can be brought now; return what the rest waits for."""
        awaited = Awaited()
        for online in (True, False):
            wanted = [known for known in studies if (known.study_uid in self._online) is online]
            for start in range(0, len(wanted), AT_ONCE):
                batch = self._lost(wanted[start : start + AT_ONCE], there, online)
                refill = Refill(
                    self._client, batch, self.account, self._progress, self._finished, self._waits
                )
                awaited.join(refill.run())
        return awaited

    def _lost(self, wanted: list[Known], there: There, online: bool) -> list[Lost]:
        found = []
        for known in wanted:
            told = known.study_uid in self._finished
            study = lost(self._client, known, online=online, there=there, told=told)
            if study is None:
                self.account.whole_before += 1
                self._progress(known.size_bytes)
            else:
                found.append(study)
        return found
