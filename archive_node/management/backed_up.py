"""What of the archive is backed up: its catalogue and its keys; the volumes are its volumes."""

from __future__ import annotations

from pathlib import Path

from django.db import connection

from archive_node.config import CONFIG
from pacs_common.backup import databases
from pacs_common.backup.contents import Back, Content
from pacs_common.backup.making import Role


def role() -> Role:
    """Return the archive as it is backed up."""
    own = {
        "ticket-key": CONFIG.data_dir / "archive.key.pem",
        "secret-key": CONFIG.data_dir / "secret-key",
    }
    if CONFIG.keys_file:
        own["volume-keys"] = Path(CONFIG.keys_file)
    return Role(
        role="archive",
        name="archive",
        data_dir=CONFIG.data_dir,
        database=databases.of(connection.settings_dict),
        before=[],
        after=[
            Content("trust", CONFIG.trust_dir, Back.STAYS, "*.pub.pem"),
            Content("libraries", CONFIG.data_dir / "vaults", Back.STAYS),
            *(Content(part, path, Back.STAYS) for part, path in own.items()),
        ],
    )
