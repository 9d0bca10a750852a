"""The values of settings: from text to what it means.

Nonsense raises SettingError, one line that names the setting.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dj_database_url
from pydicom.uid import UID

from pacs_common.env import SettingError

_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}\Z")  # PS3.5 6.2: no backslash, no controls
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_ENGINES = ("sqlite3", "postgresql")


@dataclass(frozen=True)
class Peer:
    """Another application entity: where it listens."""

    ae_title: str
    host: str
    port: int


def ae_title(text: str, setting: str) -> str:
    """Return an AE title (PS3.5 6.2) without the spaces around it."""
    if not _AE_TITLE.match(text.strip()):
        raise SettingError(
            setting, f"{text!r} is not an AE title (1 to 16 characters, no backslash)"
        )
    return text.strip()


def private_classes(text: str, setting: str) -> tuple[str, ...]:
    """Return the UIDs of a list by comma; one that DICOM itself defines is refused."""
    found = tuple(filter(None, (part.strip() for part in text.split(","))))
    for uid in found:
        if not _UID.match(uid) or len(uid) > 64:
            raise SettingError(setting, f"{uid!r} is not a UID")
        if (known := UID(uid).name) != uid:
            raise SettingError(setting, f"{uid} is {known}, not a private SOP class")
    return found


def folder(path: Path, setting: str) -> Path:
    """Return a folder, made where it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(setting, f"{path} cannot be used: {error.strerror}") from None
    return path


def database_url(text: str, setting: str) -> str:
    """Return the URL of a SQLite or PostgreSQL database."""
    try:
        engine = str(dj_database_url.parse(text).get("ENGINE", ""))
    except ValueError:  # its text may hold the password: it is not repeated
        raise SettingError(setting, "is not a database URL") from None
    if not engine.endswith(_ENGINES):
        raise SettingError(setting, "is neither sqlite nor postgres")
    return text


def log_level(text: str, setting: str) -> str:
    """Return the name of a level of Python's logging."""
    if text.strip().upper() not in logging.getLevelNamesMapping():
        raise SettingError(setting, f"{text!r} is not a level (DEBUG, INFO, WARNING, ERROR)")
    return text.strip().upper()


def not_blank(text: str, setting: str) -> str:
    """Return a text that says something."""
    if not text.strip():
        raise SettingError(setting, "is empty")
    return text.strip()


def time_zone(text: str, setting: str) -> str:
    """Return the name of a time zone that this machine knows."""
    try:
        ZoneInfo(text)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise SettingError(setting, f"{text!r} is not a time zone like Europe/Paris") from None
    return text


def http_url(text: str, setting: str) -> str:
    """Return an http or https address, or the empty text."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if text and not is_usable:
        raise SettingError(setting, f"{text!r} is not an address like http://127.0.0.1:8000")
    return text


def peers(pairs: dict[str, str], setting: str) -> dict[str, str]:
    """Return addresses by AE title."""
    return {ae_title(title, setting): address for title, address in pairs.items()}


def destinations(pairs: dict[str, str], setting: str) -> dict[str, Peer]:
    """Return where C-MOVE destinations listen, by AE title."""
    found = {}
    for title, address in pairs.items():
        host, _, port = address.rpartition(":")
        if not host or not _PORT.match(port) or not 0 < int(port) < 65536:
            raise SettingError(setting, f"{title}={address} is not AE=host:port")
        found[title] = Peer(ae_title(title, setting), host, int(port))
    return found


def internal_prefix(text: str, setting: str) -> str:
    """Return the beginning of an address, "/.../", or nothing; raises SettingError."""
    if text and not re.fullmatch(r"/(?:[\w.-]+/)+", text, re.ASCII):
        raise SettingError(setting, f"{text!r} does not begin and end with a slash")
    return text


def one_of(text: str, setting: str, words: tuple[str, ...]) -> str:
    """Return the one of some words that a text is, whatever its case."""
    if text.strip().lower() not in words:
        raise SettingError(setting, f"{text!r} is not one of {', '.join(words)}")
    return text.strip().lower()


def file(text: str, setting: str) -> Path | None:
    """Return the path of a file that is there, None where none is named."""
    if not text.strip():
        return None
    path = Path(text.strip()).absolute()
    if not path.is_file():
        raise SettingError(setting, f"{path} is not a file")
    return path
