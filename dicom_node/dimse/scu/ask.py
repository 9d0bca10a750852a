"""The node as SCU of C-FIND, C-MOVE and C-GET: asking another PACS, one streamed answer a time."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from dicom_node.config import CONFIG
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association import identifiers
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.conversation import Conversation, NothingCame, Released
from dicom_node.dimse.association.messages import Context, Message
from dicom_node.dimse.association.offers import FIND, MOVE, QUERY_SYNTAXES
from dicom_node.dimse.association.status import (
    CANCELLED,
    PENDING,
    PENDING_KEYS_IGNORED,
    PROCESSING_FAILURE,
    SOME_FAILED,
    SUCCESS,
    code_of,
    meaning_of,
)
from dicom_node.dimse.association.wire import AssociationEnded, PeerSilent
from dicom_node.dimse.scu.delivery import MEDIUM
from dicom_node.dimse.scu.remote import Remote
from dicom_node.index.attributes import UNIQUE_KEY, Level
from dicom_node.store import part10
from pacs_common.errors import BadQuery, PeerFailed, PeerUnreachable

ANSWERED = {  # asked for at each level where the caller names nothing
    Level.PATIENT: "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex",
    Level.STUDY: "PatientName PatientID PatientBirthDate StudyDate StudyTime AccessionNumber "
    "ModalitiesInStudy StudyDescription NumberOfStudyRelatedInstances StudyInstanceUID",
    Level.SERIES: "Modality SeriesNumber SeriesDescription NumberOfSeriesRelatedInstances "
    "StudyInstanceUID SeriesInstanceUID",
    Level.IMAGE: "SOPClassUID InstanceNumber StudyInstanceUID SeriesInstanceUID SOPInstanceUID",
}
_NUMBERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), int),
    **dict.fromkeys(("FL", "FD"), float),
}
_NOT_MATCHED = {"SQ", "AT", "UN", "OB", "OW", "OB or OW", "OD", "OF", "OL", "OV"}
_COUNTS = {
    "remaining": "NumberOfRemainingSuboperations",
    "completed": "NumberOfCompletedSuboperations",
    "failed": "NumberOfFailedSuboperations",
    "warnings": "NumberOfWarningSuboperations",
}


@dataclass(frozen=True)
class Progress:
    """One answer of a C-MOVE or C-GET: how many instances so far; None where it does not say."""

    status: int
    remaining: int | None
    completed: int | None
    failed: int | None
    warnings: int | None
    failed_uids: tuple[str, ...] = ()
    comment: str = ""

    @property
    def is_final(self) -> bool:
        """True for the last answer."""
        return self.status != PENDING


def identifier(level: Level, keys: Mapping[str, str]) -> Dataset:
    """Return a query's data set of keywords and values; raises BadQuery on what is no keyword."""
    ds = Dataset()
    ds.QueryRetrieveLevel = str(level)
    text = "".join(keys.values())
    if not text.isascii():
        fits = text.encode("latin-1", "replace").decode("latin-1") == text
        ds.SpecificCharacterSet = "ISO_IR 100" if fits else "ISO_IR 192"
    for keyword in (*keys, *(ANSWERED[level].split() if _names_nothing(keys) else ())):
        if (tag_for_keyword(keyword) or 0) >> 16 <= 0x0002 or keyword == "SpecificCharacterSet":
            raise BadQuery(f"{keyword[:64]!r} is not a DICOM keyword of a query")
        if keyword not in ds:
            _put(ds, keyword, keys.get(keyword, ""))
    return _encodable(ds)


def retrieve_identifier(level: Level, uids: Mapping[str, str | list[str]]) -> Dataset:
    """Return what a retrieve names; raises BadQuery where the level's unique key is missing."""
    keys = {k: "\\".join(v) if isinstance(v, list) else v for k, v in uids.items()}
    foreign = set(keys) - {*UNIQUE_KEY.values(), "IssuerOfPatientID"}
    if foreign:
        raise BadQuery(f"{min(foreign)!r:.64} is no unique key")
    if not keys.get(UNIQUE_KEY[level]):
        raise BadQuery(f"{UNIQUE_KEY[level]} is required at the {level} level")
    ds = Dataset()
    ds.QueryRetrieveLevel = str(level)
    for keyword, value in keys.items():
        _put(ds, keyword, value)
    return _encodable(ds)


def find(remote: Remote, query: Dataset, *, limit: int | None = None) -> Iterator[Dataset]:
    """Yield a peer's matches as they come; after `limit` of them the query is cancelled.

    Raises PeerUnreachable or PeerFailed with the full reason; whoever stops reading ends it.
    """
    with Asking(remote, FIND, query, commands.C_FIND) as asking:
        count = 0
        for message in asking.answers():
            status = message.command.get("Status")
            if status not in (PENDING, PENDING_KEYS_IGNORED):
                if status not in (SUCCESS, CANCELLED):
                    raise asking.failed(message)
                return
            content = asking.conversation.data(message)
            if count == limit:
                continue  # sent before the cancel was seen
            yield identifiers.answer(content, message.context.transfer_syntax)
            count += 1
            if count == limit:
                asking.cancel()


def move(remote: Remote, named: Dataset, destination: str) -> Iterator[Progress]:
    """Ask a peer to send instances to an AE title that it knows; yield its answers, the last too.

    Raises PeerUnreachable, or PeerFailed where the peer refuses the whole.
    """
    with Asking(remote, MOVE, named, commands.C_MOVE, MoveDestination=destination) as asking:
        for message in asking.answers():
            progress = asking.progress(message)
            yield progress
            if progress.is_final:
                return


