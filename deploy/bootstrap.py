"""Makes .venv with Argens' libraries. Parses on Python 2.7 too, so that it can say what it needs.

    python3 deploy/bootstrap.py [--dev]

Exit status 0 when .venv is ready, 2 with one line on standard error when it cannot be.
"""

# ruff: noqa: B904, RUF005, S603, UP010, UP024, UP031 - a Python too old must be able to read this
from __future__ import print_function

import hashlib
import os
import subprocess
import sys

LOWEST, HIGHEST = (3, 11), (3, 13)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")


class CannotStart(Exception):
    """Why .venv cannot be made, as one line."""


def main(arguments):
    """Make .venv ready and return the exit status."""
    try:
        if not LOWEST <= sys.version_info[:2] <= HIGHEST:
            return run_with_another_python(arguments)
        prepare("--dev" in arguments)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def run_with_another_python(arguments):
    """Run this script again with a Python of PATH that fits; return its exit status."""
    for minor in range(HIGHEST[1], LOWEST[1] - 1, -1):
        name = "python3.%d" % minor
        if works(name):
            return subprocess.call([name, os.path.abspath(__file__)] + arguments)
    raise CannotStart(
        "Argens needs Python %d.%d to %d.%d; this is %d.%d.%d (%s). Set PYTHON=..."
        % (LOWEST + HIGHEST + tuple(sys.version_info[:3]) + (sys.executable,))
    )


def works(name):
    """Return whether a program of PATH runs and is a Python that fits."""
    check = "import sys; sys.exit(not %r <= sys.version_info[:2] <= %r)" % (LOWEST, HIGHEST)
    try:
        with open(os.devnull, "w") as nowhere:
            return subprocess.call([name, "-c", check], stdout=nowhere, stderr=nowhere) == 0
    except OSError:
        return False


def prepare(dev):
    """Make .venv if it is not there, and install what the lock file names if that changed."""
    lock = os.path.join(ROOT, "requirements-dev.txt" if dev else "requirements.txt")
    wanted = digest(lock)
    if installed(wanted, dev):
        return
    make_venv()
    print("Installing Argens' libraries into .venv (about a minute, once)...")
    sys.stdout.flush()
    install(lock)
    with open(stamp(dev), "w") as file:
        file.write(wanted)


def digest(lock):
    """Return what identifies a lock file together with the Python that installs it."""
    try:
        with open(lock, "rb") as file:
            content = file.read()
    except (IOError, OSError) as error:
        raise CannotStart("cannot read %s: %s" % (lock, error.strerror))
    return "%s %d.%d" % ((hashlib.sha256(content).hexdigest(),) + tuple(sys.version_info[:2]))


def stamp(dev):
    """Return the file that says which lock file was installed."""
    return os.path.join(VENV, "installed-dev" if dev else "installed")


def installed(wanted, dev):
    """Return whether .venv holds what `wanted` names; the tests' list holds the demo's too."""
    if not works(VENV_PYTHON):
        return False
    lists = [(stamp(dev), wanted)]
    if not dev:
        lists.append((stamp(True), digest(os.path.join(ROOT, "requirements-dev.txt"))))
    return any(content(path) == text for path, text in lists)


def content(path):
    """Return a small file's text, or None."""
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return None


def make_venv():
    """Make .venv, unless one with a fitting Python is there."""
    if works(VENV_PYTHON) and same_python():
        return
    try:
        import ensurepip  # noqa: F401 - Debian ships venv without it
        import venv
    except ImportError:
        raise CannotStart(
            "this Python (%s) has no venv module: apt install python3-venv" % sys.executable
        )
    try:
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(VENV)
    except OSError as error:
        raise CannotStart("cannot write %s: %s" % (VENV, error.strerror))
    except subprocess.CalledProcessError:
        raise CannotStart("cannot make %s: its pip could not be installed" % VENV)


def same_python():
    """Return whether .venv was made by this version of Python."""
    check = "import sys; sys.exit(sys.version_info[:2] != %r)" % (tuple(sys.version_info[:2]),)
    return subprocess.call([VENV_PYTHON, "-c", check]) == 0


def install(lock):
    """Install a lock file, every package checked against its hash."""
    command = [VENV_PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--require-hashes", "--no-input", "-r", lock]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode != 0:
        raise CannotStart(
            "Argens' libraries could not be installed (is there a network?): %s"
            % last_error(output)
        )


def last_error(output):
    """Return the line of pip's output that says most."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip said nothing"])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
