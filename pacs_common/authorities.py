"""Whom the roles believe to be each other over HTTPS: the hospital's own authorities."""

from __future__ import annotations

import ssl

from pacs_common.env import Env, SettingError

NAME = "PACS_CA_FILE"
_OWN: list[ssl.SSLContext] = []


def read_authorities(env: Env) -> str:
    """Read the file of the authorities, believe them from now on, and return its path.

    Where none is named the machine's own list counts. Raises SettingError for a file that holds
    none.
    """
    file = env.text(
        NAME,
        "",
        "File of the authorities, PEM, that alone vouch for the other roles' HTTPS; empty for the"
        " machine's list.",
    )
    _OWN.clear()
    if file:
        try:
            _OWN.append(ssl.create_default_context(cafile=file))
        except (OSError, ssl.SSLError) as error:
            raise SettingError(NAME, f"{file} holds no authority: {error.strerror}") from None
    return file


def of_roles() -> ssl.SSLContext | None:
    """Return what knows the other roles by their certificates; None for the machine's list."""
    return _OWN[0] if _OWN else None
