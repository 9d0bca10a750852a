"""The structure that PS3.15 A.5.1 gives an audit message, held against a document.

Each element: its required and optional attributes (with their values, where they are listed), and
its children in order with how often they may come.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element

CODED = {"csd-code": None, "codeSystemName": None, "originalText": None}
CODE = (CODED, {"displayName": None}, [])
BOOLEAN = ("true", "false")
ONE, MAYBE, MANY, SOME = (1, 1), (0, 1), (0, 999), (1, 999)
UID = ({"UID": None}, {}, [])
SCHEMA: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[tuple[str, ...], Any]]]] = {
    "AuditMessage": ({}, {}, [
        (("EventIdentification",), ONE), (("ActiveParticipant",), SOME),
        (("AuditSourceIdentification",), ONE), (("ParticipantObjectIdentification",), MANY),
    ]),
    "EventIdentification": (
        {"EventDateTime": datetime.fromisoformat, "EventOutcomeIndicator": ("0", "4", "8", "12")},
        {"EventActionCode": tuple("CRUDE")},
        [(("EventID",), ONE), (("EventTypeCode",), MANY), (("EventOutcomeDescription",), MAYBE)],
    ),
    "EventID": CODE, "EventTypeCode": CODE, "RoleIDCode": CODE,
    "ParticipantObjectIDTypeCode": CODE,
    "EventOutcomeDescription": ({}, {}, []),
    "ActiveParticipant": (
        {"UserID": None, "UserIsRequestor": BOOLEAN},
        {"AlternativeUserID": None, "UserName": None, "NetworkAccessPointID": None,
         "NetworkAccessPointTypeCode": tuple("12345")},
        [(("RoleIDCode",), MANY)],
    ),
    "AuditSourceIdentification": (
        {"AuditSourceID": None}, {"AuditEnterpriseSiteID": None},
        [(("AuditSourceTypeCode",), MANY)],
    ),
    "AuditSourceTypeCode": ({"csd-code": tuple("123456789")}, {}, []),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID": None},
        {"ParticipantObjectTypeCode": tuple("1234"),
         "ParticipantObjectTypeCodeRole": tuple(str(n) for n in range(1, 27)),
         "ParticipantObjectDataLifeCycle": tuple(str(n) for n in range(1, 16)),
         "ParticipantObjectSensitivity": None},
        [(("ParticipantObjectIDTypeCode",), ONE),
         (("ParticipantObjectName", "ParticipantObjectQuery"), ONE),
         (("ParticipantObjectDetail",), MANY)],
    ),
    "ParticipantObjectName": ({}, {}, []),
    "ParticipantObjectQuery": ({}, {}, []),
    "ParticipantObjectDetail": ({"type": None, "value": base64.b64decode}, {}, []),
}  # fmt: skip


def check(element: Element) -> None:
    """Assert that an element, and all in it, is as the schema has it."""
    required, optional, children = SCHEMA[element.tag]
    assert set(required) <= set(element.attrib), element.tag
    for name, value in element.attrib.items():
        listed = {**required, **optional}[name]
        if isinstance(listed, tuple):
            assert value in listed, f"{element.tag} {name}={value}"
        elif listed is not None:
            listed(value)
    rest = list(element)
    for names, (least, most) in children:
        count = 0
        while rest and rest[0].tag in names:
            check(rest.pop(0))
            count += 1
        assert least <= count <= most, f"{element.tag}: {count} of {names}"
    assert not rest, f"{element.tag} holds {rest[0].tag}"
    if element.tag == "ParticipantObjectQuery":
        base64.b64decode(element.text or "", validate=True)
