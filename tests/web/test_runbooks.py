"""What the runbooks and tutorials tell people to do: pages, commands, alarms, settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from pacs_web.archive.words import ALARMS
from tests.support.roles import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "runbooks").glob("*.md"), *(DOCS / "tutorials").glob("*.md")])
OF_ITS_OWN_FORM = {"index", "node-lost"}
RUNBOOKS = [
    one for one in PAGES if one.parent.name == "runbooks" and one.stem not in OF_ITS_OWN_FORM
]
PARTS = [
    "How you notice",
    "What is safe meanwhile",
    "What to do",
    "How you know that it is over",
    "Never",
]
COMMAND = re.compile(r"manage\.py (node|archive|web) ([a-z][a-z-]+)([^`\n#(]*)")
ADDRESS = re.compile(r"`(/(?!etc/)[a-z][a-z/-]*/)(?:\?[^`]*)?`")
ROLES = {"node": "dicom_node", "archive": "archive_node", "web": "pacs_web"}
ELSEWHERE = {"/dicom-web/", "/rescue/"}  # the node's
COMMON = {"migrate", "check"}  # Django's own


def named(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("page", RUNBOOKS, ids=named)
def test_a_runbook_has_its_five_parts(page: Path) -> None:
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == PARTS
    assert f"]({page.name})" in (page.parent / "index.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_that_is_told_is_one(page: Path) -> None:
    for role, command, rest in COMMAND.findall(page.read_text()):
        if command in COMMON:
            continue
        file = ROOT / ROLES[role] / "management" / "commands" / f"{command}.py"
        assert file.exists(), f"{page.name}: manage.py {role} {command}"
        known = file.read_text()
        if "peer_arguments" in known:
            known += (ROOT / "dicom_node" / "management" / "peer_arguments.py").read_text()
        for option in re.findall(r"--[a-z][a-z-]+", rest):
            assert f'"{option}"' in known, f"{page.name}: manage.py {role} {command} {option}"
        act = re.match(r" ([a-z]+)\b", rest)
        if act and "add_parser" in known:
            assert f'"{act[1]}"' in known, f"{page.name}: manage.py {role} {command} {act[1]}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_page_of_the_portal_that_is_told_is_one(page: Path) -> None:
    for address in set(ADDRESS.findall(page.read_text())) - ELSEWHERE:
        try:
            resolve(address)
        except Resolver404:
            pytest.fail(f"{page.name} names {address}")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_alarm_service_and_setting_that_is_told_is_one(page: Path) -> None:
    text = page.read_text()
    for alarm in re.findall(r"`([a-z]+-[a-z-]+)`", text):
        if alarm.startswith("argens-"):
            assert (ROOT / "deploy" / "systemd" / f"{alarm}.service").exists(), alarm
        elif not any(ROOT.glob(f"*/management/commands/{alarm}.py")) and alarm != "out-of-use":
            assert alarm in ALARMS, alarm
    settings = (DOCS / "settings.md").read_text()
    for setting in re.findall(r"\bPACS_[A-Z_]+[A-Z]\b", text):
        assert f"`{setting}`" in settings or setting.startswith("PACS_DEMO_"), setting


def test_the_commands_and_pages_are_really_looked_at() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert len(COMMAND.findall(text)) > 20 and len(set(ADDRESS.findall(text))) > 20
    assert {"migrate", "check"} <= set(get_commands())
