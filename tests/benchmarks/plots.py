"""Plots of findings as SVG: how far goals are met, and medians side by side.

Each stands on paper of its own, in light and dark, and has a title and a description for those who
do not see it. A bar has its value beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.benchmarks.goals import Verdict, told
from tests.benchmarks.measured import Measured

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1100, 380, 320, 64, 48
LINE, GAP = 18, 10
WIDE = 30.0  # values that lie so many times apart want a logarithmic axis
STEPS = (1, 2, 5)
LETTERS = 60  # that fit to the left of the axis
STYLE = """
 svg { --paper:#ffffff; --ink:#1c2b2a; --soft:#5b6b6a; --grid:#d9e2e1; --ours:#2f7f79;
       --theirs:#a8761b; --missed:#b3261e; }
 @media (prefers-color-scheme: dark) { svg { --paper:#14201f; --ink:#e8f1f0; --soft:#a5b8b6;
       --grid:#2c3f3d; --ours:#5fc1b8; --theirs:#d8a94c; --missed:#ff8a80; } }
 text { font-family: system-ui, sans-serif; font-size:12px; fill:var(--ink); }
 .h { font-size:16px; font-weight:600; } .s { fill:var(--soft); } .paper { fill:var(--paper); }
 .grid { stroke:var(--grid); } .one { stroke:var(--ink); stroke-width:1.5; }
 .range { stroke:var(--ink); stroke-width:1.5; } .ours { fill:var(--ours); }
 .theirs { fill:var(--theirs); } .missed { fill:var(--missed); }
"""


@dataclass(frozen=True)
class Axis:
    """Where values lie from left to right."""

    low: float
    high: float
    is_logarithmic: bool

    def at(self, value: float) -> float:
        """Return the place of a value, in pixels."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        part = (self._scaled(max(value, self.low)) - low) / (high - low)
        return LEFT + (WIDTH - LEFT - RIGHT) * part

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_logarithmic else value

    def ticks(self) -> list[float]:
        """Return round values on the axis."""
        if not self.is_logarithmic:
            step = _round_up(self.high / 6)
            return [step * number for number in range(int(self.high / step + 1e-9) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = STEPS if len(decades) <= 4 else STEPS[:1]
        values = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in values if self.low <= value <= self.high]


def goal_bars(title: str, verdicts: Sequence[Verdict]) -> str:
    """Draw how many times each goal is reached: bars to the right of 1 are met."""
    known = [one for one in verdicts if one.of_goal]
    values = [one.of_goal or 1 for one in known]
    axis = Axis(min([0.5, *values]) / 1.1, max([2, *values]) * 1.1, True)
    drawn, y = [], TOP
    for verdict, value in zip(known, values, strict=True):
        left, right = sorted((axis.at(1), axis.at(value)))
        kind = "ours" if verdict.is_met else "missed"
        figure = verdict.figure.partition(" at: ")[0]
        said = f"{verdict.who}: {figure}{'' if verdict.is_met else ', missed'}"
        drawn += [
            _text(LEFT - 8, y + 13, _short(verdict.workload), "end"),
            f'<rect class="{kind}" x="{left:.1f}" y="{y + 3}" width="{max(right - left, 1):.1f}"'
            f' height="{LINE - 5}"/>',
            _text(max(right, axis.at(1)) + 6, y + 13, said),
        ]
        y += LINE
    one = axis.at(1)
    drawn.append(f'<line class="one" x1="{one:.1f}" y1="{TOP - 6}" x2="{one:.1f}" y2="{y + 4}"/>')
    met = sum(one.is_met for one in known)
    about = f"{met} of {len(known)} are met. " + _listed(
        (f"{one.workload}, {one.who}", one.figure) for one in known
    )
    return _svg(title, about, axis, "times the goal (1: just met; more is better)", drawn, y)


def medians(title: str, found: Sequence[Measured]) -> str:
    """Draw medians of one unit, one workload below the other, with their least and most.

    Bars from nought; dots on a logarithmic axis where the values lie far apart.
    """
    values = [value for one in found for value in (one.value, one.least, one.most) if value]
    is_wide = max(values) / min(values) > WIDE
    axis = Axis(min(values) / 1.3 if is_wide else 0, max(values) * (1.3 if is_wide else 1), is_wide)
    drawn: list[str] = []
    y = TOP
    for workload in dict.fromkeys(one.workload for one in found):
        drawn.append(_text(LEFT - 8, y + 13, _short(workload), "end"))
        for one in (one for one in found if one.workload == workload):
            drawn += _median(one, axis, y)
            y += LINE
        y += GAP
    unit, better = found[0].unit, "more" if found[0].is_more_better else "less"
    label = f"{unit}, medians with least and most ({better} is better)"
    about = _listed((f"{one.workload}, {one.who}", told(one)) for one in found)
    return _svg(title, about, axis, label, drawn, y)


def _median(one: Measured, axis: Axis, y: int) -> list[str]:
    kind = "ours" if one.who.startswith("argens") else "theirs"
    x, middle = axis.at(one.value), y + LINE / 2
    if axis.is_logarithmic:
        drawn = [f'<circle class="{kind}" cx="{x:.1f}" cy="{middle}" r="5"/>']
    else:
        width = max(x - LEFT, 1)
        drawn = [
            f'<rect class="{kind}" x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="{LINE - 4}"/>'
        ]
    least, most = axis.at(one.least or one.value), axis.at(one.most or one.value)
    if most - least > 1:
        drawn.append(
            f'<line class="range" x1="{least:.1f}" y1="{middle}" x2="{most:.1f}" y2="{middle}"/>'
        )
    return [*drawn, _text(max(x, most) + 8, y + 13, f"{one.who}: {told(one)}")]


def _svg(title: str, about: str, axis: Axis, label: str, drawn: list[str], bottom: int) -> str:
    height = bottom + BOTTOM
    centre = (LEFT + WIDTH - RIGHT) / 2
    grid: list[str] = []
    for value in axis.ticks():
        x = axis.at(value)
        grid += [
            f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom + 4}"/>',
            _text(x, bottom + 20, f"{value:,g}", "middle", "s"),
        ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(about)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="10"/>',
        _text(20, 32, title, kind="h"),
        *grid,
        *drawn,
        _text(centre, bottom + 40, label, "middle", "s"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str) -> str:
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 1]}…"


def _listed(values: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{what}: {value}" for what, value in values) + "."


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 ..."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(step * decade for step in (*STEPS, 10) if step * decade >= value)
