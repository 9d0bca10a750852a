"""What of the portal is backed up: accounts, audit, registry, and its keys."""

from __future__ import annotations

from pathlib import Path

from django.db import connection

from pacs_common.backup import databases
from pacs_common.backup.contents import Back, Content
from pacs_common.backup.making import Role
from pacs_web import config


def role() -> Role:
    """Return the portal as it is backed up."""
    own = {
        "ticket-key": config.DATA_DIR / "portal.key.pem",
        "secret-key": config.DATA_DIR / "secret.key",
    }
    named = {
        "syslog-authorities": config.AUDIT_SYSLOG_CA,
        "syslog-certificate": config.AUDIT_SYSLOG_CERT,
        "syslog-key": config.AUDIT_SYSLOG_KEY,
    }
    own |= {part: Path(path).absolute() for part, path in named.items() if path}
    return Role(
        role="web",
        name="portal",
        data_dir=config.DATA_DIR,
        database=databases.of(connection.settings_dict),
        # before the database: an anchor names no row that the backup does not have
        before=[Content("audit-anchors", config.AUDIT_ANCHOR_FILE, Back.GROWS)],
        after=[
            Content("trust", config.TRUST_DIR, Back.STAYS, "*.pub.pem"),
            *(Content(part, path, Back.STAYS) for part, path in own.items()),
        ],
    )
