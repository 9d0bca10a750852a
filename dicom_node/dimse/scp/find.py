"""C-FIND as SCP (PS3.4 C.4.1): the query engine in DIMSE's words, answers streamed as they come."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from pydicom.uid import ImplicitVRLittleEndian

from dicom_node import audit
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.status import CANCELLED, SUCCESS, code_of
from dicom_node.dimse.scp.answer import Encoder
from dicom_node.dimse.scp.find_request import Request, request_of
from dicom_node.index import answers
from dicom_node.index.away import asking_the_index
from dicom_node.index.matching import is_universal
from pacs_common.errors import ArgensError

BATCH_ANSWERS = 32  # sent in one write, between two looks for a cancel
QUERY_RETRIEVE_LEVEL = 0x00080052


@dataclass
class _Course:
    """How one request went, for its last answer and for the audit."""

    request: Request | None = None
    count: int = 0
    status: int = SUCCESS
    comment: str = ""


def find(conversation: Conversation, message: Message) -> None:
    """Answer a C-FIND request: pending answers, then success, cancel or the failure's reason."""
    course = _Course()
    try:
        course.request = request_of(conversation, message)
        with asking_the_index():
            _answer(conversation, message, course.request, course)
    except ArgensError as error:
        course.status, course.comment = error.dimse_status, str(error)
    finally:
        _audit(conversation, course)
    conversation.answer(message, course.status, course.comment)


def _answer(
    conversation: Conversation, message: Message, request: Request, course: _Course
) -> None:
    """Send the pending answers; a cancel is looked for before each batch of them."""
    is_implicit = message.context.transfer_syntax == ImplicitVRLittleEndian
    encoder = Encoder(is_implicit=is_implicit, charset=request.charset)
    level = (QUERY_RETRIEVE_LEVEL, "CS", request.query.level.value)
    found = answers.find(request.query)
    while batch := list(islice(found, BATCH_ANSWERS)):
        if conversation.is_cancelled(message.id):
            course.status = CANCELLED
            return
        encoded = [encoder.encode([*elements, level]) for elements in batch]
        conversation.answer_alike(message, request.pending, encoded)
        course.count += len(batch)


def _audit(conversation: Conversation, course: _Course) -> None:
    asked = {}
    if course.request is not None:
        query = course.request.query
        keys = {path: value for path, value in query.keys.items() if not is_universal(value)}
        asked = {"level": query.level.value, "keys": keys}
    audit.note(
        "query",
        **conversation.whose,
        answers=course.count,
        status=code_of(course.status),
        **asked,
    )
