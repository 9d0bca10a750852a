"""Put a study back on its node, from proven copies, in the order of the tape."""

from __future__ import annotations

from archive_node.steps.patience import patient
from archive_node.steps.rounds import Fellows, bring
from archive_node.steps.suspicion import suspect
from archive_node.steps.wanted import Repair, Wanted
from archive_node.steps.whereabouts import Place, Whereabouts
from archive_node.steps.work import Work
from archive_node.vault.base import MediumFailed, NeedsOperator, Thawing, VaultUnavailable
from pacs_common import errors


def recall(work: Work, fellows: Fellows, repair: Repair) -> None:
    """Send back every instance that the node lacks and a verified copy holds.

    Volume after volume, the readiest first; others who wait for the same volume come along. Each
    instance is read whole and compared with its digest before a byte of it is sent, and every
    good copy is tried before the job fails. Raises StepAside while the node or a vault is away,
    DiskFull where the node has no room; NeedsOperator or Thawing where the rest cannot be read
    yet; NotFound or Damaged where some cannot be brought, naming the first.
    """
    try:
        _recall(work, fellows, repair)
    except errors.ArgensError as error:
        raise patient(error, work.node) from error


def _recall(work: Work, fellows: Fellows, repair: Repair) -> None:
    wanted = Wanted(work, repair)
    wanted.reserve()
    while wanted.copies:
        place = wanted.next_place(Whereabouts())
        if place is None:
            break
        _visit(place, wanted, fellows, repair)
    wanted.conclude()


def _visit(place: Place, wanted: Wanted, fellows: Fellows, repair: Repair) -> None:
    try:
        bring(place, wanted, fellows, repair)
    except NeedsOperator:
        wanted.shelve(place)
    except Thawing as error:
        for row in wanted.on(place):
            wanted.thaw(row, error.until)
        wanted.leave(place)
    except MediumFailed as error:
        suspect(error)
        wanted.pass_over(place, error)
    except (VaultUnavailable, errors.NotFound) as error:  # gone since we looked
        wanted.pass_over(place, error)
    else:
        wanted.leave(place)
