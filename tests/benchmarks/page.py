"""The book's page: ratios first, then each measure's medians, plots and notes, then the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import plots
from tests.benchmarks.chapters import CHAPTERS, Chapter
from tests.benchmarks.goals import GOALS, Goal, Verdict, told, verdicts
from tests.benchmarks.measured import Measured

IMAGES = "images/benchmarks"
SHOWN = re.compile(r"!\[[^]]*\]\(([^)]+)\)")
HEAD = """# Benchmarks

`make bench` measures Argens beside its peers and writes this page: on one machine, in one run, on
the same bytes, each program in its best durable configuration. Figures are medians of interleaved
rounds, with the least and the most of them. Only ratios tell something of another machine.
"""


@dataclass(frozen=True)
class Run:
    """One benchmark that was run."""

    command: str
    began: str
    seconds: float
    status: int
    commit: str


@dataclass
class Book:
    """All that the page tells."""

    found: list[Measured]
    machine: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """Hand-written Markdown of each measure."""


def write(book: Book, docs: Path) -> None:
    """Write the page and its plots below `docs`; plots of an earlier one go."""
    images = docs / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.svg"):
        old.unlink()
    drawn: dict[str, str] = {}
    text = render(book, drawn)
    for name, svg in drawn.items():
        (images / name).write_text(svg)
    (docs / "benchmarks.md").write_text(text)


def render(book: Book, drawn: dict[str, str]) -> str:
    """Return the page; each plot is put into `drawn` by its file's name."""
    judged = verdicts(book.found)
    parts = [HEAD, "## Goals\n", *_goals(book, judged)]
    for chapter in CHAPTERS:
        parts += _chapter(chapter, book, judged, drawn)
    if book.runs:
        parts += ["## Machine\n", _table(("Part", "What it is"), book.machine.items())]
        parts += ["## Programs\n", _table(("Program", "Version"), book.programs.items())]
        parts += ["## Commands\n", _commands(book)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def ratios(found: Sequence[Measured]) -> list[str]:
    """Return the table of goals as lines for a terminal."""
    rows = [row for row in _summary(verdicts(found)) if row[2]]
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(4)]
    return [
        "  ".join([*(row[at].ljust(widths[at]) for at in range(4)), row[4]])
        .rstrip()
        .replace("*", "")
        for row in rows
    ]


def _summary(judged: Sequence[Verdict]) -> list[tuple[str, str, str, str, str]]:
    """Return measure, goal, program, verdict and the worst figure, in the goals' order."""
    rows = []
    for goal in GOALS:
        of_goal = [one for one in judged if one.goal is goal]
        for who in dict.fromkeys(one.who for one in of_goal):
            own = [one for one in of_goal if one.who == who]
            rows.append((goal.measure, goal.words, who, *_worst(own)))
        if not of_goal:
            rows.append((goal.measure, goal.words, "", "not measured", ""))
    return rows


def _worst(own: Sequence[Verdict]) -> tuple[str, str]:
    known = [one for one in own if one.of_goal is not None]
    if not known:
        return own[0].figure, ""
    missed = sum(not one.is_met for one in known)
    alone = len(known) == 1
    verdict = "**missed**" if missed else "met"
    if not alone:
        verdict += f" at {missed} of {len(known)}" if missed else f" at all {len(known)}"
    if len(known) < len(own):
        verdict += f", {len(own) - len(known)} without a peer"
    worst = min(known, key=lambda one: one.of_goal or 0)
    figure = worst.figure.split(" at: ")[0]
    return verdict, f"{figure} ({worst.workload})"


def _goals(book: Book, judged: Sequence[Verdict]) -> list[str]:
    heading = ("Measure", "Goal", "Program", "Verdict", "Figure, where there are several the worst")
    parts = [_table(heading, _summary(judged))]
    if not book.found:
        return ["Nothing has been measured yet.\n", *parts]
    if bare := without_note(book, judged):
        parts.append("These goals are missed, and no note below says why:\n")
        parts += [f"- {goal.measure}: {goal.words}" for goal in bare]
        parts.append("")
    return parts


