"""The node as SCU of C-ECHO and C-STORE: files, or stored instances, to a peer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.db.models import QuerySet
from pydicom.filereader import read_file_meta_info
from pynetdicom.sop_class import Verification

from dicom_node import audit
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.offers import QUERY_SYNTAXES
from dicom_node.dimse.association.status import SUCCESS, code_of
from dicom_node.dimse.association.wire import AssociationEnded
from dicom_node.dimse.scu import plan
from dicom_node.dimse.scu.delivery import CalledLine, Delivered, Delivery, awaited
from dicom_node.dimse.scu.outgoing import Item
from dicom_node.dimse.scu.plan import Plan
from dicom_node.dimse.scu.remote import Remote
from dicom_node.models import Instance
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, NotDicom, PeerFailed, PeerUnreachable


def echo(remote: Remote) -> None:
    """C-ECHO a peer; raises PeerUnreachable or PeerFailed with the full reason."""
    conversation = remote.associate([Proposal(str(Verification), QUERY_SYNTAXES)])
    try:
        if not conversation.contexts:
            raise PeerFailed(f"{remote} accepts associations, but does not take a C-ECHO")
        number = conversation.next_message_id()
        request = {
            "CommandField": commands.C_ECHO,
            "MessageID": number,
            "AffectedSOPClassUID": str(Verification),
        }
        conversation.send(next(iter(conversation.contexts)), request)
        status = awaited(conversation, number).get("Status")
        if status != SUCCESS:
            raise PeerFailed(f"{remote} answered the C-ECHO with {code_of(status)}")
        conversation.release()
    except AssociationEnded as error:
        raise PeerUnreachable(f"{remote}: {error}") from None
    finally:
        conversation.abort()  # where it was released, there is nothing left to break off


def files(paths: Iterable[Path], remote: Remote) -> Iterator[Delivered]:
    """C-STORE files, each in its own syntax where the peer takes it; yield what became of each.

    Raises PeerUnreachable where the peer cannot be reached at all, before the first result.
    """
    items: list[Item] = []
    for path in paths:
        try:
            items.append(item_of(path))
        except ArgensError as error:
            yield Delivered(Item("", path.name, "", path), None, str(error))
    groups = plan.groups({item.pair for item in items})
    yield from _delivered(CalledLine(remote), groups, lambda: iter(items))


def instances(found: QuerySet[Instance], layout: Layout, remote: Remote) -> Iterator[Delivered]:
    """C-STORE stored instances, as `files` does; what is not online comes back unsent.

    Whoever stops reading ends it after the instance that was under way.
    """
    planned = Plan.of(found, layout)
    sent, failed = Counter[str](), 0
    try:
        for done in _delivered(CalledLine(remote), plan.groups(planned.pairs), planned.items):
            sent[done.item.study_uid] += done.is_taken
            failed += not done.is_taken
            yield done
    finally:
        counts = {"completed": sent.total(), "failed": failed}
        audit.note("sent", operation="C-STORE", destination=str(remote), studies=sent, **counts)


def item_of(path: Path) -> Item:
    """Return a DICOM file as something to send; raises NotDicom."""
    try:
        meta = read_file_meta_info(path)
    except part10.UNREADABLE as error:
        raise NotDicom(f"not a DICOM file: {error}") from None
    sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
    uid, syntax = meta.get("MediaStorageSOPInstanceUID"), meta.get("TransferSyntaxUID")
    if not (sop_class and uid and syntax):
        raise NotDicom("its file meta group does not say what it is")
    return Item(sop_class, str(uid), str(syntax), path)


def _delivered(
    line: CalledLine,
    groups: Iterable[list[Proposal]],
    items: Callable[[], Iterable[Item]],
) -> Iterator[Delivered]:
    try:
        for proposals in groups:
            line.start(proposals)
            yield from Delivery(line).run(plan.fitting(items(), proposals))
    finally:
        line.release()
