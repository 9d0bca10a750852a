"""The lines of curl in README.md, run as they stand there, against a portal and a node."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.filewriter import dcmwrite

from tests.support import roles
from tests.support.data_sets import EXPLICIT, STUDY, ct
from tests.support.roles import ROOT
from tests.support.services import require


@dataclass
class Network:
    """A running portal with one node, and the folder in which the lines are run."""

    portal: roles.Role
    folder: Path
    token: str


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("readme")
    nodes = {"CT": roles.node(folder, "CT")}
    portal = roles.portal(folder, nodes, "")
    portal.env.pop("PACS_ARCHIVE_URL")
    ds = ct(1, Rows=64, Columns=64, PixelData=bytes(64 * 64 * 2), PatientName="Lefevre^Jean")
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    dcmwrite(folder / "image.dcm", ds, enforce_file_format=True)
    with roles.running(*nodes.values(), portal):
        yield Network(portal, folder, roles.accounts(folder)["technologist"]["token"])


def lines() -> dict[str, str]:
    """Return the lines of README.md that call curl, by the word after their `#`."""
    text = (ROOT / "README.md").read_text()
    found = [line.rpartition("#") for line in text.splitlines() if line.startswith("curl ")]
    return {said.split()[0].strip(":,"): command for command, _, said in found}


def test_the_lines_of_the_readme_work(network: Network) -> None:
    require("curl")
    opening = next(line for line in (ROOT / "README.md").read_text().splitlines() if "WEB=" in line)
    opening = opening.replace("http://127.0.0.1:8000", network.portal.url)
    opening = opening.replace("TOKEN", network.token).replace("STUDY=1.2.3", f"STUDY={STUDY}")

    def run(command: str) -> str:
        line = f"{opening}\n{command.replace('curl ', 'curl -fsS ', 1)}"
        done = subprocess.run(
            ["bash", "-c", line], cwd=network.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    told = lines()
    assert set(told) == {"store", "search", "every", "a", "all", "reject"}
    assert "00081199" in json.loads(run(told["store"]))
    assert len(json.loads(run(told["search"]))) == 1
    assert json.loads(run(told["every"]))[0]["0020000D"]["Value"] == [STUDY]
    run(told["a"])
    assert (network.folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    run(told["all"])
    assert len(zipfile.ZipFile(network.folder / "exam.zip").namelist()) == 1
    assert "rejection" in json.loads(run(told["reject"]))
    assert json.loads(run(told["search"])) == []
