"""`make messages`: the French catalogues of portal and node, up to date with their texts.

    python -m tests.support.catalogue [--check]

Texts are collected from pages and code by GNU gettext through Django; what is new comes in
untranslated, what is gone leaves. `--check` writes nothing and says what is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEAKING = (ROOT / "pacs_web", ROOT / "dicom_node")  # the node on its rescue page
CATALOGUE = Path("locale/fr/LC_MESSAGES/django.po")


def main(arguments: list[str]) -> int:
    """Bring the catalogues up to date, or say what is missing in them; 1 where something is."""
    check = checked if "--check" in arguments else untranslated
    missing = [text for role in SPEAKING for text in check(role)]
    print("\n".join(missing) or "every text is translated")
    return 1 if missing else 0


def checked(role: Path) -> list[str]:
    """Return what a role's catalogue lacks, found in a copy of it."""
    with tempfile.TemporaryDirectory(prefix="argens-catalogue-") as folder:
        copy = Path(folder) / role.name
        ignored = shutil.ignore_patterns("__pycache__", "static")
        shutil.copytree(role, copy, ignore=ignored)
        missing = untranslated(copy)
        compiled = CATALOGUE.with_suffix(".mo")
        if not missing and (copy / compiled).read_bytes() != (role / compiled).read_bytes():
            return ["the compiled catalogue is not that of the texts: make messages"]
        return missing


def untranslated(role: Path) -> list[str]:
    """Collect the texts of a role into its catalogue, compile it, return what has no French."""
    _manage(role, "makemessages", "-l", "fr", "--no-obsolete", "--no-wrap", "--no-location")
    path = role / CATALOGUE
    text = re.sub(r'^"POT-Creation-Date:.*\n', "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    _manage(role, "compilemessages", "-l", "fr")
    return [_text(entry) for entry in text.split("\n\n")[1:] if _is_missing(entry)]


def _is_missing(entry: str) -> bool:
    """Whether an entry has an empty translation or one that gettext only guessed."""
    said = re.findall(r'^msgstr(?:\[\d\])? "(.*)"((?:\n".*")*)', entry, flags=re.MULTILINE)
    return "#, fuzzy" in entry or any(not first and not rest for first, rest in said)


def _text(entry: str) -> str:
    return next((line for line in entry.splitlines() if line.startswith("msgid")), entry)


def _manage(role: Path, *command: str) -> None:
    """Run a command of Django inside a role's folder, with no project's settings."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "django.conf.global_settings"}
    environment.pop("PYTHONPATH", None)
    argv = [sys.executable, "-m", "django", *command, "-v", "0"]
    subprocess.run(argv, cwd=role, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
