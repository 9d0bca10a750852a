"""Which DICOM audit event (PS3.15 A.5.3, CID 400 and 401) an act of ours is."""

from __future__ import annotations

from typing import NamedTuple

from pacs_web.audit.models import Action


class Code(NamedTuple):
    """A coded value: its code, its meaning, and the system that defines both."""

    code: str
    meaning: str
    system: str = "DCM"


class Event(NamedTuple):
    """What an act is: the event, what was done to the object (C R U D E), and the event's type."""

    event: Code
    done: str
    type: Code | None = None


ACCESSED = Code("110103", "DICOM Instances Accessed")
TRANSFERRED = Code("110104", "DICOM Instances Transferred")
QUERY = Code("110112", "Query")
ALERT = Code("110113", "Security Alert")
AUTHENTICATION = Code("110114", "User Authentication")
_LOOKED = Event(ACCESSED, "R")
_OTHER = Event(Code("110100", "Application Activity"), "E")
_LOGIN = Event(AUTHENTICATION, "E", Code("110122", "Login"))
EVENTS: dict[str, Event] = {
    Action.LOGIN: _LOGIN,
    Action.LOGIN_FAILED: _LOGIN,
    Action.LOGOUT: Event(AUTHENTICATION, "E", Code("110123", "Logout")),
    Action.SEARCH: Event(QUERY, "E"),
    Action.STUDY: _LOOKED,
    Action.IMAGES: _LOOKED,
    Action.HEADER: _LOOKED,
    Action.DICOMWEB: _LOOKED,
    Action.DOWNLOAD: Event(Code("110106", "Export"), "R"),
    Action.STORE: Event(TRANSFERRED, "C"),
    Action.SEND: Event(TRANSFERRED, "R"),
    Action.RECALL: Event(TRANSFERRED, "U"),
    Action.ARCHIVE_JOB: Event(TRANSFERRED, "R"),
    Action.ARCHIVE: _OTHER,
    Action.JOB: Event(TRANSFERRED, "R"),
    Action.CORRECT: Event(ACCESSED, "U"),
    Action.REJECT: Event(ACCESSED, "D"),
    Action.DELETE: Event(Code("110105", "DICOM Study Deleted"), "D"),
    Action.REFUSED: Event(ALERT, "E", Code("110132", "Use of Restricted Function")),
    Action.GLASS: Event(ALERT, "E", Code("110127", "Emergency Override Started")),
    Action.ACCOUNT: Event(ALERT, "E", Code("110137", "User Security Attributes Changed")),
    Action.CONFIGURE: Event(ALERT, "E", Code("110128", "Network Configuration")),
    Action.CONNECT: Event(ALERT, "E", Code("110126", "Node Authentication")),
    Action.AUDIT: Event(Code("110101", "Audit Log Used"), "R"),
}

STUDY_UID = Code("110180", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")
SOURCE_ROLE = Code("110153", "Source Role ID")
DESTINATION_ROLE = Code("110152", "Destination Role ID")


def event_of(action: str, *, names_study: bool) -> Event:
    """Return the event of an act; one that is unknown here touched its study, or the system."""
    return EVENTS.get(action) or (_LOOKED if names_study else _OTHER)
