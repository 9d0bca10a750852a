"""The file of the archive's keys: who has it and the volumes has the studies, so none but us may.

JSON, {"id": "base64"}, or lines `id = base64`, with comments after `#`. A key is 32 random bytes
(`openssl rand -base64 32`).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import stat
from pathlib import Path

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class BadKeyFile(ValueError):
    """A file of keys that cannot be used; str() says why, and never what is in it."""


def read(path: Path) -> dict[str, bytes]:
    """Return the keys by their ids; raises BadKeyFile, also where others may read the file."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise BadKeyFile(f"{path} may be read by others (mode {mode:o}): make it 600")
            text = file.read()
    except OSError as error:
        raise BadKeyFile(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadKeyFile(f"{path} is not UTF-8 text") from None
    pairs = _of_json(text) if text.lstrip().startswith("{") else _of_lines(text)
    keys: dict[str, bytes] = {}
    for key_id, written in pairs:
        if not _ID.match(key_id):
            raise BadKeyFile(f"{path}: the id of a key is letters, digits, points, - and _")
        if key_id in keys:
            raise BadKeyFile(f"{path}: {key_id} is written twice")
        keys[key_id] = _decoded(path, key_id, written)
    return keys


def _of_json(text: str) -> list[tuple[str, str]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except ValueError:
        raise BadKeyFile("it begins like JSON and is none") from None
    return [(str(key_id), str(written)) for key_id, written in pairs]


def _of_lines(text: str) -> list[tuple[str, str]]:
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line)
    return [(key_id.strip(), written.strip()) for key_id, _, written in pairs]


def _decoded(path: Path, key_id: str, written: str) -> bytes:
    try:
        key = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKeyFile(f"{path}: {key_id} is not {KEY_BYTES} bytes in base64")
    return key
