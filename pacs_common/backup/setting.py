"""Where a role's backups go, and how many stay, where the command is not told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pacs_common.env import Env


@dataclass(frozen=True)
class Backups:
    """The folder that a role is backed up into, and how many backups of it stay there."""

    backup_dir: Path
    backups_kept: int


def read_backups(env: Env, role: str) -> Backups:
    """Return these settings; raises SettingError with one line."""
    return Backups(
        backup_dir=env.path(
            "PACS_BACKUP_DIR",
            f"/var/backups/argens/{role}",
            "Where `backup` puts what it makes unless it is told another folder.",
        ),
        backups_kept=env.integer(
            "PACS_BACKUPS_KEPT",
            14,
            "Backups of the role that stay in that folder, the newest.",
            low=1,
            high=10_000,
        ),
    )
