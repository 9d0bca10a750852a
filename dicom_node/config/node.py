"""The node itself: its name, its folders and database, its HTTP port."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import values
from pacs_common.authorities import read_authorities
from pacs_common.env import Env


@dataclass(frozen=True)
class Node:
    """What the node is called, where its things lie, and its other doors than DICOM."""

    data_dir: Path
    trust_dir: Path
    database_url: str
    secret_key: str
    log_level: str
    log_format: str
    name: str
    http_bind: str
    http_port: int
    portal_url: str
    ca_file: str
    time_zone: str


def read_node(env: Env) -> Node:
    """Return these settings; raises SettingError with one line."""
    data_dir = values.folder(
        env.path("PACS_DATA_DIR", "var/node", "Folder that holds all the role writes."),
        "PACS_DATA_DIR",
    )
    return Node(
        data_dir=data_dir,
        trust_dir=env.path(
            "PACS_TRUST_DIR",
            "var/trust",
            "Folder of the issuers' public keys, shared by all roles.",
        ),
        database_url=values.database_url(
            env.text(
                "PACS_DATABASE_URL",
                f"sqlite:///{data_dir}/index.sqlite3",
                "The role's own database, as a URL (sqlite or postgres).",
            ),
            "PACS_DATABASE_URL",
        ),
        secret_key=env.secret(
            "PACS_SECRET_KEY",
            "Key of what Django signs; generated at first start.",
            kept_in=data_dir / "secret-key",
        ),
        log_level=values.log_level(
            env.text("PACS_LOG_LEVEL", "INFO", "Least severe level that is logged."),
            "PACS_LOG_LEVEL",
        ),
        log_format=values.one_of(
            env.text("PACS_LOG_FORMAT", "json", "Form of the log on standard error: json or text."),
            "PACS_LOG_FORMAT",
            ("json", "text"),
        ),
        name=values.not_blank(
            env.text("PACS_NODE_NAME", "NODE", "The node's name, and its tickets' audience."),
            "PACS_NODE_NAME",
        ),
        http_bind=env.text("PACS_HTTP_BIND", "127.0.0.1", "Address of the HTTP port."),
        http_port=env.integer(
            "PACS_HTTP_PORT", 8101, "Port of DICOMweb, custody and health.", high=65535
        ),
        portal_url=values.http_url(
            env.text("PACS_PORTAL_URL", "", "Portal that is asked about people's API tokens."),
            "PACS_PORTAL_URL",
        ),
        ca_file=read_authorities(env),
        time_zone=values.time_zone(
            env.text(
                "PACS_TIME_ZONE",
                "Europe/Paris",
                "Time zone of forwarding rules, and of stored times that name no offset.",
            ),
            "PACS_TIME_ZONE",
        ),
    )
