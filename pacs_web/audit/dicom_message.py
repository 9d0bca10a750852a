"""An audit row as a DICOM audit message: XML after the schema of PS3.15 A.5.1."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC
from xml.etree.ElementTree import Element, SubElement, tostring

from pacs_web.audit import dicom_codes as codes
from pacs_web.audit.models import Action, AuditEvent, Result

# A search at the portal asks what Study Root Query/Retrieve FIND asks (PS3.4 C.6.2).
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
OUTCOMES: dict[str, str] = {Result.SUCCESS: "0", Result.REFUSED: "4", Result.FAILED: "8"}
_PERSON, _SYSTEM = "1", "2"
_PATIENT, _REPORT, _SECURITY, _QUERY = "1", "3", "13", "24"
_NO_XML = re.compile("[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 2.2, tokens


def message_of(row: AuditEvent) -> bytes:
    """Return a row as a message in UTF-8, without a declaration."""
    event = codes.event_of(row.action, names_study=bool(row.study_uid))
    root = Element("AuditMessage")
    _add_event(root, row, event)
    _add_participants(root, row)
    source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(row.source))
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server
    _add_objects(root, row)
    return tostring(root, encoding="utf-8", xml_declaration=False)


def _add_event(root: Element, row: AuditEvent, event: codes.Event) -> None:
    told = SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.done,
        EventDateTime=row.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=OUTCOMES.get(row.result, "0"),
    )
    _add_code(told, "EventID", event.event)
    if event.type is not None:
        _add_code(told, "EventTypeCode", event.type)
    why = row.detail.get("failed") or row.detail.get("why") or row.detail.get("reason")
    if row.result != Result.SUCCESS and why:
        SubElement(told, "EventOutcomeDescription").text = _clean(str(why))


def _add_participants(root: Element, row: AuditEvent) -> None:
    """Tell who asked and, as the second, the role of ours that was asked."""
    peer = row.agent.removeprefix("AE ") if row.agent.startswith("AE ") else ""
    person = {"UserID": _clean(row.who) or "unknown", "UserIsRequestor": "true"}
    if peer:
        person["AlternativeUserID"] = _clean(f"AETITLES={peer}")
    if row.address:
        person |= {"NetworkAccessPointID": row.address, "NetworkAccessPointTypeCode": "2"}
    is_giving = row.action == Action.STORE
    asking = SubElement(root, "ActiveParticipant", person)
    _add_code(asking, "RoleIDCode", codes.SOURCE_ROLE if is_giving else codes.DESTINATION_ROLE)
    own = {"UserID": _clean(row.source), "UserIsRequestor": "false"}
    ours = SubElement(root, "ActiveParticipant", own)
    _add_code(ours, "RoleIDCode", codes.DESTINATION_ROLE if is_giving else codes.SOURCE_ROLE)


def _add_objects(root: Element, row: AuditEvent) -> None:
    """Tell of what: the query, or the study and the patient, or what of the system."""
    detail = json.dumps(row.detail, ensure_ascii=False).encode()
    if row.action == Action.SEARCH:
        query = _object(root, STUDY_ROOT_FIND, codes.SOP_CLASS_UID, _SYSTEM, _QUERY)
        SubElement(query, "ParticipantObjectQuery").text = b64encode(detail).decode()
        _add_patient(root, row)
        return
    if row.study_uid:
        named = _object(root, row.study_uid, codes.STUDY_UID, _SYSTEM, _REPORT)
    else:
        named = _object(root, f"urn:argens:{row.action}", codes.URI, _SYSTEM, _SECURITY)
    name = "Security Audit Log" if row.action == Action.AUDIT else row.study_uid or row.action
    SubElement(named, "ParticipantObjectName").text = _clean(name)
    _add_detail(named, "act", row.action.encode())
    if row.detail:
        _add_detail(named, "details", detail)
    _add_patient(root, row)


def _add_patient(root: Element, row: AuditEvent) -> None:
    if row.patient_id:
        key = f"{row.patient_id}^^^{row.patient_issuer}" if row.patient_issuer else row.patient_id
        patient = _object(root, key, codes.PATIENT_NUMBER, _PERSON, _PATIENT)
        SubElement(patient, "ParticipantObjectName").text = _clean(row.patient_id)


def _object(root: Element, key: str, kind: codes.Code, type_code: str, role: str) -> Element:
    made = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(key),
        ParticipantObjectTypeCode=type_code,
        ParticipantObjectTypeCodeRole=role,
    )
    _add_code(made, "ParticipantObjectIDTypeCode", kind)
    return made


def _add_detail(parent: Element, kind: str, value: bytes) -> None:
    told = {"type": kind, "value": b64encode(value).decode()}
    SubElement(parent, "ParticipantObjectDetail", told)


def _add_code(parent: Element, name: str, code: codes.Code) -> None:
    told = {"csd-code": code.code, "codeSystemName": code.system, "originalText": code.meaning}
    SubElement(parent, name, told)


def _clean(text: str) -> str:
    """Return a text that XML can hold in one line."""
    return _NO_XML.sub("\ufffd", text)
