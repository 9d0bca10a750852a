"""Writes deploy/env/ROLE.env from the settings that each role declares: one with a comment each.

    .venv/bin/python -m deploy.make_env

What a production role should be told stands at the top of each; all else is a comment that shows
the default. The installation script starts a role's /etc/argens/ROLE.env from these.
"""

from __future__ import annotations

import runpy
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "deploy" / "env"
SETTINGS = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))
SECTIONS = {"node": "A node", "archive": "The archive", "portal": "The portal"}
# The unit files give these: secrets are files of their own, folders are fixed.
SECRETS = {"PACS_SECRET_KEY", "PACS_DATABASE_URL", "PACS_TICKET_KEY"}
OF_THE_UNIT = {"PACS_DATA_DIR", "PACS_TRUST_DIR", *SECRETS}
FOR_OTHERS = {"PACS_DEMO_ACCOUNTS_FILE"}  # the demo alone
TOLD = {
    "node": {
        "PACS_GENERATE_SECRETS": "no",
        "PACS_NODE_NAME": "CT",
        "PACS_AE_TITLE": "ARGENS_CT",
        "PACS_DEFAULT_ISSUER": "HOSPITAL",
        "PACS_DICOM_BIND": "0.0.0.0",  # noqa: S104 - modalities are on the network
        "PACS_DICOM_PORT": "11112",
        "PACS_HTTP_BIND": "127.0.0.1",
        "PACS_HTTP_PORT": "8101",
        "PACS_PORTAL_URL": "https://portal.hospital.example",
    },
    "archive": {
        "PACS_GENERATE_SECRETS": "no",
        "PACS_NODES": "CT=https://ct.hospital.example:8443",
        "PACS_BROKER_URL": "redis://127.0.0.1:6379/0",
        "PACS_VAULTS": "vault-1=disk:/srv/argens-vault",
        "PACS_HTTP_BIND": "127.0.0.1",
        "PACS_HTTP_PORT": "8200",
    },
    "portal": {
        "PACS_GENERATE_SECRETS": "no",
        "PACS_ALLOWED_HOSTS": "portal.hospital.example",
        "PACS_HTTPS": "yes",
        "PACS_TRUSTED_PROXIES": "127.0.0.1/32",
        "PACS_NODES": "CT=https://ct.hospital.example:8443",
        "PACS_ARCHIVE_URL": "https://archive.hospital.example:8444",
        "PACS_HTTP_BIND": "127.0.0.1",
        "PACS_HTTP_PORT": "8000",
    },
}
HEAD = """\
# The settings of Argens' {role}: /etc/argens/{role}.env, owner root, mode 600.
#
# Made by deploy/make_env.py from the code. A line NAME=value takes effect at the next start; a line
# that begins with # shows the default. NAME_FILE=/a/file instead gives the file's content.
# The unit files give the folders, and the secrets as files of /etc/argens/secrets/{role}:
# secret-key is PACS_SECRET_KEY, database-url PACS_DATABASE_URL, ticket-key PACS_TICKET_KEY.
"""


def text(role: str) -> str:
    """Return the example of a role."""
    code, _ = SETTINGS["TITLES"][SECTIONS[role]]
    declared = {one["name"]: one for one in SETTINGS["declared"](code)}
    left_out = OF_THE_UNIT | FOR_OTHERS | TOLD[role].keys()
    lines = [HEAD.format(role=role), "# What it should be told\n"]
    lines += [_entry(declared[name], f"{name}={told}") for name, told in TOLD[role].items()]
    lines.append("# What it may be told\n")
    lines += [
        _entry(one, _default(one, role)) for one in declared.values() if one["name"] not in left_out
    ]
    return "\n".join(lines)


def _entry(one: dict[str, str], line: str) -> str:
    doc = f"{one['doc'].rstrip('.')}. ({one['kind']})"
    return textwrap.fill(doc, 98, initial_indent="# ", subsequent_indent="# ") + f"\n{line}\n"


def _default(one: dict[str, str], role: str) -> str:
    place = f"/var/lib/argens/{role}"
    return f"#{one['name']}={one['default'].replace(SETTINGS['DATA'], place)}"


def main() -> None:
    """Write the three files."""
    PLACE.mkdir(exist_ok=True)
    for role in TOLD:
        (PLACE / f"{role}.env").write_text(text(role))


if __name__ == "__main__":
    main()
