"""Whether the role of this container is ready: exit status 0 and "ready", or 1 and why not.

    python deploy/healthy.py            # asks /readyz on PACS_HTTP_PORT of loopback
    python deploy/healthy.py worker     # or beat: looks at the sign of life below PACS_DATA_DIR

Needs nothing but Python.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 4.0
LONGEST = 2000


def main(argv: list[str]) -> int:
    """Ask once; of a process that has no port, look at its sign of life."""
    return shows_life(argv[0]) if argv else answers()


def shows_life(name: str) -> int:
    """Look when the archive's worker or beat last did something, and how long it may be silent."""
    file = Path(os.environ.get("PACS_DATA_DIR", "")) / "alive" / name
    try:
        silent_s = time.time() - file.stat().st_mtime
        longest_s = float(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"the {name} has given no sign of life: {error}", file=sys.stderr)
        return 1
    if silent_s > longest_s:
        print(f"the {name} is silent for {silent_s:.0f} s, over {longest_s:g} s", file=sys.stderr)
        return 1
    print("ready")
    return 0


def answers() -> int:
    """Ask the role's own /readyz."""
    port = os.environ.get("PACS_HTTP_PORT", "")
    if not port.isdigit():
        print("PACS_HTTP_PORT is not set to a port", file=sys.stderr)
        return 1
    host = os.environ.get("PACS_ALLOWED_HOSTS", "localhost").split(",")[0].strip()
    # the port is a number and the address loopback: no other scheme can be asked for
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": host})
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S):  # noqa: S310
            print("ready")
            return 0
    except urllib.error.HTTPError as error:
        print(f"{error.code} {error.read(LONGEST).decode('utf-8', 'replace')}", file=sys.stderr)
    except OSError as error:
        print(f"no answer on port {port}: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
