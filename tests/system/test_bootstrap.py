"""`deploy/bootstrap.py`: what it says when it cannot, what it installs when it can."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "bootstrap.py"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the script and a lock file that names nothing."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(SCRIPT, tmp_path / "deploy")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing\n")
    return tmp_path


def run(
    clone: Path, *arguments: str, python: str = sys.executable, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "deploy/bootstrap.py", *arguments],
        cwd=clone,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def pretending(clone: Path, version: str) -> Path:
    """Return a Python that believes it is of another version when it runs the script."""
    starter = clone / "old.py"
    starter.write_text(
        "import sys\n"
        "class V(tuple):\n    pass\n"
        f"sys.version_info = V({version})\n"
        "path = sys.argv[1]\n"
        "sys.argv = sys.argv[1:]\n"
        "exec(compile(open(path).read(), path, 'exec'), "
        "{'__name__': '__main__', '__file__': path})\n"
    )
    return program(clone / "old-python", f'exec {sys.executable} {starter} "$@"')


def test_the_script_can_be_read_by_very_old_pythons():
    source = SCRIPT.read_text(encoding="ascii")
    ast.parse(source, feature_version=(3, 4))
    assert "from __future__ import print_function" in source
    for newer in ('f"', "nonlocal", ":=", " -> ", "yield from", "raise_from", " from None"):
        assert newer not in source, newer


def test_python_2_says_what_is_needed(clone):
    python2 = shutil.which("python2.7")
    if python2 is None or subprocess.run([python2, "-V"], capture_output=True).returncode:
        pytest.skip("no Python 2.7 on this machine (the syntax is checked by another test)")
    nowhere = clone / "bin"
    nowhere.mkdir()
    done = run(clone, python=python2, PATH=str(nowhere))
    assert done.returncode == 2
    assert done.stderr.startswith("Argens needs Python 3.11 to 3.13; this is 2.7.")


def test_a_python_that_is_too_old_says_so_in_one_line(clone):
    old = pretending(clone, "(3, 8, 18, 'final', 0)")
    nowhere = clone / "bin"
    nowhere.mkdir()
    done = run(clone, python=str(old), PATH=str(nowhere))
    assert done.returncode == 2
    assert done.stderr == (
        f"Argens needs Python 3.11 to 3.13; this is 3.8.18 ({sys.executable}). Set PYTHON=...\n"
    )
    assert not (clone / ".venv").exists()


def test_a_newer_python_of_the_path_is_used_instead(clone):
    old = pretending(clone, "(3, 8, 18, 'final', 0)")
    commands = clone / "bin"
    commands.mkdir()
    program(commands / "python3.13", "exit 127")  # a shim that fails, as pyenv's do
    major, minor = sys.version_info[:2]
    program(commands / f"python{major}.{minor}", f'exec {sys.executable} "$@"')
    done = run(clone, python=str(old), PATH=f"{commands}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert (clone / ".venv/bin/python").exists()


@pytest.mark.slow
def test_libraries_are_installed_once_for_each_lock_file(clone):
    first = run(clone)
    assert first.returncode == 0, first.stderr
    assert first.stdout == ("Installing Argens' libraries into .venv (about a minute, once)...\n")
    again = run(clone)
    assert (again.returncode, again.stdout) == (0, "")
    (clone / "requirements.txt").write_text("# changed\n")
    assert run(clone).stdout == first.stdout


@pytest.mark.slow
def test_what_the_tests_need_serves_the_demo_too(clone):
    assert run(clone, "--dev").stdout
    assert run(clone).stdout == ""


@pytest.mark.slow
def test_no_network_is_one_line(clone):
    (clone / "requirements.txt").write_text("argens-absent==1 --hash=sha256:" + "0" * 64 + "\n")
    done = run(clone, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0", PIP_NO_CACHE_DIR="1")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Argens' libraries could not be installed (is there a network?)")


def test_a_missing_venv_module_names_the_package(clone):
    (clone / "deploy" / "ensurepip.py").write_text("raise ImportError\n")  # as Debian without it
    done = run(clone)
    assert done.returncode == 2
    assert done.stderr.endswith("has no venv module: apt install python3-venv\n")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(clone):
    (clone / ".venv").write_text("in the way")
    done = run(clone)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cannot write {clone / '.venv'}: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_lock_file_is_one_line(clone):
    (clone / "requirements.txt").unlink()
    done = run(clone)
    assert done.returncode == 2
    assert done.stderr.startswith("cannot read ") and done.stderr.count("\n") == 1
