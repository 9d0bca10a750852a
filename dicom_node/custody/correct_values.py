"""What somebody asks to be corrected, checked: the values, and all that follows from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dicom_node.config import CONFIG
from dicom_node.index.attributes import ATTRIBUTES
from dicom_node.index.values import bounded
from dicom_node.models import Correction, Study
from dicom_node.overlay.attributes import CORRECTABLE, OF_THE_PERSON, QUALIFIERS
from dicom_node.overlay.chain import Key, unpacked
from pacs_common.errors import BadInput

MAX_WHY_CHARS = 1024
MAX_OTHER_IDS = 20
_WHOLE = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")  # of whom a study moves to
_ID = re.compile(r"[0-9A-Za-z.-]{8,64}\Z")
_CODE = re.compile(r"[A-Z0-9 _]{0,16}\Z")
Kind = Correction.Kind


@dataclass(frozen=True)
class Asked:
    """A correction as somebody asks for it; `id` is the caller's own, so that it may ask again."""

    id: str
    kind: str
    why: str
    values: dict[str, str]

    def checked(self) -> Asked:
        """Return it with its values stripped; raises BadInput with what is wrong."""
        if not _ID.match(self.id):
            raise BadInput("id is not a UUID")
        if self.kind not in Kind.values:
            raise BadInput(f"kind is one of {', '.join(Kind.values)}")
        why = self.why.strip()
        if not why or len(why) > MAX_WHY_CHARS or not why.isprintable():
            raise BadInput(f"the reason is a line of 1 to {MAX_WHY_CHARS} characters")
        return Asked(self.id, self.kind, why, checked(self.values))


def checked(values: Mapping[str, str]) -> dict[str, str]:
    """Return values as they are written; raises BadInput for what their VR does not allow."""
    found = {}
    for path, text in values.items():
        if path not in CORRECTABLE:
            raise BadInput(f"{path[:64]!r} is not corrected here")
        found[path] = _checked(path, text.strip())
    return found


def current(study: Study) -> dict[str, str]:
    """Return what is shown of a study now, by path."""
    found = {
        path: str(getattr(study, ATTRIBUTES[path].column)) if path in ATTRIBUTES else ""
        for path in CORRECTABLE
    }
    found["OtherPatientIDs"] = found["OtherPatientIDs"] or study.other_id_values
    for change in unpacked(study.overlay):
        if QUALIFIERS in change.values:
            found |= {path: "" for path in CORRECTABLE if path.startswith(f"{QUALIFIERS}.")}
        told = {path: text for path, text in change.values.items() if path not in ATTRIBUTES}
        found |= {path: text or "" for path, text in told.items() if path in found}
    return found


def corrected_values(study: Study, asked: Asked) -> dict[str, str | None]:
    """Return what a study shows from now on, and what it shows no more.

    Raises BadInput where nothing would change, or a move does not tell whom it is to.
    """
    before = current(study)
    values: dict[str, str | None] = {
        path: text for path, text in asked.values.items() if text != before[path]
    }
    if values.get("IssuerOfPatientID") == "" and before["IssuerOfPatientID"] == _own_issuer():
        del values["IssuerOfPatientID"]  # shown where an object names none (rule 12)
    is_moved = after(study, values) != (study.issuer, study.patient_id)
    if asked.kind == Kind.MOVED:
        _require_whole(asked.values, is_moved=is_moved)
        values |= {path: text for path, text in asked.values.items() if path in _WHOLE}
        values = dict.fromkeys((*OF_THE_PERSON, "OtherPatientIDs")) | values
    elif "IssuerOfPatientID" in values:
        values = {QUALIFIERS: None} | values
    if not values:
        raise BadInput("nothing would change: all of this is shown already")
    return values


def after(study: Study, values: Mapping[str, str | None]) -> Key:
    """Return the patient key of a study with these values shown."""
    issuer = values.get("IssuerOfPatientID", study.issuer) or _own_issuer()
    return bounded(issuer), bounded(values.get("PatientID", study.patient_id) or "")


def _own_issuer() -> str:
    return bounded(CONFIG.default_issuer)


def _require_whole(values: Mapping[str, str], *, is_moved: bool) -> None:
    missing = [path for path in _WHOLE if path not in values]
    if missing:
        raise BadInput(f"a study is moved to a whole identity: {', '.join(missing)} are missing")
    if not values["PatientID"] or not values["PatientName"]:
        raise BadInput("a study is moved to a patient with a name and a Patient ID")
    if not is_moved:
        raise BadInput("this is the patient that the study has: correct the identity instead")


def _checked(path: str, text: str) -> str:
    keyword = path.rpartition(".")[2]
    if not text.isprintable() or ("\\" in text and path != "OtherPatientIDs"):
        raise BadInput(f"{keyword} holds a character that it cannot hold")
    try:
        text.encode("utf-8")
    except UnicodeError:
        raise BadInput(f"{keyword} holds a character that it cannot hold") from None
    return _CHECKS.get(path, _line)(keyword, text)


def _line(keyword: str, text: str) -> str:
    most = 16 if keyword == "AccessionNumber" else 64
    if len(text) > most:
        raise BadInput(f"{keyword} is longer than {most} characters")
    return text


def _name(keyword: str, text: str) -> str:
    groups = [group.rstrip("^ ") for group in text.split("=")]
    if len(groups) > 3 or any(len(g) > 64 or g.count("^") > 4 for g in groups):
        raise BadInput(f"{keyword} is family^given^middle^prefix^suffix, 64 characters a group")
    return "=".join(groups).rstrip("=")


def _date(keyword: str, text: str) -> str:
    digits = text.replace("-", "")
    try:
        if text and (len(digits) != 8 or not digits.isascii()):
            raise ValueError
        return f"{datetime.strptime(digits, '%Y%m%d'):%Y%m%d}" if text else ""
    except ValueError:
        raise BadInput(f"{keyword} is a day, YYYY-MM-DD") from None


def _sex(keyword: str, text: str) -> str:
    if text not in ("", "F", "M", "O"):
        raise BadInput(f"{keyword} is F, M, O or nothing")
    return text


def _code(keyword: str, text: str) -> str:
    if not _CODE.match(text):
        raise BadInput(f"{keyword} is at most 16 capitals, digits, spaces or underscores")
    return text


def _several(keyword: str, text: str) -> str:
    found = [_line(keyword, part.strip()) for part in text.split("\\") if part.strip()]
    if len(found) > MAX_OTHER_IDS:
        raise BadInput(f"{keyword} are more than {MAX_OTHER_IDS}")
    return "\\".join(found)


_CHECKS = {
    "PatientName": _name,
    "PatientBirthDate": _date,
    "PatientSex": _sex,
    "OtherPatientIDs": _several,
    f"{QUALIFIERS}.UniversalEntityIDType": _code,
}
