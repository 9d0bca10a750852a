"""What comes in by HTTP, and what is taken out of sight: limits of STOW-RS, days of a rejection."""

from __future__ import annotations

from dataclasses import dataclass

from pacs_common.env import Env


@dataclass(frozen=True)
class Storing:
    """Limits of one request that stores, and how long what is rejected stays; sizes in bytes."""

    stow_max_parts: int
    stow_max_bytes: int
    stow_max_metadata_bytes: int
    rejected_days: int


def read_storing(env: Env) -> Storing:
    """Return these settings; raises SettingError with one line."""
    return Storing(
        stow_max_parts=env.integer(
            "PACS_STOW_MAX_PARTS",
            100_000,
            "Most parts of one STOW-RS request.",
            low=1,
            high=1_000_000,
        ),
        stow_max_bytes=env.integer(
            "PACS_STOW_MAX_BYTES", 0, "Longest body of one STOW-RS request; 0: as the disk takes."
        ),
        stow_max_metadata_bytes=env.integer(
            "PACS_STOW_MAX_METADATA_BYTES",
            64 << 20,
            "Longest metadata part (JSON) of one STOW-RS request: it is held in memory.",
            low=1024,
        ),
        rejected_days=env.integer(
            "PACS_REJECTED_DAYS",
            30,
            "Days for which what was rejected can be brought back before it may be removed.",
            high=36500,
        ),
    )
