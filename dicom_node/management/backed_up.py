"""What of a node is backed up: the images themselves are not, the archive has those."""

from __future__ import annotations

from pathlib import Path

from django.db import connection

from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout
from pacs_common.backup import databases
from pacs_common.backup.contents import Back, Content
from pacs_common.backup.making import Role


def role() -> Role:
    """Return the node as it is backed up."""
    layout = Layout(CONFIG.data_dir)
    tls = CONFIG.tls
    named: dict[str, Path | None] = {
        "tls-certificate": tls.certificate,
        "tls-key": tls.key,
        "tls-authorities": tls.authorities,
        "dicom-users": CONFIG.identity.users_file,
        "dicom-jwt-key": CONFIG.identity.jwt_key,
    }
    own = {
        "peers": layout.peers,
        "forwarding-rules": layout.forwarding_rules,
        "secret-key": CONFIG.data_dir / "secret-key",
    }
    return Role(
        role="node",
        name=CONFIG.name,
        data_dir=CONFIG.data_dir,
        database=databases.of(connection.settings_dict),
        before=[Content("routed-until", layout.routed_until)],  # what comes after meets the rules
        after=[
            Content("journal", layout.journal, Back.GROWS, "*.jsonl"),
            Content("audit", layout.audit, Back.GROWS, "*.jsonl"),
            Content("trust", CONFIG.trust_dir, Back.STAYS, "*.pub.pem"),
            *(Content(part, path, Back.STAYS) for part, path in own.items()),
            *(Content(part, path, Back.STAYS) for part, path in named.items() if path),
        ],
    )
