"""Fill an empty node from the vaults, tape by tape: its files, its records, its holds."""

from __future__ import annotations

from django.conf import settings

from archive_node.steps.finished import Finished
from archive_node.steps.refill import Account, Progress, Refill
from archive_node.steps.refilling import Known, Present, There, lost
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
    client: NodeClient, studies: list[Known], there: There, online: set[str], progress: Progress
) -> Account:
    """Bring studies back to their node: first what is to be `online`, then the others.

    Those are kept as after an eviction. A study that is whole there is passed over, so that a run
    that was killed goes on. Raises PeerUnreachable where the node is away, and DiskFull where it
    cannot even keep what an eviction leaves: nothing else ends it.
    """
    account, finished = Account(), Finished(client.name)
    for some in (True, False):
        wanted = [known for known in studies if (known.study_uid in online) is some]
        for start in range(0, len(wanted), AT_ONCE):
            batch = []
            for known in wanted[start : start + AT_ONCE]:
                told = known.study_uid in finished
                study = lost(client, known, online=some, there=there, told=told)
                if study is None:
                    account.whole_before += 1
                    progress(known.size_bytes)
                else:
                    batch.append(study)
            Refill(client, batch, account, progress, finished).run()
    return account
