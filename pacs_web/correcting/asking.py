"""What is asked of each node that holds an exam, at once; one that fails is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pacs_common.errors import NotFound
from pacs_web import config
from pacs_web.federation.fan_out import Failure, Gathered, fan_out
from pacs_web.nodes.registry import own_clients
from pacs_web.nodes.servers.own import OwnServer

Told = dict[str, Any]
APPLY_S = 30.0


@dataclass
class Entry:
    """One correction, the nodes where it is in force, and who was sent the exam before it."""

    told: Told
    nodes: list[str] = field(default_factory=list)
    undone_on: list[str] = field(default_factory=list)
    received: list[tuple[str, Told]] = field(default_factory=list)
    is_last: bool = False

    @property
    def in_force(self) -> bool:
        """Whether some node shows it."""
        return bool(self.nodes)


@dataclass(frozen=True)
class State:
    """What the nodes show of an exam and how it was corrected, the newest correction first."""

    answers: dict[str, Told]
    failures: list[Failure]

    @property
    def shown(self) -> dict[str, str]:
        """What the first node that answered shows, by keyword."""
        return next((dict(told["shown"]) for told in self.answers.values()), {})

    @property
    def latest(self) -> dict[str, str]:
        """The last correction in force, by node."""
        return {name: str(told["latest"]) for name, told in self.answers.items()}

    def history(self) -> list[Entry]:
        """Return the corrections of all nodes, each once, newest first."""
        found: dict[str, Entry] = {}
        for name, told in self.answers.items():
            for one in told["corrections"]:
                entry = found.setdefault(one["id"], Entry(one))
                (entry.nodes if one["state"] == "applied" else entry.undone_on).append(name)
                entry.is_last |= told["latest"] == one["id"]
                if one["id"] == told["corrections"][0]["id"]:
                    entry.received += [(name, receiver) for receiver in told["received"]]
        return sorted(found.values(), key=lambda entry: entry.told["at"], reverse=True)


def holders(subject: str, names: Collection[str]) -> list[OwnServer]:
    """Return clients of our own nodes among those that hold an exam."""
    return [client for client in own_clients(subject) if client.name in names]


def state_of(nodes: Sequence[OwnServer], study_uid: str, *, receivers: bool = False) -> State:
    """Ask what is shown and how it was corrected; with `receivers`, who has an older version."""

    def ask(node: OwnServer) -> Told:
        told = node.corrections(study_uid)
        known = told["corrections"]
        wanted = receivers and known
        return told | {"received": node.correction_received(known[0]["id"]) if wanted else []}

    gathered = fan_out(nodes, ask, config.NODE_TIMEOUT_S)
    return State(gathered.answers, gathered.failures)


def correct(
    nodes: Sequence[OwnServer],
    asked: Mapping[str, Any],
    latest: Mapping[str, str],
    *,
    preview: bool = False,
) -> Gathered[Told]:
    """Correct an exam on each node, or try it; asked again, who has done it answers the same.

    A node that turns out not to have the exam answers nothing.
    """

    def ask(node: OwnServer) -> Told:
        seen = {"latest": latest[node.name]} if node.name in latest else {}
        return node.correct({**asked, **seen}, preview=preview)

    done = fan_out(nodes, _having(ask), APPLY_S)
    return Gathered({name: told for name, told in done.answers.items() if told}, done.failures)


def undo(nodes: Sequence[OwnServer], correction_id: str) -> Gathered[Told]:
    """Undo a correction on each node that has it."""
    return fan_out(nodes, _having(lambda node: node.undo_correction(correction_id)), APPLY_S)


def _having(ask: Callable[[OwnServer], Told]) -> Callable[[OwnServer], Told]:
    def asked(node: OwnServer) -> Told:
        try:
            return ask(node)
        except NotFound:
            return {}  # another node has it

    return asked
