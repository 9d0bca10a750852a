"""What must be true before a spare PC takes the place of a dead node, and what it carries along."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

from dicom_node.config import NodeConfig
from dicom_node.custody import replacing
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from pacs_common.errors import BadInput, Conflict

CONNECT_S = 3.0
ISSUERS = ("portal", "archive")
SECRET, SHARED = 0o600, 0o644


def require_name(config: NodeConfig, name: str) -> None:
    """Raise BadInput unless this PC's settings are those of the node that it is to replace."""
    if config.name != name:
        raise BadInput(f"this PC's settings are of {config.name} (PACS_NODE_NAME), not of {name}")


def require_silence(config: NodeConfig, host: str) -> None:
    """Raise Conflict where anything answers at the old node's ports; BadInput without an address.

    Two nodes of one name would split the hospital's images between them.
    """
    host = host or config.dicom_bind
    if _is_any_address(host):
        raise BadInput("name the address of the dead node: --old 10.0.0.5")
    for what, port in (("DICOM", config.dicom_port), ("HTTP", config.http_port)):
        if _answers(host, port):
            raise Conflict(
                f"something answers at {host}:{port} ({what}): switch the old node off, or unplug "
                "its network, before another takes its place"
            )


def require_empty(layout: Layout) -> None:
    """Raise Conflict where the data folder holds another node's past; one begun goes on."""
    if replacing.under_way(layout) is not None:
        return
    for folder in (layout.objects, layout.quarantine, layout.journal):
        if folder.is_dir() and any(file.is_file() for file in folder.rglob("*")):
            raise Conflict(f"{folder} is not empty: take over with a new PACS_DATA_DIR")


def carry(config: NodeConfig, source: Path) -> list[str]:
    """Copy what a folder holds of the old node's keys and lists; return the names of the files.

    Public keys of portal and archive go into the trust folder, the others into the data folder.
    """
    if not source.is_dir():
        raise BadInput(f"{source} is no folder")
    layout = Layout(config.data_dir)
    targets = {f"{issuer}.pub.pem": config.trust_dir / f"{issuer}.pub.pem" for issuer in ISSUERS}
    lists = (layout.peers, layout.forwarding_rules, config.identity.users_file)
    targets |= {path.name: path for path in lists}
    found = [name for name in targets if (source / name).is_file()]
    for name in found:
        content = (source / name).read_bytes()
        if name.endswith(".json"):
            _require_json(source / name, content)
        mode = SHARED if name.endswith(".pem") else SECRET
        if not _is_same(source / name, targets[name]):
            kept_files.replace(targets[name], content, mode)
    return found


def require_trust(config: NodeConfig) -> None:
    """Raise BadInput where the public key of the portal or the archive is not here."""
    for issuer in ISSUERS:
        if not (config.trust_dir / f"{issuer}.pub.pem").is_file():
            raise BadInput(
                f"{issuer}.pub.pem is not in {config.trust_dir}: bring it from another node's "
                "trust folder (--from FOLDER), else this one believes nobody"
            )


def _is_any_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:  # a name
        return not host


def _answers(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), CONNECT_S)):
            return True
    except OSError:
        return False


def _require_json(path: Path, content: bytes) -> None:
    try:
        json.loads(content)
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from None


def _is_same(source: Path, target: Path) -> bool:
    return target.exists() and source.samefile(target)
