"""What the format's page shows is run as it stands there, with tar, sha256sum and Python alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archive_node.vault import encryption, volume
from archive_node.vault.tape import TapeLibrary
from tests.contract.test_volume_format import CONTENTS, HELD_BACK, KEY, held_back, member, of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "archive-volume.md"
LARGE = {**CONTENTS, "1.2.5": b"0123456789abcdef" * 150_000}  # of three segments
STUDY = "1.2.840.113619.2.55"


def shown(language: str, number: int = 0) -> str:
    """Return a block of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for program in ("tar", "sha256sum", "bash"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    return tmp_path


def kept(home: Path, key: encryption.Key | None) -> None:
    """Write one member of the page's study into a library below `home`."""
    library = TapeLibrary.create(home / "vault", name="v", drives=1, volume_bytes=10**7)
    made = member(LARGE, key, held_back())
    library.append(
        f"CT/{STUDY}/r3-1.tar", made.size_bytes, lambda file: made.write(file, of(LARGE))
    )


def run_shell(home: Path, script: str) -> str:
    script = script.replace("/vault", str(home / "vault"))
    done = subprocess.run(
        ["bash", "-euc", script], cwd=home, capture_output=True, text=True, check=True
    )
    return done.stdout


def assert_recovered(folder: Path) -> None:
    for uid, content in LARGE.items():
        assert (folder / "instances" / f"{uid}.dcm").read_bytes() == content
    assert (folder / held_back().path).read_bytes() == HELD_BACK


def test_a_study_is_recovered_with_tar_and_sha256sum_alone(home):
    kept(home, None)
    proof = run_shell(home, shown("sh"))
    assert proof.count(": OK") == 2 + len(LARGE)
    assert_recovered(home / "recovered" / "r3-1")


def test_the_manifests_are_read_with_tar_alone(home):
    kept(home, None)
    assert json.loads(run_shell(home, shown("sh", 1)))["study"]["description"] == "Crâne"


def recovered(home: Path, key: bytes) -> subprocess.CompletedProcess[str]:
    (home / "recover.py").write_text(shown("python"))
    return subprocess.run(
        [sys.executable, home / "recover.py", base64.b64encode(key).decode()],
        cwd=home / "recovered" / "r3-1",
        capture_output=True,
        text=True,
    )


def test_an_encrypted_study_is_proven_without_the_key_and_recovered_with_it(home):
    kept(home, KEY)
    assert run_shell(home, shown("sh")).count(": OK") == 3 + len(LARGE)
    done = recovered(home, KEY.secret)
    assert done.returncode == 0, done.stderr
    assert_recovered(home / "recovered" / "r3-1")
    manifest = json.loads((home / "recovered" / "r3-1" / "MANIFEST").read_text())
    assert manifest["format"] == volume.FORMAT
    assert manifest["study"]["description"] == "Crâne"


def test_another_key_recovers_nothing(home):
    kept(home, KEY)
    run_shell(home, shown("sh"))
    assert "InvalidTag" in recovered(home, bytes(32)).stderr
