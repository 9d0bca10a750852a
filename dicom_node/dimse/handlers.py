"""C-FIND, C-GET and C-MOVE: the query engine and the store, in DIMSE's words (PS3.4 C.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DatabaseError, connections
from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.config import CONFIG
from dicom_node.dimse import send
from dicom_node.dimse.association import FIND, RETRIEVE
from dicom_node.dimse.receive import status
from dicom_node.index import wanted
from dicom_node.index.attributes import UNIQUE_KEY, Level, text_of
from dicom_node.index.query import Query, find, known, unmatched
from dicom_node.store import part10
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError, BadQuery, IndexUnavailable

LOG = logging.getLogger(__name__)
PENDING, PENDING_KEYS_IGNORED, CANCELLED = 0xFF00, 0xFF01, 0xFE00
_LATIN_1 = "ISO_IR 100"
_NOT_KEYS = {"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"}
_ALWAYS_ANSWERED = {"RetrieveAETitle", "InstanceAvailability"}
Answers = Iterator[tuple[Any, Dataset | None]]


def find_matches(event: evt.Event) -> Answers:
    """Yield a pending answer for each match; a cancel is seen before the next one."""
    try:
        identifier = _identifier(event)
        level = _level(identifier, FIND[event.request.AffectedSOPClassUID])
        keys = {e.keyword: text_of(identifier, e.keyword) for e in identifier if e.keyword}
        query = Query(level, {k: v for k, v in keys.items() if k not in _NOT_KEYS})
        matches = find(query)
    except ArgensError as error:
        yield status(error.dimse_status, str(error)), None
        return
    asked = set(keys) - _NOT_KEYS
    absent = [k for k in asked - _ALWAYS_ANSWERED if known(k, level) is None]
    pending = PENDING_KEYS_IGNORED if absent or unmatched(query) else PENDING
    charset = text_of(identifier, "SpecificCharacterSet")
    try:
        for match in matches:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            yield pending, _restricted(match, asked, level, charset)
    except DatabaseError as error:
        yield _index_away(error), None


def get_instances(event: evt.Event, layout: Layout) -> Answers:
    """Yield the number of instances and then each one, for C-GET (PS3.4 C.4.3)."""
    found = _wanted(event)
    if isinstance(found, Dataset):
        yield from _refused(found)
        return
    yield len(found)
    sender = send.SubOperations(layout, lambda: event.assoc)
    yield from _sub_operations(event, found, sender.data_set)


def move_instances(event: evt.Event, layout: Layout) -> Answers:
    """Yield the destination, the number of instances and then each one, for C-MOVE (C.4.2)."""
    title = str(event.move_destination or "").strip()
    destination = CONFIG.destinations.get(title)
    if destination is None:
        LOG.warning("C-MOVE to an unknown destination", extra={"destination": title})
        yield None, None
        return
    found = _wanted(event)
    if isinstance(found, Dataset):
        yield destination.host, destination.port
        yield from _refused(found)
        return
    outgoing = send.Outgoing()
    yield (
        destination.host,
        destination.port,
        {
            "contexts": send.proposal(found),
            "evt_handlers": [(evt.EVT_ACCEPTED, outgoing.accepted)],
            "ae_title": title,
        },
    )
    yield len(found)
    sender = send.SubOperations(layout, lambda: outgoing.association)
    yield from _sub_operations(event, found, sender.data_set)


def _wanted(event: evt.Event) -> list[Any] | Dataset:
    """Return the instances that a retrieve names, or the status that refuses it."""
    try:
        identifier = _identifier(event)
        level = _level(identifier, RETRIEVE[event.request.AffectedSOPClassUID])
        names = [*UNIQUE_KEY.values(), "IssuerOfPatientID"]
        found = list(wanted.instances(level, {n: text_of(identifier, n) for n in names}))
        wanted.note_access(instance.series.study_id for instance in found)
        wanted.note_absence(found, f"retrieve by {str(event.assoc.requestor.ae_title).strip()}")
    except ArgensError as error:
        return status(error.dimse_status, str(error))
    except DatabaseError as error:
        return _index_away(error)
    return found


def _identifier(event: evt.Event) -> Dataset:
    """Return the decoded identifier; raises BadQuery where there is none that can be read."""
    try:
        return event.identifier
    except part10.UNREADABLE as error:
        raise BadQuery(f"the identifier cannot be read: {error}") from None


def _index_away(error: DatabaseError) -> Dataset:
    """Return the status of a database that does not answer; the next request gets a fresh one."""
    LOG.error("the index does not answer: %s", error)
    connections.close_all()
    away = IndexUnavailable("the index does not answer: try again")
    return status(away.dimse_status, str(away))


def _refused(answer: Dataset) -> Answers:
    yield 1  # the service asks for a number before it takes a status
    yield answer, None


def _sub_operations(
    event: evt.Event, found: list[Any], data_set: Callable[[Any], Dataset]
) -> Answers:
    for instance in found:
        if event.is_cancelled:
            yield CANCELLED, None
            return
        yield PENDING, data_set(instance)


def _level(identifier: Dataset, root: str) -> Level:
    text = text_of(identifier, "QueryRetrieveLevel")
    try:
        level = Level(text)
    except ValueError:
        raise BadQuery(f"Query/Retrieve Level {text!r} is not one of {', '.join(Level)}") from None
    if root == "study" and level is Level.PATIENT:
        raise BadQuery("the Study Root model has no PATIENT level")
    return level


def _restricted(match: Dataset, asked: set[str], level: Level, charset: str) -> Dataset:
    """Return what was asked for, and what an answer always carries (PS3.4 C.4.1.1.3.2)."""
    answer = Dataset()
    answer.QueryRetrieveLevel = str(level)
    for keyword in asked | _ALWAYS_ANSWERED | {UNIQUE_KEY[level]}:
        if keyword in match:
            answer.add(match[keyword])
    _name_charset(answer, charset)
    return answer


def _name_charset(answer: Dataset, asked: str) -> None:
    text = "".join(str(element.value) for element in answer)
    if text.isascii():
        return
    fits = asked == _LATIN_1 and text.encode("latin-1", "replace").decode("latin-1") == text
    answer.SpecificCharacterSet = _LATIN_1 if fits else "ISO_IR 192"