class Asking:
    """One request on an association of its own; a context manager that ends it cleanly."""

    def __init__(
        self,
        remote: Remote,
        roots: Mapping[str, str],
        ds: Dataset,
        operation: int,
        more: list[Proposal] | None = None,
        **fields: Any,
    ) -> None:
        self.remote = remote
        self._operation = operation
        proposals = [Proposal(str(sop_class), QUERY_SYNTAXES) for sop_class in roots]
        self.conversation: Conversation = remote.associate([*proposals, *(more or [])])
        try:
            self._context = self._chosen(roots, ds)
            self._number = self.conversation.next_message_id()
            request = {
                "CommandField": operation,
                "MessageID": self._number,
                "AffectedSOPClassUID": self._context.abstract_syntax,
                "Priority": MEDIUM,
                **fields,
            }
            content = identifiers.encoded(ds, self._context.transfer_syntax)
            self.conversation.send(self._context.id, request, content)
        except AssociationEnded as error:
            raise self.gone(error) from None
        except PeerFailed:
            self.conversation.release()
            raise
        except BaseException:
            self.conversation.abort()
            raise

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Release after the last answer; in the middle of an operation, abort."""
        if error is None or isinstance(error, PeerFailed):
            self.conversation.release()
            return
        self.conversation.abort()
        if isinstance(error, AssociationEnded):
            raise self.gone(error) from None

    def answers(self) -> Iterator[Message]:
        """Yield messages of the peer until the reader has the last one; raises AssociationEnded."""
        while True:
            try:
                message = self.conversation.receive(wait_s=CONFIG.peer_response_s)
            except NothingCame:
                waited = f"{CONFIG.peer_response_s:g} s"
                raise PeerSilent(f"it did not answer within {waited}") from None
            if message is None:
                raise Released("it released the association before its last answer")
            yield message

    def cancel(self) -> None:
        """Send a C-CANCEL; the peer still answers for the whole."""
        request = {"CommandField": commands.C_CANCEL, "MessageIDBeingRespondedTo": self._number}
        self.conversation.send(self._context.id, request)

    def progress(self, message: Message) -> Progress:
        """Return an answer's numbers; raises PeerFailed where it refuses the whole."""
        command = message.command
        status = command.get("Status", PROCESSING_FAILURE)
        content = self.conversation.data(message)
        failed_uids: tuple[str, ...] = ()
        if content:
            ds = identifiers.answer(content, message.context.transfer_syntax)
            failed_uids = identifiers.texts(ds, "FailedSOPInstanceUIDList")
        if status not in (PENDING, SUCCESS, CANCELLED, SOME_FAILED):
            raise self.failed(message)
        numbers = {name: command.get(keyword) for name, keyword in _COUNTS.items()}
        comment = command.get("ErrorComment", "")
        return Progress(status, **numbers, failed_uids=failed_uids, comment=comment)

    def failed(self, message: Message) -> PeerFailed:
        """Return what the peer said, in one line."""
        status = message.command.get("Status")
        comment = message.command.get("ErrorComment", "")
        counted = message.command.get("NumberOfFailedSuboperations")
        told = [code_of(status), meaning_of(status), comment]
        told += [f"{counted} failed"] if counted else []
        return PeerFailed(f"{self.remote} answered {': '.join(filter(None, told))}")

    def gone(self, error: AssociationEnded) -> PeerUnreachable:
        """Return why the association ended, after breaking it off."""
        self.conversation.abort()
        return PeerUnreachable(f"{self.remote}: {error}")

    def _chosen(self, roots: Mapping[str, str], ds: Dataset) -> Context:
        """Return the context of the Study Root, or of the Patient Root where only that one fits."""
        first = "patient" if ds.QueryRetrieveLevel == Level.PATIENT else "study"
        for root in dict.fromkeys([first, "patient"]):
            for context in self.conversation.contexts.values():
                if roots.get(context.abstract_syntax) == root:
                    return context
        raise PeerFailed(f"{self.remote} accepts the association, but not this service")


def _names_nothing(keys: Mapping[str, str]) -> bool:
    """Whether no key asks for a return value: then a useful answer is asked for."""
    return all(keys.values())


def _put(ds: Dataset, keyword: str, value: str) -> None:
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise BadQuery(f"{keyword}: a control character")
    vr = dictionary_VR(keyword)
    try:
        if vr in _NUMBERS:
            parts: list[Any] = [_NUMBERS[vr](part) for part in value.split("\\") if part]
        elif vr in _NOT_MATCHED and value:
            raise ValueError("it may only be asked for, not matched")
        else:
            parts = [] if vr in _NOT_MATCHED else value.split("\\")
        setattr(ds, keyword, parts[0] if len(parts) == 1 else parts or None)
    except (TypeError, ValueError) as error:
        raise BadQuery(f"{keyword}: {error}") from None


def _encodable(ds: Dataset) -> Dataset:
    """Return the data set, or raise BadQuery where a value cannot be written."""
    try:
        identifiers.encoded(ds, QUERY_SYNTAXES[0])
    except (OSError, *part10.UNREADABLE) as error:
        raise BadQuery(f"the keys cannot be written: {str(error).splitlines()[0]}") from None
    return ds
