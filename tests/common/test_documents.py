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
CONFORMANCE = runpy.run_path(str(ROOT / "docs" / "make_conformance.py"))
STATUS = re.compile(r"\b0x[0-9A-F]{4}\b")
SHOW_NODE = """
import json, os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "dicom_node.settings"
django.setup()
from dicom_node.dimse.association import offers
from dicom_node.index.attributes import ATTRIBUTES
print(json.dumps({
    "classes": list(offers.offered()),
    "syntaxes": offers.STORED_SYNTAXES,
    "attributes": [f"({a.tag >> 16:04X},{a.tag & 0xFFFF:04X})" for a in ATTRIBUTES.values()],
}))
"""
# Modules whose whole numbers are no statuses: of commands, PDUs and elements.
OTHER_NUMBERS = {"command.py", "wire.py", "answer.py", "associate.py", "references.py"}
# The way of an object from the wire to the index: what is raised there is answered to C-STORE.
WAY_IN = ("dimse/scp/receive.py", "ingest", "store/blobs.py", "store/scan.py", "store/inflate.py")


@pytest.fixture(scope="module")
def page() -> str:
    return SETTINGS["page"]()


@pytest.fixture(scope="module")
def statement() -> str:
    return CONFORMANCE["page"]()


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


def cells(text: str) -> set[str]:
    """Return what stands in the cells of the tables of a page."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return {cell.strip() for row in rows for cell in row.strip("|").split(" | ")}


def section(text: str, title: str) -> str:
    """Return what stands below a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def statuses_in_code() -> dict[str, str]:
    """Return the statuses that the DICOM door and commitment name: status -> where."""
    rooms = [ROOT / "dicom_node" / room for room in ("dimse", "commitment")]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    found = {}
    for file in files:
        if file.name in OTHER_NUMBERS:
            continue
        for line in file.read_text().splitlines():
            if re.match(r"_?[A-Z][A-Z_, ]* = ", line):
                found |= {status: f"{file.name}: {line}" for status in STATUS.findall(line)}
    found.pop("0xFFFF", None)  # the greatest number of a US
    return found


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


def test_the_conformance_statement_is_what_the_code_does(statement):
    assert (ROOT / "docs" / "conformance.md").read_text() == statement, (
        "run: .venv/bin/python docs/make_conformance.py > docs/conformance.md"
    )


def test_the_statement_holds_nothing_of_this_machine(statement):
    assert "/tmp" not in statement and str(ROOT) not in statement
    assert "{{" not in statement and "}}" not in statement


def test_no_status_of_the_statement_is_written_by_hand():
    template = (ROOT / "docs" / "conformance" / "template.md").read_text()
    assert not STATUS.findall(template), "name the constant: {{status dimse.scp.find.CANCELLED}}"


def test_every_status_that_the_code_names_is_in_the_statement(statement):
    found = statuses_in_code()
    assert {"0xFF01", "0xA702", "0x0131", "0x0211"} <= set(found)
    for status, where in found.items():
        assert status in STATUS.findall(statement), where


def test_whatever_an_arriving_object_may_raise_is_a_status_of_c_store(statement):
    from pacs_common import errors

    listed = STATUS.findall(section(statement, "7.3.2.5 Storage"))
    paths = [ROOT / "dicom_node" / part for part in WAY_IN]
    files = [file for path in paths for file in ([path] if path.suffix else path.glob("*.py"))]
    raised = {name for file in files for name in re.findall(r"raise (\w+)\(", file.read_text())}
    known = [kind for kind in errors.explained() if kind.__name__ in raised]
    assert len(known) >= 4
    for kind in [*known, errors.ArgensError]:
        assert f"0x{kind.dimse_status:04X}" in listed, kind.__name__


def test_every_class_syntax_and_key_of_the_node_is_in_the_statement(statement, node):
    assert len(node["classes"]) > 180 and len(node["attributes"]) > 80
    stated = cells(statement)
    in_text = {uid for uid in node["classes"] if f"({uid})" in statement}
    assert set(node["classes"]) <= stated | in_text
    assert set(node["syntaxes"]) <= stated
    rows = statement.splitlines()
    for tag in node["attributes"]:
        assert any(row.startswith("|") and tag in row and "UNIVERSAL" in row for row in rows), tag


def test_the_matching_that_the_statement_tells_is_that_of_the_query_engine(statement):
    rows = {row.split(" | ")[0].strip("| "): row for row in statement.splitlines() if "| " in row}
    assert "RANGE" in rows["Study Date (0008,0020)"]
    assert "WILDCARD" not in rows["Study Date (0008,0020)"]
    assert "WILDCARD, EMPTY, FUZZY" in rows["Patient's Name (0010,0010)"]
    assert "SINGLE_VALUE, UID LIST" in rows["Study Instance UID (0020,000D)"]
    assert "| UNIVERSAL |" in rows["Number of Study Related Instances (0020,1208)"]


def test_every_setting_that_the_statement_names_is_one(page, statement):
    declared = set(re.findall(r"\bPACS_[A-Z_]+\b", page))
    named = set(re.findall(r"\bPACS_[A-Z_]+\b", statement))
    assert len(named) > 30 and named <= declared


def test_the_licence_is_the_gpl_that_the_package_names():
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3" in (
        (ROOT / "LICENSE").read_text()
    )
    assert 'license = "GPL-3.0-or-later"' in (ROOT / "pyproject.toml").read_text()


def test_the_version_is_one():
    from pacs_common import VERSION

    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
