"""Tables as Markdown writes them."""

from __future__ import annotations

from collections.abc import Iterable


def table(heading: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    lines += [
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows
    ]
    return "\n".join(lines)
