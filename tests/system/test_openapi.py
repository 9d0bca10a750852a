"""docs/openapi/ and the running roles: no address is missing or invented, nothing answers else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.filewriter import dcmwrite
from schemathesis import GenerationMode

from pacs_common.tickets import TicketIssuer
from tests.browser.hospital import send
from tests.support import roles
from tests.support.data_sets import EXPLICIT, SERIES, STUDY, ct
from tests.support.openapi import CHECKS, Operation, document, operations, with_known_values

pytestmark = pytest.mark.slow
ROLES = {"node": "dicom_node", "archive": "archive_node", "portal": "pacs_web"}
EACH = [operation for role in ROLES for operation in operations(role)]
SOAK = bool(os.environ.get("PACS_TEST_SOAK"))
ASKED = settings(
    max_examples=60 if SOAK else 3,
    derandomize=not SOAK,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a failure is told, not made small: requests change what is there
    suppress_health_check=list(HealthCheck),
)
# A peer's address of one's own choice (scu.address) is never granted here: the requests are made
# up, and would call whoever listens on this machine.
KNOWN = {
    "study_uid": [STUDY],
    "series_uid": [SERIES],
    "sop_uid": [f"{SERIES}.1", f"{SERIES}.2"],
    "studyUID": [STUDY],
    "seriesUID": [SERIES],
    "objectUID": [f"{SERIES}.1"],
    "numbers": ["1"],
    "name": ["CT"],
    "vault": ["vault-1"],
    "label": ["A00001"],
    "path": ["7FE00010"],
}
NOWHERE = {"study_uid": "1.2.3", "series_uid": "1.2.4", "sop_uid": "1.2.5", "note_uid": "1.2.6"}
NOWHERE |= {"digest": "0" * 64, "action": "nothing", "path": "7FE00010"}
FOR_PEOPLE = "/rescue/"  # pages of a node, no interface
SHOW_ROUTES = """
import json, os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = f"{sys.argv[1]}.settings"
django.setup()
from django.urls import get_resolver
print(json.dumps([str(one.pattern) for one in get_resolver().url_patterns]))
"""


VARIABLE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")


def in_braces(variable: re.Match[str]) -> str:
    return f"{{{variable[1]}}}"


@dataclass
class Network:
    """A node, the archive and the portal, and who may ask them."""

    running: dict[str, roles.Role]
    issuers: dict[str, TicketIssuer]
    token: str
    client: httpx.Client  # making one costs more than a request
    schemas: dict[str, schemathesis.BaseSchema] = field(default_factory=dict)

    def headers(self, operation: Operation, scopes: tuple[str, ...] | None = None) -> dict:
        """Return what opens an operation, or what `scopes` open of it."""
        wanted = operation.scopes if scopes is None else scopes
        if not wanted:
            return {}
        if operation.role == "portal":
            return {"Authorization": f"Bearer {self.token}"}
        issuer = "archive" if any(scope.startswith("custody.") for scope in wanted) else "portal"
        audience = "CT" if operation.role == "node" else "archive"
        ticket = self.issuers[issuer].issue(audience, wanted, subject="tester", plan="p")
        return {"Authorization": f"Bearer {ticket}"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("openapi")
    nodes = {"CT": roles.node(folder, "CT", PACS_PEER_RESPONSE_S="2")}
    archive = roles.archive(folder, nodes)
    portal = roles.portal(folder, nodes, archive.url)
    (folder / "images").mkdir()
    for number in (1, 2):
        ds = ct(number, Rows=16, Columns=16, PixelData=bytes(16 * 16 * 2))
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = EXPLICIT
        dcmwrite(folder / "images" / f"{number}.dcm", ds, enforce_file_format=True)
    with roles.running(*nodes.values(), archive, portal), httpx.Client(timeout=30) as asking:
        send(nodes["CT"], folder / "images")
        kept = {"portal": "portal", "archive": "archive"}
        issuers = {
            name: TicketIssuer.at(name, next((folder / slug).rglob("*.key.pem")), folder / "trust")
            for name, slug in kept.items()
        }
        token = roles.accounts(folder)["technologist"]["token"]
        running = {"node": nodes["CT"], "archive": archive, "portal": portal}
        made = Network(running, issuers, token, asking)
        for role, one in running.items():
            told = with_known_values(document(role), KNOWN)
            made.schemas[role] = schemathesis.openapi.from_dict(told)
            made.schemas[role].config.update(base_url=one.url)
        yield made
        for one in running.values():
            assert "Traceback" not in one.log


@pytest.mark.parametrize("operation", EACH, ids=str)
def test_whatever_is_asked_is_answered_as_the_document_says(
    network: Network, operation: Operation
) -> None:
    asked = network.schemas[operation.role][operation.path][operation.method]
    right = asked.as_strategy()
    wrong = asked.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @ASKED
    @given(case=st.one_of(right, right, wrong))
    def answered(case: schemathesis.Case) -> None:
        answer = case.call(headers=network.headers(operation), timeout=30)
        case.validate_response(answer, checks=CHECKS)

    answered()


def addresses(role: str, folder: Path) -> list[str]:
    """Return every address of a role as a document writes it, by its table of addresses."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW_ROUTES, ROLES[role]],
        cwd=roles.ROOT,
        env={"PATH": os.environ["PATH"], "PACS_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [f"/{VARIABLE.sub(in_braces, one)}" for one in json.loads(done.stdout)]


@pytest.mark.parametrize("role", ["node", "archive"])
def test_the_document_has_every_address_and_invents_none(
    network: Network, role: str, tmp_path: Path
) -> None:
    told = {path: set() for path in document(role)["paths"]}
    found = {one for one in addresses(role, tmp_path) if not one.startswith(FOR_PEOPLE)}
    assert set(told) == found
    for operation in operations(role):
        told[operation.path].add(operation.method)
    for operation in operations(role):
        answer = asked_by(network, operation, "BREW")
        assert answer.status_code == 405, operation
        known = set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
        assert told[operation.path] == known, operation.path


def test_the_portals_document_has_what_programs_use_of_it(tmp_path: Path) -> None:
    told = set(document("portal")["paths"])
    for_programs = ("/api/", "/dicom-web/", "/healthz", "/readyz", "/metrics")
    found = {one for one in addresses("portal", tmp_path) if one.startswith(for_programs)}
    assert {one for one in told if not one.startswith("/dicom-web")} | {
        "/dicom-web/",
        "/dicom-web/{path}",
    } == found
    of_node = {
        (one.method, one.path if one.path != "/wado" else "/dicom-web/wado")
        for one in operations("node")
        if one.path.startswith(("/dicom-web", "/wado"))
    }
    of_portal = {(one.method, one.path) for one in operations("portal")}
    assert {one for one in of_portal if one[1].startswith("/dicom-web")} == of_node


@pytest.mark.parametrize("role", ["node", "archive"])
def test_each_address_opens_to_its_scope_alone(network: Network, role: str) -> None:
    every = {scope for one in operations(role) for scope in one.scopes}
    for operation in operations(role):
        if not operation.scopes:
            assert asked_by(network, operation, operation.method).status_code in (200, 503)
            continue
        others = tuple(every - set(operation.scopes))
        assert asked_by(network, operation, operation.method, ()).status_code == 401, operation
        assert asked_by(network, operation, operation.method, others).status_code == 403, operation
        for scope in operation.scopes:
            answer = asked_by(network, operation, operation.method, (scope,))
            assert answer.status_code not in (401, 403), operation


def asked_by(
    network: Network, operation: Operation, method: str, scopes: tuple[str, ...] | None = None
) -> httpx.Response:
    """Ask for something that is not there, with a body that makes no sense."""
    path = re.sub(r"{(\w+)}", lambda name: NOWHERE.get(name[1], "1"), operation.path)
    return network.client.request(
        method,
        f"{network.running[operation.role].url}{path}",
        headers=network.headers(operation, scopes),
        json={"peer": "NOBODY"},
    )
