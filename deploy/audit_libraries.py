"""Looks up known weaknesses of the locked libraries: `make audit`. Advice, never a gate.

pip-audit asks the vulnerability database of the package index. Where that cannot be reached, or
does not know the libraries (a mirror), nothing was audited, and that is what is said; the exit
status is 0 all the same, because a build must not depend on somebody else's server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
WAIT_S = 300


def main(arguments: list[str]) -> int:
    """Print what was found, or why nothing could be looked up."""
    lock = arguments[0] if arguments else str(LOCK)
    how = [sys.executable, "-m", "pip_audit", "-r", lock, "--disable-pip", "--require-hashes"]
    command = [*how, "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, timeout=WAIT_S
        )
        told = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        print(f"not audited: the database did not answer within {WAIT_S} s")
    except (ValueError, KeyError):
        why = done.stderr.strip().splitlines() or ["no answer"]
        print(f"not audited: {why[-1][:300]}")
    else:
        print("\n".join(lines(told)))
    return 0


def lines(told: list[dict[str, Any]]) -> list[str]:
    """Return what pip-audit's answer says, in lines."""
    unknown = [one["name"] for one in told if "skip_reason" in one]
    weak = [
        f"{one['name']} {one['version']}: {found['id']}"
        + (f", mended in {found['fix_versions'][0]}" if found["fix_versions"] else "")
        for one in told
        for found in one.get("vulns", [])
    ]
    asked = len(told) - len(unknown)
    if not asked:
        return ["not audited: the database that is reached from here knows none of the libraries"]
    summary = f"{asked} libraries looked up, {len(weak)} known weaknesses"
    missed = [f"not looked up: {', '.join(unknown)}"] if unknown else []
    return [*weak, *missed, summary]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
