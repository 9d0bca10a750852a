"""Whether the role of this container is ready: exit status 0 and "ready", or 1 and why not.

    python deploy/healthy.py

Needs nothing but Python: it asks the role's own /readyz on PACS_HTTP_PORT of loopback.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0
LONGEST = 2000


def main() -> int:
    """Ask once."""
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
    sys.exit(main())
