"""Settings of the node's rescue page, which is off until an emergency account is made."""

from __future__ import annotations

from dataclasses import dataclass

from pacs_common.env import Env


@dataclass(frozen=True)
class Rescue:
    """How long an emergency session lasts, and when wrong passphrases lock an address out."""

    rescue_session_s: int
    rescue_failures: int
    rescue_lockout_s: int


def read_rescue(env: Env) -> Rescue:
    """Return these settings; raises SettingError with one line."""
    return Rescue(
        rescue_session_s=env.integer(
            "PACS_RESCUE_SESSION_S",
            1800,
            "How long a session of the emergency account lasts.",
            low=60,
            high=24 * 3600,
        ),
        rescue_failures=env.integer(
            "PACS_RESCUE_FAILURES",
            5,
            "Wrong emergency passphrases after which an address is locked out.",
            low=1,
            high=100,
        ),
        rescue_lockout_s=env.integer(
            "PACS_RESCUE_LOCKOUT_S",
            300,
            "How long it is locked out.",
            low=1,
            high=24 * 3600,
        ),
    )
