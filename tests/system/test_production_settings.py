"""The examples of settings, and every setting that a deployment names, are those of the code."""

from __future__ import annotations

import re

import pytest

from deploy import make_env
from tests.support.roles import ROOT

DEPLOY = ROOT / "deploy"
KNOWN = set(re.findall(r"^\| `(PACS_\w+)`", (ROOT / "docs" / "settings.md").read_text(), re.M))
NAMED_IN = [
    file
    for file in sorted(DEPLOY.rglob("*"))
    if file.is_file() and "__pycache__" not in file.parts and "secrets" not in file.parts
]


@pytest.mark.parametrize("role", make_env.TOLD)
def test_an_example_holds_every_setting_of_its_role(role):
    assert (DEPLOY / "env" / f"{role}.env").read_text() == make_env.text(role), (
        "run: .venv/bin/python -m deploy.make_env"
    )
    names = re.findall(r"^#?(PACS_\w+)=", make_env.text(role), re.MULTILINE)
    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize("file", NAMED_IN, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_a_deployment_names_only_settings_that_there_are(file):
    for name in re.findall(r"\bPACS_[A-Z_]*[A-Z]\b", file.read_text()):
        assert name in KNOWN or name.removesuffix("_FILE") in KNOWN, name
