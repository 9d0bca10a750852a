"""The lines of docs/runbooks/database-lost.md, run as they stand, on roles that lost theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from pydicom.filewriter import dcmwrite

from tests.browser.hospital import send
from tests.support import roles
from tests.support.data_sets import EXPLICIT, STUDY, ct

pytestmark = pytest.mark.slow
PAGE = roles.ROOT / "docs" / "runbooks" / "database-lost.md"


def lines_after(words: str) -> str:
    """Return the first block of commands after some words, without the one that never ends."""
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text().split(words, 1)[1], re.DOTALL)
    assert block
    return "\n".join(line for line in block[1].splitlines() if not line.endswith(" run"))


def run_lines(role: roles.Role, lines: str, typed: str = "") -> str:
    """Run them in the shell of the role's machine, with what is typed there."""
    done = subprocess.run(
        ["bash", "-euc", lines.replace("manage.py", f"{sys.executable} manage.py")],
        cwd=roles.ROOT,
        env={"PATH": os.environ["PATH"], **role.env},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_nodes_index_comes_back_from_its_disk(tmp_path: Path) -> None:
    node = roles.node(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    for number in (1, 2):
        ds = ct(number)
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = EXPLICIT
        dcmwrite(images / f"{number}.dcm", ds, enforce_file_format=True)
    with roles.running(node):
        send(node, images)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lines = lines_after("**A node's index.**").replace("/somewhere/else/", f"{elsewhere}/")
    told = run_lines(node, lines)
    assert "2 instances indexed" in told and "0 damaged or gone" in told
    assert (elsewhere / "index.sqlite3").exists()
    with roles.running(node):
        found = node.command("find", "127.0.0.1", str(node.dicom_port), f"StudyInstanceUID={STUDY}")
        assert STUDY in found.stdout, found.stderr


def test_the_archives_catalogue_comes_back_from_its_volumes(tmp_path: Path) -> None:
    node = roles.node(tmp_path, PACS_PREPARE_AFTER_S="0")
    archive = roles.archive(tmp_path, {"CT": node})
    images = tmp_path / "images"
    images.mkdir()
    ds = ct(1)
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    dcmwrite(images / "1.dcm", ds, enforce_file_format=True)
    with roles.running(node, archive):
        send(node, images)
        until_copied(archive)
    for file in Path(archive.env["PACS_DATA_DIR"]).glob("archive.sqlite3*"):
        file.unlink()
    told = run_lines(archive, lines_after("**The archive's catalogue.**"))
    assert "1 added, 1 proven" in told
    with roles.running(archive):
        pass


def test_the_portal_begins_anew_with_an_account_for_it(tmp_path: Path) -> None:
    portal = roles.portal(tmp_path, {}, "")
    for empty in ("PACS_ARCHIVE_URL", "PACS_NODES", "PACS_DEMO_ACCOUNTS_FILE"):
        portal.env.pop(empty)
    told = run_lines(portal, lines_after("Only a backup brings back"), "a long sentence 47\n")
    assert "chief may log in as it" in told
    with roles.running(portal):
        assert httpx.get(f"{portal.url}/login/", timeout=10).status_code == 200
        run_lines(portal, lines_after("people log in, and"))


def until_copied(archive: roles.Role) -> None:
    """Wait until the archive has finished a copy."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        text = httpx.get(f"{archive.url}/metrics", timeout=10).text
        if re.search(r'^argens_archive_jobs\{.*state="done".*\} [1-9]', text, re.MULTILINE):
            return
        time.sleep(0.2)
    raise AssertionError(text)
