"""The node's settings, read once from the environment; nonsense is refused at start."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

from pacs_common.env import Env, SettingError

_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}\Z")  # PS3.5 6.2: no backslash, no controls

_PORT = re.compile(r"[0-9]{1,5}\Z")
_ENGINES = ("sqlite3", "postgresql")


@dataclass(frozen=True)
class Peer:
    """Another application entity: where it listens."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True)
class NodeConfig:
    """Everything that a node is told; sizes in bytes, times in seconds."""

    data_dir: Path
    trust_dir: Path
    database_url: str
    secret_key: str
    log_level: str
    name: str
    ae_title: str
    dicom_bind: str
    dicom_port: int
    http_bind: str
    http_port: int
    default_issuer: str
    accept_loopback: bool
    peers: dict[str, str]
    destinations: dict[str, Peer]
    max_associations: int
    reserve_bytes: int
    rendition_cache_bytes: int
    in_use_s: float
    portal_url: str


def read(env: Env) -> NodeConfig:
    """Return the node's configuration; raises SettingError with one line."""
    data_dir = _folder(
        env.path("PACS_DATA_DIR", "var/node", "Folder that holds all the role writes."),
        "PACS_DATA_DIR",
    )
    return NodeConfig(
        data_dir=data_dir,
        trust_dir=env.path(
            "PACS_TRUST_DIR",
            "var/trust",
            "Folder of the issuers' public keys, shared by all roles.",
        ),
        database_url=_database_url(
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
        log_level=_log_level(
            env.text("PACS_LOG_LEVEL", "INFO", "Least severe level that is logged."),
            "PACS_LOG_LEVEL",
        ),
        name=_name(
            env.text("PACS_NODE_NAME", "NODE", "The node's name, and its tickets' audience."),
            "PACS_NODE_NAME",
        ),
        ae_title=_ae_title(
            env.text("PACS_AE_TITLE", "ARGENS", "The node's AE title."), "PACS_AE_TITLE"
        ),
        dicom_bind=env.text("PACS_DICOM_BIND", "127.0.0.1", "Address of the DICOM port."),
        dicom_port=env.integer(
            "PACS_DICOM_PORT", 11112, "Port on which DICOM associations are taken.", high=65535
        ),
        http_bind=env.text("PACS_HTTP_BIND", "127.0.0.1", "Address of the HTTP port."),
        http_port=env.integer(
            "PACS_HTTP_PORT", 8101, "Port of DICOMweb, custody and health.", high=65535
        ),
        default_issuer=env.text(
            "PACS_DEFAULT_ISSUER",
            "LOCAL",
            "Issuer of Patient ID where an object names none; one hospital shares one.",
        ),
        accept_loopback=env.boolean(
            "PACS_ACCEPT_LOOPBACK", False, "Accept any calling AE title from this machine."
        ),
        peers=_peers(
            env.pairs("PACS_PEERS", "", "Calling AE titles that are accepted, with their address."),
            "PACS_PEERS",
        ),
        destinations=_destinations(
            env.pairs("PACS_MOVE_DESTINATIONS", "", "C-MOVE destinations, AE=host:port.")
        ),
        max_associations=env.integer(
            "PACS_MAX_ASSOCIATIONS", 32, "Associations served at once.", low=1, high=1000
        ),
        reserve_bytes=env.integer(
            "PACS_RESERVE_BYTES",
            2 << 30,
            "Free disk space below which C-STORE answers 0xA700.",
        ),
        rendition_cache_bytes=env.integer(
            "PACS_RENDITION_CACHE_BYTES", 2 << 30, "Most disk space that renditions may take."
        ),
        in_use_s=env.number(
            "PACS_IN_USE_S", 300.0, "A study read within this time is not evicted."
        ),
        portal_url=_http_url(
            env.text("PACS_PORTAL_URL", "", "Portal that is asked about people's API tokens."),
            "PACS_PORTAL_URL",
        ),
    )


def _ae_title(text: str, name: str) -> str:
    if not _AE_TITLE.match(text.strip()):
        raise SettingError(name, f"{text!r} is not an AE title (1 to 16 characters, no backslash)")
    return text.strip()


def _folder(path: Path, name: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(name, f"{path} cannot be used: {error.strerror}") from None
    return path


def _database_url(text: str, name: str) -> str:
    try:
        engine = str(dj_database_url.parse(text).get("ENGINE", ""))
    except ValueError:  # its text may hold the password: it is not repeated
        raise SettingError(name, "is not a database URL") from None
    if not engine.endswith(_ENGINES):
        raise SettingError(name, "is neither sqlite nor postgres")
    return text


def _log_level(text: str, name: str) -> str:
    if text.strip().upper() not in logging.getLevelNamesMapping():
        raise SettingError(name, f"{text!r} is not a level (DEBUG, INFO, WARNING, ERROR)")
    return text.strip().upper()


def _name(text: str, name: str) -> str:
    if not text.strip():
        raise SettingError(name, "is empty")
    return text.strip()


def _http_url(text: str, name: str) -> str:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if text and not is_usable:
        raise SettingError(name, f"{text!r} is not an address like http://127.0.0.1:8000")
    return text


def _peers(pairs: dict[str, str], name: str) -> dict[str, str]:
    return {_ae_title(title, name): address for title, address in pairs.items()}


def _destinations(pairs: dict[str, str]) -> dict[str, Peer]:
    found = {}
    for title, address in pairs.items():
        host, _, port = address.rpartition(":")
        if not host or not _PORT.match(port) or not 0 < int(port) < 65536:
            raise SettingError("PACS_MOVE_DESTINATIONS", f"{title}={address} is not AE=host:port")
        found[title] = Peer(_ae_title(title, "PACS_MOVE_DESTINATIONS"), host, int(port))
    return found


ENV = Env()
CONFIG = read(ENV)
