"""A finding: how bad it is, about what, what was found, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's; `todo` says what to do where it is not ok."""

    level: Level
    about: str
    told: str
    todo: str = ""


Examination = Callable[[], Iterable[Finding]]


def ok(about: str, told: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, about, told)


def warning(about: str, told: str, todo: str) -> Finding:
    """Return what will do harm some day."""
    return Finding(Level.WARNING, about, told, todo)


def problem(about: str, told: str, todo: str) -> Finding:
    """Return what does harm now."""
    return Finding(Level.PROBLEM, about, told, todo)


def examined(examinations: Iterable[tuple[str, Examination]]) -> Iterator[Finding]:
    """Yield what each examination finds; one that fails itself is a finding, the others go on."""
    for about, examine in examinations:
        try:
            yield from examine()
        except Exception as error:  # the doctor's edge: whatever is broken is what is looked for
            told = f"{type(error).__name__}: {one_line(error)}"
            yield problem(about, f"cannot be examined: {told}", "see the role's log")


def tell(
    examinations: Iterable[tuple[str, Examination]], write: Callable[[str], object], *, json: bool
) -> int:
    """Examine and tell a line for each finding as soon as it is found, or all as JSON at the end.

    Returns the exit status.
    """
    found = []
    for one in examined(examinations):
        found.append(one)
        if not json:
            write("".join(lines([one])))
    if json:
        write(as_json(found))
    return status(found)


def settings(contradictions: Iterable[Finding]) -> list[Finding]:
    """Return what contradicts in a role's settings, or that nothing does."""
    return list(contradictions) or [ok("settings", "contradict each other nowhere")]


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each finding."""
    for one in findings:
        todo = f" -> {one.todo}" if one.todo else ""
        yield f"{one.level:<8} {one.about}: {one.told}{todo}"


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON list."""
    return json.dumps([asdict(one) for one in findings], ensure_ascii=False, indent=1)


def status(findings: Iterable[Finding]) -> int:
    """Return the exit status: 0 all is well, 1 with warnings, 2 with problems."""
    levels = {one.level for one in findings}
    return 2 if Level.PROBLEM in levels else int(Level.WARNING in levels)


def one_line(error: object) -> str:
    """Return what an error says, on one line of bounded length."""
    return " ".join(str(error).split())[:300]
