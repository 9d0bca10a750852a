"""What the node does with other systems: storage commitment, forwarding, recall."""

from __future__ import annotations

from dataclasses import dataclass

from pacs_common.env import Env


@dataclass(frozen=True)
class Transfers:
    """How long the node tries what needs another; times in seconds."""

    commit_requires_copies: int
    commit_copies_wait_s: float
    commit_same_association_s: float
    commit_give_up_s: float
    retry_s: float
    forward_give_up_s: float
    forward_keep_s: float
    forward_threads: int
    recall_wait_s: float


def read_transfers(env: Env) -> Transfers:
    """Return these settings; raises SettingError with one line."""
    return Transfers(
        commit_requires_copies=env.integer(
            "PACS_COMMIT_REQUIRES_COPIES",
            1,
            "Copies that storage commitment vouches for; 2: the archive holds a verified one.",
            low=1,
            high=2,
        ),
        commit_copies_wait_s=env.number(
            "PACS_COMMIT_COPIES_WAIT_S",
            86400.0,
            "How long a commitment report waits for the archive's copy.",
        ),
        commit_same_association_s=env.number(
            "PACS_COMMIT_SAME_ASSOCIATION_S",
            2.0,
            "A check that ends within this time is reported on the association that asked.",
        ),
        commit_give_up_s=env.number(
            "PACS_COMMIT_GIVE_UP_S",
            259200.0,
            "A commitment report or request that a peer does not take is given up after this.",
        ),
        retry_s=env.number(
            "PACS_RETRY_S",
            5.0,
            "First pause before a peer that is away is tried again; it doubles, up to 10 minutes.",
            low=0.01,
        ),
        forward_give_up_s=env.number(
            "PACS_FORWARD_GIVE_UP_S",
            259200.0,
            "An instance that a destination does not take is given up after this time.",
        ),
        forward_keep_s=env.number(
            "PACS_FORWARD_KEEP_S",
            2592000.0,
            "How long settled rows of forwarding and commitment can be looked up.",
        ),
        forward_threads=env.integer(
            "PACS_FORWARD_THREADS",
            8,
            "Destinations that are sent to at once.",
            low=1,
            high=64,
        ),
        recall_wait_s=env.number(
            "PACS_RECALL_WAIT_S",
            0.0,
            "How long C-MOVE and C-GET wait for archived instances whose recall they asked for.",
            high=86400,
        ),
    )