def without_note(book: Book, judged: Sequence[Verdict]) -> list[Goal]:
    """Return the missed goals that no heading of their measure's notes names by its words."""
    missed = {
        id(one.goal): one.goal for one in judged if one.of_goal is not None and not one.is_met
    }
    return [goal for goal in missed.values() if goal.words not in _noted(book, goal.measure)]


def _noted(book: Book, measure: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", book.notes.get(measure, ""), re.MULTILINE)
    return {heading.strip() for heading in headings}


def _chapter(
    chapter: Chapter, book: Book, judged: Sequence[Verdict], drawn: dict[str, str]
) -> list[str]:
    found = [one for one in book.found if one.measure == chapter.measure]
    own = [one for one in judged if one.goal.measure == chapter.measure]
    name = chapter.measure.replace(" ", "-")
    parts = [f"## {chapter.title}\n", f"{chapter.about}\n"]
    if not found:
        parts.append("Not measured.\n")
    if own:
        heading = ("Workload", "Program", "Goal", "Figure", "Verdict")
        parts.append(_table(heading, map(_verdict_row, own)))
    if any(one.of_goal for one in own):
        title = f"{chapter.title}: how the goals are met"
        drawn[f"{name}-goals.svg"] = plots.goal_bars(title, own)
        parts.append(f"![{title}]({IMAGES}/{name}-goals.svg)\n")
    if found:
        parts.append(_medians(chapter, found))
        parts += _plots(chapter, name, found, drawn)
    if notes := book.notes.get(chapter.measure):
        parts += [f"### Notes on {chapter.title.lower()}\n", notes.strip() + "\n"]
    return parts


def _verdict_row(one: Verdict) -> tuple[str, ...]:
    verdict = "" if one.of_goal is None else "met" if one.is_met else "**missed**"
    return one.workload, one.who, one.goal.words, one.figure, verdict


def _medians(chapter: Chapter, found: Sequence[Measured]) -> str:
    """Return a row for each workload, a column for each program, those that are missing too."""
    here = {one.who for one in found}
    columns = [*chapter.programs, *sorted(here - set(chapter.programs))]
    heading = ("Workload", *(who if who in here else f"{who} (not measured)" for who in columns))
    by_key = {(one.workload, one.who): one for one in found}
    rows = []
    for workload in dict.fromkeys(one.workload for one in found):
        cells = [by_key.get((workload, who)) for who in columns]
        rounds = sorted({str(one.rounds) for one in cells if one}, key=int)
        rows.append((workload, *(_cell(one) for one in cells), ", ".join(rounds)))
    return _table((*heading, "Rounds"), rows)


def _cell(one: Measured | None) -> str:
    if one is None:
        return ""
    if one.least is None or one.most is None or one.least == one.most:
        return told(one)
    least, most = (told_number(value) for value in (one.least, one.most))
    return f"{told(one)} ({least}..{most})"


def told_number(value: float) -> str:
    """Return a number as `told` writes it, without a unit."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plots(
    chapter: Chapter, name: str, found: Sequence[Measured], drawn: dict[str, str]
) -> list[str]:
    """Draw what has one unit together, divided as the chapter says; p95 is in the table alone."""
    groups: dict[tuple[str, str], list[Measured]] = {}
    for one in found:
        words = one.workload.split(", ")
        if words[-1] == "p95" or one.value <= 0:
            continue
        at = chapter.plot_of
        part = words[at] if at is not None and at < len(words) else ""
        groups.setdefault((part, one.unit), []).append(one)
    lines = []
    for (part, unit), group in groups.items():
        title = ", ".join(filter(None, (chapter.title, part, unit)))
        file = re.sub(r"[^a-z0-9]+", "-", f"{name} {part} {unit}".lower()).strip("-") + ".svg"
        drawn[file] = plots.medians(title, group)
        lines.append(f"![{title}]({IMAGES}/{file})\n")
    return lines


def _commands(book: Book) -> str:
    heading = ("Command", "Began (UTC)", "Took", "Commit", "")
    rows = [
        (
            f"`{run.command}`",
            run.began,
            f"{run.seconds / 60:.1f} min",
            run.commit,
            "" if run.status == 0 else f"could not run (status {run.status})",
        )
        for run in book.runs.values()
    ]
    return _table(heading, rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heading), "|---" * len(heading) + "|", *map(line, rows), ""])
