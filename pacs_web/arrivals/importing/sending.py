"""Passes confirmed files on by STOW-RS as they came, then gives their exams the issuer and patient.

The bytes stay the medium's. What the medium does not say, or what was chosen, is a correction of
the exam (custody rule 10): both identities stay on record (IHE IRWF), and it can be undone.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from pacs_common.errors import ArgensError, NotFound
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.arrivals.asking import own_node
from pacs_web.arrivals.importing.spool import Import
from pacs_web.audit.models import Action, Result
from pacs_web.audit.record import record
from pacs_web.dicomweb.storing import node_for
from pacs_web.federation import locate
from pacs_web.federation.opening import holders
from pacs_web.federation.server import Server
from pacs_web.nodes.placing import Facts
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.studies.views import clients_for

TURN_S = 2.0  # of one question of the page: it shows how far it is in between
CHUNK_BYTES = 256 << 10
HEADERS = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
Told = dict[str, Any]


class Sending:
    """One turn of an import: what was settled before, and the nodes of its exams."""

    def __init__(self, request: HttpRequest, one: Import, plan: Told) -> None:
        self._request, self._import, self._plan = request, one, plan
        self._nodes: dict[str, Server] = {}
        self._wanted = [told for told in one.files() if told.get("file")]
        results = one.results()
        self._settled = {told["file"] for told in results if told.get("file")}
        self._exams = {told["exam"]: told for told in results if told.get("exam")}
        self._identified = {told["identified"] for told in results if told.get("identified")}
        self._is_told = any(told.get("told") for told in results)

    def go_on(self) -> Told:
        """Send for a while; return how far it is: {"sent", "total", "done"}."""
        until = time.monotonic() + TURN_S
        for told in self._wanted:
            if told["file"] in self._settled:
                continue
            if time.monotonic() > until:
                break
            self._send(told)
        is_done = len(self._settled) == len(self._wanted)
        if is_done and not self._is_told:
            self._tell()
        return {"sent": len(self._settled), "total": len(self._wanted), "done": is_done}

    def _send(self, told: Told) -> None:
        result = {key: told[key] for key in ("file", "name", "study_uid")}
        try:
            content = _chunks(self._import.folder / told["file"])
            with self._node(told).store("studies", content, HEADERS) as answer:
                outcome = outcome_of(answer.status_code, answer.read())
        except ArgensError as error:
            outcome = {"outcome": "failed", "why": str(error)}
        self._import.settle({**result, **outcome})
        self._settled.add(told["file"])
        if outcome["outcome"] == "stored":
            self._identify(told)

    def _node(self, told: Told) -> Server:
        """Return the node for an exam, and note once whether the exam was here before."""
        uid = Uid.parse(told["study_uid"])
        if uid not in self._nodes:
            was_here = uid not in self._exams and _is_here(self._request, uid)
            self._nodes[uid] = node = node_for(self._request, uid, Facts(told["modality"], (), ()))
            if uid not in self._exams:
                noted = {"exam": str(uid), "node": node.name, "was_here": was_here}
                self._exams[str(uid)] = noted
                self._import.settle(noted)
        return self._nodes[uid]

    def _identify(self, told: Told) -> None:
        """Give a new exam its issuer and patient as soon as it is there: the rest joins it."""
        uid = told["study_uid"]
        if uid in self._identified or self._exams[uid]["was_here"]:
            return
        locate.forget(uid)
        chosen = self._plan["patients"][patient_of(told)]
        why = _identified(own_node(self._request, self._exams[uid]["node"]), told, chosen)
        self._import.settle({"identified": uid, "why": why})
        self._identified.add(uid)

    def _tell(self) -> None:
        """Tell the audit of each exam, once."""
        results = self._import.results()
        by_uid = {told["study_uid"]: told for told in self._wanted}
        for uid, exam in self._exams.items():
            outcomes = [told.get("outcome") for told in results if told.get("study_uid") == uid]
            chosen = self._plan["patients"][patient_of(by_uid[uid])]
            _audit(self._request, exam, by_uid[uid], chosen, outcomes)
        self._import.settle({"told": True})


def _is_here(request: HttpRequest, study_uid: Uid) -> bool:
    try:
        return bool(holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S))
    except NotFound:
        return False


def outcome_of(status: int, body: bytes) -> Told:
    """Return what a Store Instances Response says of the one file that was sent (PS3.18 I.2)."""
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    if status == 200:
        return {"outcome": "stored", "why": ""}
    if status == 202 and told.get("00081199", {}).get("Value"):
        return {"outcome": "quarantined", "why": _("kept in quarantine for a decision")}
    failed = (told.get("00081198", {}).get("Value") or [{}])[0]
    reason = (failed.get("00081197", {}).get("Value") or [None])[0]
    code = f"0x{reason:04X}" if isinstance(reason, int) else str(status)
    why = told.get("detail") or _("refused with %(code)s") % {"code": code}
    return {"outcome": "failed", "why": str(why)[:300]}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def patient_of(told: Told) -> str:
    """Return the key under which the files of one patient of the medium stand together."""
    keys = ("issuer", "patient_id", "patient_name", "birth_date")
    return json.dumps([told[key] for key in keys])


def _identified(client: OwnServer, medium: Told, chosen: Told) -> str:
    """Correct an imported exam's issuer, and its patient where one was chosen; return a failure."""
    try:
        if medium["patient_id"] and not medium["issuer"]:
            values = {"IssuerOfPatientID": chosen["issuer"]}
            _correct(client, medium["study_uid"], values, _("import of a medium"))
        if chosen.get("values"):
            why = _("import of a medium: patient chosen")
            _correct(client, medium["study_uid"], chosen["values"], why)
    except ArgensError as error:
        return str(error)
    return ""


def _correct(client: OwnServer, uid: str, values: dict[str, str], why: str) -> None:
    latest = client.corrections(uid)["latest"]
    asked = {"study_uid": uid, "id": str(uuid.uuid4()), "kind": "identity"}
    client.correct({**asked, "values": values, "why": why, "latest": latest})


def _audit(
    request: HttpRequest, exam: Told, medium: Told, chosen: Told, outcomes: list[Any]
) -> None:
    values = chosen.get("values") or {}
    failed = outcomes.count("failed")
    record(
        request,
        Action.STORE,
        study_uid=exam["exam"],
        patient=(
            values.get("IssuerOfPatientID", medium["issuer"] or chosen["issuer"]),
            values.get("PatientID", medium["patient_id"]),
        ),
        result=Result.FAILED if failed else Result.SUCCESS,
        node=exam["node"],
        imported=outcomes.count("stored"),
        quarantined=outcomes.count("quarantined"),
        failed=failed,
        medium={key: medium[key] for key in ("patient_id", "issuer", "institution")},
    )
