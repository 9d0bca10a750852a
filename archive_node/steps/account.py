"""What a restore did, and what it could not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int], None]  # is told the bytes that were brought


@dataclass
class Account:
    """What was done: counted, with why each of the others could not be brought.

    `instances` are those of the studies; `quarantined` objects are counted apart.
    """

    whole_before: int = 0
    studies: int = 0
    instances: int = 0
    size_bytes: int = 0
    stubs: int = 0
    quarantined: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.problems
