"""What deploy/install.sh refuses, and how its options are understood. Nothing is installed here."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.roles import ROOT
from tests.support.services import require

DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "install.sh"
PARTS = sorted((DEPLOY / "install").glob("*.sh"))
SCRIPTS = [
    SCRIPT,
    *PARTS,
    DEPLOY / "install" / "argens",
    *sorted((DEPLOY / "compose").glob("*.sh")),
]


def run(folder: Path, *options: str, uid: int = 1000) -> subprocess.CompletedProcess[str]:
    """Run the script as somebody who may not install: at the latest there it ends."""
    stand_in = folder / "id"
    stand_in.write_text(f"#!/bin/sh\necho {uid}\n")
    stand_in.chmod(0o755)
    return subprocess.run(
        ["bash", str(SCRIPT), *options],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def understood(*options: str) -> dict[str, str]:
    """Return the variables after the options were read, without anything else being done."""
    script = f'. {DEPLOY}/install/steps.sh; . {DEPLOY}/install/options.sh; read_options "$@"; '
    script += "check_options; set -o posix; set"
    done = subprocess.run(
        ["bash", "-c", script, "sh", *options], capture_output=True, text=True, check=True
    )
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "say which role: node, archive, portal or all (--help tells more)"),
        (("pacs",), "there is no role 'pacs': node, archive, portal or all"),
        (("node", "archive"), "one role at a time: node or archive"),
        (("node",), "what is the node called? Give --name (like CT) or --ae (like ARGENS_CT)"),
        (("node", "--colour"), "there is no option --colour (--help lists them)"),
        (("node", "--ae"), "--ae wants a value"),
        (("node", "--ae", "A\\B"), "--ae: 'A\\B' is not an AE title"),
        (("node", "--ae", "A" * 17), "is not an AE title (1 to 16 characters"),
        (("node", "--ae", "CT\nPACS_X=1"), "--ae: a value of one line is wanted"),
        (("node", "--name", "../CT"), "--name: '../CT' is not letters, digits"),
        (("node", "--name", "ABCDEFGHIJ"), "--ae is wanted: ARGENS_ABCDEFGHIJ is longer than 16"),
        (("node", "--name", "CT", "--dicom-port", "0"), "'0' is not a port (1 to 65535)"),
        (("node", "--name", "CT", "--dicom-port", "70000"), "'70000' is not a port"),
        (("node", "--name", "CT", "--portal", "portal"), "'portal' is no http(s) address"),
        (("portal", "--nodes", "CT=ct:8101"), "--nodes: 'CT=ct:8101' is not NAME=http(s)://..."),
        (("portal", "--host", "a b"), "--host: 'a b' is not a host name"),
        (("portal", "--data", "var"), "--data: 'var' is not the full path of a folder"),
        (("portal", "--tls-key", "/dev/null"), "--tls-cert and --tls-key go together"),
        (("portal", "--purge-data"), "--purge-data goes with --uninstall"),
        (("portal", "--trust", "/nowhere/x.pem"), "cannot read '/nowhere/x.pem'"),
        (("portal", "--trust", "/dev/null"), "is not called portal.pub.pem or archive.pub.pem"),
        (("archive", "--allow", "portal"), "--allow: 'portal' is no address or network"),
        (("all", "--name", "CT", "--http-port", "8000"), "--http-port is for one role, not"),
        (("portal", "--root", "/nowhere"), "--root: there is no folder '/nowhere'"),
        (("portal",), "only root can install: sudo"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_line_before_anything_is_done(tmp_path, options, line):
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("release", "line"),
    [
        (None, "this is no Debian 12 or 13: there is no"),
        (
            'ID=ubuntu\nVERSION_ID="24.04"\n',
            "this is ubuntu 24.04: Argens is installed on Debian 12",
        ),
        ('ID=debian\nVERSION_ID="11"\n', "this is debian 11"),
        ('ID=debian\nVERSION_ID="12"\n', "--root starts nothing, so no PostgreSQL either"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_before_anything_is_done(tmp_path, release, line):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    if release is not None:
        (root / "etc" / "os-release").write_text(release)
    before = sorted(root.rglob("*"))
    done = run(tmp_path, "portal", "--root", str(root), uid=0)
    assert done.returncode == 2 and line in done.stderr
    assert sorted(root.rglob("*")) == before


def test_a_name_gives_the_ae_title_and_the_other_way_round():
    assert understood("node", "--name", "CT")["AE"] == "ARGENS_CT"
    assert understood("node", "--ae", "ARGENS_CR")["NAME"] == "CR"
    assert understood("node", "--ae", "SCANNER", "--name", "CT")["NAME"] == "CT"


def test_all_are_the_three_roles_of_one_pc():
    assert understood("all", "--name", "CT")["ROLES"] == "'node archive portal'"


def test_the_help_names_every_option_that_is_read(tmp_path):
    told = run(tmp_path, "--help")
    assert told.returncode == 0
    code = (DEPLOY / "install" / "options.sh").read_text()
    reading = code.partition("read_options()")[2].partition("take_value()")[0]
    read = set(re.findall(r"--[a-z-]+", reading))
    assert len(read) > 20
    assert read <= set(re.findall(r"--[a-z-]+", told.stdout)) | {"--help"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_no_fault(script):
    done = subprocess.run([require("shellcheck"), str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_command_argens_says_what_it_wants(tmp_path):
    command = ["bash", str(DEPLOY / "install" / "argens"), "pacs"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.split(" COMMAND")[0]) == (2, "argens node|archive|portal")


def commands_of_the_page() -> list[str]:
    page = (ROOT / "docs" / "installation.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize(
    "line", [line for line in commands_of_the_page() if line.startswith("deploy/install.sh")]
)
def test_every_installation_that_the_page_shows_is_understood(tmp_path, line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = line.partition("  #")[0].split()[1:]
    for word in words:
        if word.endswith((".pem", ".key")):
            (tmp_path / word).touch()
    if words[0] == "node" and not {"--name", "--ae", "--uninstall", "--upgrade"} & set(words):
        installed = tmp_path / "etc" / "argens"  # the page says so of a node that is there
        installed.mkdir(parents=True)
        (installed / "node.env").touch()
        words += ["--root", str(tmp_path)]
    assert understood(*words)["ROLE"] == words[0]


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in commands_of_the_page()
        if re.search(r"\bargens (node|archive|portal) ", line)
    ],
)
def test_every_command_that_the_page_shows_is_there(line):
    role, command = re.search(r"\bargens (node|archive|portal) ([\w-]+)", line).groups()
    app = {"node": "dicom_node", "archive": "archive_node", "portal": "pacs_web"}[role]
    assert (ROOT / app / "management" / "commands" / f"{command}.py").exists()
