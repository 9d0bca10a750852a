"""Databases as a role's migrations leave them, made once for all tests of this machine.

A role that starts on an empty folder migrates for a second or two of processor time; a copy of
what comes of it takes none. A change of any migration makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"node": "index.sqlite3", "archive": "archive.sqlite3", "web": "portal.sqlite3"}
PACKAGES = {"node": "dicom_node", "archive": "archive_node", "web": "pacs_web"}


def put(role: str, data_dir: Path) -> None:
    """Give a role that has no database in `data_dir` a new one."""
    place = data_dir / NAMES[role]
    if place.exists():
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    fresh = data_dir / f".{NAMES[role]}.new"
    shutil.copyfile(_made(role), fresh)
    fresh.rename(place)


def _made(role: str) -> Path:
    folder = Path(tempfile.gettempdir()) / f"argens-test-databases-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f"{role}-{_digest(role)}.sqlite3"
    with (folder / f"{role}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in folder.glob(f"{role}-*.sqlite3"):
                old.unlink()
            _make(role, made)
    return made


def _make(role: str, made: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="argens-migrated-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PACS_")}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        env |= {"PACS_DATA_DIR": folder, "PACS_TRUST_DIR": f"{folder}/trust"}
        command = [sys.executable, str(ROOT / "manage.py"), role, "migrate", "--verbosity=0"]
        subprocess.run(command, env=env, check=True, capture_output=True)
        with closing(sqlite3.connect(Path(folder) / NAMES[role])) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        partial = made.with_suffix(".partial")
        shutil.copyfile(Path(folder) / NAMES[role], partial)
        partial.rename(made)


def _digest(role: str) -> str:
    """Return what changes with the migrations of a role and of the libraries they stand on."""
    told = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    for path in sorted((ROOT / PACKAGES[role]).rglob("migrations/*.py")):
        told.update(str(path.relative_to(ROOT)).encode())
        told.update(path.read_bytes())
    return told.hexdigest()[:16]
