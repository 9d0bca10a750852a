"""Settings of the HTTP port: which pages of other origins may ask it (CORS)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pacs_common.env import Env, SettingError

ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")


@dataclass(frozen=True)
class Web:
    """Which origins a browser lets read DICOMweb answers: none, some, or `*` for all."""

    cors_origins: tuple[str, ...]


def read_web(env: Env) -> Web:
    """Return these settings; raises SettingError with one line."""
    text = env.text(
        "PACS_CORS_ORIGINS",
        "",
        "Origins, by comma, whose pages may call DICOMweb (CORS), like https://viewer.hospital; "
        "* for all. Empty: none.",
    )
    return Web(cors_origins=origins(text, "PACS_CORS_ORIGINS"))


def origins(text: str, setting: str) -> tuple[str, ...]:
    """Return the origins of a list by comma; raises SettingError for what is no origin."""
    found = tuple(filter(None, (part.strip().rstrip("/") for part in text.split(","))))
    for origin in found:
        if origin != ANY_ORIGIN and not _ORIGIN.match(origin):
            raise SettingError(setting, f"{origin!r} is not an origin like https://viewer.hospital")
    if ANY_ORIGIN in found and len(found) > 1:
        raise SettingError(setting, "names * and others")
    return found
