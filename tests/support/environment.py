"""Gives each suite its own role: settings and a data folder of its own, before Django starts.

Loaded by `-p` from pyproject.toml, so that `pytest tests/node` alone is enough. One pytest run
serves one role (Django knows one settings module a process); `make test` runs them all.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

SETTINGS = {
    "node": "dicom_node.settings",
    "archive": "archive_node.settings",
    "web": "pacs_web.settings",
}
KEPT = {"PACS_REQUIRE_SERVICES", "PACS_TEST_SOAK", "PACS_TEST_SEED"}
OF_ROLE = {
    "node": {
        "PACS_NODE_NAME": "CT",
        "PACS_AE_TITLE": "ARGENS_CT",
        "PACS_ACCEPT_LOOPBACK": "yes",
        "PACS_DEFAULT_ISSUER": "FREJUS",
        "PACS_RESERVE_BYTES": str(1 << 20),
    },
}


def roles_asked(argv: list[str]) -> set[str]:
    """Return the roles whose suites the command line names."""
    asked = set()
    for word in argv:
        parts = Path(word.split("::")[0]).parts
        if "tests" in parts:
            asked |= set(parts[parts.index("tests") + 1 :][:1]) & set(SETTINGS)
    return asked


def prepare() -> None:
    """Set the environment of the one role that is asked for, if any."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:  # the role is inherited; the folder is the worker's own
        _use(os.path.join(os.environ["PACS_DATA_DIR"], worker))
        return
    roles = roles_asked(sys.argv[1:])
    if len(roles) > 1:
        raise SystemExit("one role a run: pytest tests/node, then tests/archive, then tests/web")
    folder = tempfile.mkdtemp(prefix="argens-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("PACS_")]:
        if name not in KEPT:
            del os.environ[name]
    _use(folder)
    for role in roles:
        os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS[role]
        os.environ.update(OF_ROLE.get(role, {}))


def _use(folder: str) -> None:
    os.environ["PACS_DATA_DIR"] = folder
    os.environ["PACS_TRUST_DIR"] = os.path.join(folder, "trust")


prepare()
