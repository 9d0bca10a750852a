"""The node as SCU: C-ECHO, C-STORE, and the sub-operations of C-GET and C-MOVE."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

from dicom_node.models import Instance
from dicom_node.render.transcode import to_uncompressed
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, PeerUnreachable

LOG = logging.getLogger(__name__)
UNCOMPRESSED = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
_config.STORE_SEND_CHUNKED_DATASET = True  # files leave as they are, never parsed
MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd context ids from 1 to 255


@dataclass
class Outgoing:
    """The association that C-MOVE opens to its destination, once it is accepted."""

    association: Association | None = None

    def accepted(self, event: evt.Event) -> None:
        """Remember the association: what it accepted decides how each instance is sent."""
        self.association = event.assoc


@dataclass
class SubOperations:
    """Turns stored instances into data sets that an association's peer takes."""

    layout: Layout
    association: Callable[[], Association | None]

    def data_set(self, instance: Instance) -> Dataset:
        """Return the instance in its stored syntax, or decompressed where the peer needs that.

        What cannot be sent comes back with its UID alone: that sub-operation fails and is listed.
        """
        try:
            stored = part10.read_object(self.layout.object(instance.hour, instance.uid))
            return _in_syntax(stored, self._syntax(instance))
        except (ArgensError, OSError) as error:
            LOG.warning("not sent: %s", error, extra={"sop_instance_uid": instance.uid})
            failed = Dataset()
            failed.SOPInstanceUID = instance.uid
            return failed

    def _syntax(self, instance: Instance) -> str:
        association = self.association()
        contexts = association.accepted_contexts if association else []
        taken = [
            str(context.transfer_syntax[0])
            for context in contexts
            if context.abstract_syntax == instance.sop_class and context.as_scu
        ]
        if instance.transfer_syntax in taken:
            return instance.transfer_syntax
        for syntax in UNCOMPRESSED:
            if syntax in taken:
                return syntax
        raise PeerUnreachable(f"the peer takes none of our syntaxes for {instance.sop_class}")


def proposal(found: Iterable[Instance]) -> list[PresentationContext]:
    """Return the contexts for sending instances: stored syntax first, then uncompressed."""
    pairs = {(i.sop_class, i.transfer_syntax) for i in found}
    contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in sorted(pairs)]
    classes = sorted({sop_class for sop_class, _ in pairs})
    contexts += [build_context(sop_class, UNCOMPRESSED) for sop_class in classes]
    return contexts[:MAX_CONTEXTS]


@dataclass
class Sent:
    """The result for one file: its DIMSE status, or None with the reason it was not sent."""

    path: Path
    status: int | None
    reason: str = ""


@dataclass
class Batch:
    """Files with the (class, syntax) pairs that one association can carry."""

    pairs: set[tuple[str, str]] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)


def echo(host: str, port: int, *, called_ae: str, calling_ae: str) -> None:
    """C-ECHO a peer; raises PeerUnreachable with the full reason."""
    ae = _requestor(calling_ae)
    association = ae.associate(host, port, [build_context(Verification)], ae_title=called_ae)
    try:
        _require_established(association, f"{called_ae} at {host}:{port}")
        answer = association.send_c_echo()
        if "Status" not in answer or answer.Status != 0x0000:
            raise PeerUnreachable(f"{called_ae} did not answer the C-ECHO with success")
    finally:
        if association.is_established:
            association.release()


def store(
    files: Iterable[Path], host: str, port: int, *, called_ae: str, calling_ae: str
) -> Iterator[Sent]:
    """C-STORE files as they are and yield each one's result; raises PeerUnreachable."""
    batches, unreadable = _batches(files)
    yield from unreadable
    for batch in batches:
        contexts = [build_context(sop_class, [ts]) for sop_class, ts in sorted(batch.pairs)]
        ae = _requestor(calling_ae)
        association = ae.associate(host, port, contexts, ae_title=called_ae)
        _require_established(association, f"{called_ae} at {host}:{port}")
        try:
            for path in batch.files:
                yield _store_one(association, path)
        finally:
            association.release()


def _store_one(association: Association, path: Path) -> Sent:
    try:
        answer = association.send_c_store(path)
    except (ValueError, AttributeError, InvalidDicomError) as error:
        return Sent(path, None, str(error))
    except RuntimeError as error:
        raise PeerUnreachable(f"the association ended: {error}") from None
    if "Status" not in answer:
        raise PeerUnreachable(f"the peer did not answer for {path.name}")
    return Sent(path, answer.Status, str(answer.get("ErrorComment", "")))


def _batches(files: Iterable[Path]) -> tuple[list[Batch], list[Sent]]:
    batches, unreadable = [Batch()], []
    for path in files:
        try:
            meta = dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta
            pair = (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
        except (InvalidDicomError, AttributeError, OSError):
            unreadable.append(Sent(path, None, "not a DICOM file"))
            continue
        batch = batches[-1]
        if pair not in batch.pairs and len(batch.pairs) == MAX_CONTEXTS:
            batches.append(batch := Batch())
        batch.pairs.add(pair)
        batch.files.append(path)
    return [batch for batch in batches if batch.files], unreadable


def _in_syntax(stored: Dataset, syntax: str) -> Dataset:
    if stored.file_meta.TransferSyntaxUID == syntax:
        return stored
    encoded = to_uncompressed(stored, syntax)
    parsed = part10.parse_data_set(encoded, syntax)
    parsed.file_meta = FileMetaDataset()
    parsed.file_meta.TransferSyntaxUID = UID(syntax)
    return parsed


def _requestor(calling_ae: str) -> AE:
    ae = AE(ae_title=calling_ae)
    ae.acse_timeout = ae.dimse_timeout = 30
    ae.connection_timeout = 5
    return ae


def _require_established(association: Association, peer: str) -> None:
    if association.is_established:
        return
    if association.is_rejected:
        raise PeerUnreachable(f"{peer} rejected the association: {_why(association)}")
    raise PeerUnreachable(f"{peer} does not answer")


def _why(association: Association) -> str:
    primitive = association.acceptor.primitive
    return f"{primitive.result_str}, {primitive.reason_str}" if primitive else "no reason given"
