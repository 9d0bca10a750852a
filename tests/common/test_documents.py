"""What the documents say is so: settings, conformance, paths and licence are held to the code."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("dicom_node", "archive_node", "pacs_web")
ROOMS = {*ROLES, "pacs_common", "deploy", "docs", "tests"}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?(?:::\w+)?")
FILE_AT_ROOT = re.compile(r"[\w.-]+\.(?:py|toml|txt|md)|Makefile|LICENSE")
SETTINGS = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))
SHOW_NODE = """
import json
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts
from dicom_node.config import CONFIG
from dicom_node.dimse import association
from dicom_node.store.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
ae = association.application_entity()
def rows(uids): return [[UID(u).name, str(u)] for u in uids]
others = [c.abstract_syntax for c in ae.supported_contexts if not c.scu_role]
print(json.dumps({
    "syntaxes": rows(association.STORED_SYNTAXES),
    "retired": rows(association.RETIRED_STORAGE),
    "services": rows(others),
    "current": len(AllStoragePresentationContexts),
    "storage": sum(bool(c.scu_role) for c in ae.supported_contexts),
    "AE title": f"`PACS_AE_TITLE`, default `{CONFIG.ae_title}`",
    "Implementation Class UID": IMPLEMENTATION_CLASS_UID,
    "Implementation Version Name": IMPLEMENTATION_VERSION,
    "Maximum PDU received (bytes)": str(ae.maximum_pdu_size),
    "Associations at once": str(ae.maximum_associations),
    "ACSE / DIMSE / network timeouts (seconds)":
        f"{ae.acse_timeout:g} / {ae.dimse_timeout:g} / {ae.network_timeout:g}",
}))
"""


@pytest.fixture(scope="module")
def page() -> str:
    return SETTINGS["page"]()


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("node")
    environment = {"PATH": os.environ["PATH"], "PACS_DATA_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SHOW_NODE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tables(text: str) -> dict[str, list[list[str]]]:
    """Return the rows of each Markdown table by its first heading."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            rows = []
        elif not set(line) <= set("|- "):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if not rows:
                found[cells[0]] = rows
            rows.append(cells)
    return {heading: rows[1:] for heading, rows in found.items()}


def conformance() -> str:
    return (ROOT / "docs" / "conformance.md").read_text()


def test_the_settings_page_is_what_the_code_declares(page):
    assert (ROOT / "docs" / "settings.md").read_text() == page, (
        "run: .venv/bin/python docs/make_settings.py > docs/settings.md"
    )


def test_every_setting_says_in_a_sentence_what_it_does(page):
    rows = [line for line in page.splitlines() if line.startswith("| `PACS_")]
    assert len(rows) > 40
    for row in rows:
        doc = row.rsplit(" | ", 1)[1].removesuffix(" |")
        assert len(doc.split()) >= 3 and doc.endswith("."), row


def test_no_default_holds_a_path_of_this_machine(page):
    assert "/tmp" not in page and str(ROOT) not in page


@pytest.mark.parametrize("role", [*ROLES, "pacs_common"])
def test_no_setting_is_read_around_the_table(role, page):
    declared = set(re.findall(r"\bPACS_[A-Z_]+\b", page))
    for file in (ROOT / role).rglob("*.py"):
        assert set(re.findall(r"\bPACS_[A-Z_]+[A-Z]\b", file.read_text())) <= declared, file


def referenced(text: str) -> set[str]:
    """Return what stands in backticks and looks like a path of this repository."""
    found = set()
    for word in re.findall(r"`([^`\n]+)`", text):
        inside = PATH.fullmatch(word) and "/" in word and word.split("/")[0] in ROOMS
        if inside or FILE_AT_ROOT.fullmatch(word):
            found.add(word)
    return found


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document):
    for word in sorted(referenced(document.read_text())):
        path, _, test = word.partition("::")
        places = [ROOT / path, document.parent / path]
        assert any(place.exists() for place in places), f"{document.name} names {word}"
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(), f"{document.name} names {word}"


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_page_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_paths_in_a_document_are_really_looked_at():
    text = "`pacs_common/env.py` `tests/x.py::test_y` `/healthz` `var/demo` `Makefile` `a b`"
    assert referenced(text) == {"pacs_common/env.py", "tests/x.py::test_y", "Makefile"}


def test_every_decision_has_its_context_and_its_consequences():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert records
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], record.name


def test_the_stored_transfer_syntaxes_are_those_of_the_statement(node):
    assert tables(conformance())["transfer syntax"] == node["syntaxes"]


def test_the_storage_classes_are_those_of_the_statement(node):
    assert tables(conformance())["retired SOP class"] == node["retired"]
    assert node["storage"] == node["current"] + len(node["retired"])
    said = f"{node['current']} current storage SOP classes"
    assert said in conformance() and f"and {len(node['retired'])} retired ones" in conformance()


def test_the_other_services_are_those_of_the_statement(node):
    assert sorted(tables(conformance())["SOP class"]) == sorted(node["services"])


def test_the_settings_of_the_ae_are_those_of_the_statement(node):
    said = dict(tables(conformance())["setting"])
    assert {name: said[name] for name in said if name in node} == {
        name: node[name] for name in said if name in node
    }
    assert len(set(said) & set(node)) == 6


def test_the_licence_is_the_gpl_that_the_package_names():
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3" in (
        (ROOT / "LICENSE").read_text()
    )
    assert 'license = "GPL-3.0-or-later"' in (ROOT / "pyproject.toml").read_text()


def test_the_version_is_one():
    from pacs_common import VERSION

    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
