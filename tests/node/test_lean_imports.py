"""What a node's processes do not load: parts of libraries that nothing of it uses."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.roles import ROOT

UNUSED = ("requests", "httpx._main")


def told(code: str) -> str:
    """Return what a new Python says to code."""
    argv = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout.strip()


def test_a_node_loads_no_downloader_and_no_command_line_of_its_libraries():
    code = "import dicom_node, pydicom, httpx, sys; print([n for n in {} if n in sys.modules])"
    assert told(code.format(UNUSED)) == "[]"


def test_who_needs_them_has_them_before_and_after():
    code = "{}import dicom_node, requests, sys; print(sys.modules['requests'] is requests)"
    assert told(code.format("")) == told(code.format("import requests; ")) == "True"
