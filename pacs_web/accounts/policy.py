"""The one decision on an exam: this person, this right, these nodes and departments. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pacs_web.accounts.rights import Right


class Decision(StrEnum):
    """What the policy says."""

    ALLOWED = "allowed"
    GLASS = "glass"  # denied, but the person may break the glass with a reason
    DENIED = "denied"


@dataclass(frozen=True)
class Reach:
    """How far a person's rights reach; None where there is no limit of that kind.

    `closed` names the nodes whose exams without a department are nobody's who is limited to
    departments; `granted` the studies to which the person broke the glass lately.
    """

    nodes: frozenset[str] | None = None
    departments: frozenset[str] | None = None
    closed: frozenset[str] = frozenset()
    granted: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether there is no limit at all."""
        return self.nodes is None and self.departments is None

    def asks(self, node: str) -> bool:
        """Whether the person may ask this node, for whatever is open to the person there."""
        return self.nodes is None or node in self.nodes

    def sees(self, node: str, study_uid: str, departments: Collection[str]) -> bool:
        """Whether a study on `node` that names `departments` is open to the person."""
        if study_uid in self.granted:
            return True
        if not self.asks(node):
            return False
        if self.departments is None:
            return True
        named = {folded(one) for one in departments if one.strip()}
        return bool(named & self.departments) if named else node not in self.closed


@dataclass(frozen=True)
class Holding:
    """A node that holds (a part of) a study, and the departments that its copy names."""

    node: str
    departments: tuple[str, ...]


def decide(
    rights: Collection[Right],
    right: Right,
    reach: Reach,
    study_uid: str,
    holdings: Iterable[Holding],
) -> Decision:
    """Return whether `right` is given for a study that lies where `holdings` say.

    The departments of all copies count together: a copy that names none is no way around
    another that does. A study that lies nowhere is nobody's secret.
    """
    if right not in rights:
        return Decision.DENIED
    held = list(holdings)
    named = {department for holding in held for department in holding.departments}
    if not held or any(reach.sees(holding.node, study_uid, named) for holding in held):
        return Decision.ALLOWED
    return Decision.GLASS if Right.BREAK_GLASS in rights else Decision.DENIED


def folded(department: str) -> str:
    """Return a department's name as it is compared: blanks and capitals do not matter."""
    return " ".join(department.split()).casefold()
