"""Code 39 (ISO/IEC 16388), the bar code of tape labels: a text in, bars out."""

from __future__ import annotations

from dataclasses import dataclass

from pacs_common.errors import BadInput

NARROW, WIDE = 1, 3  # modules; a wide element is three narrow ones
QUIET = 10  # modules of white before and behind
MARK = "*"  # begins and ends each symbol
# Each sign is five bars, narrow or wide, with four spaces between them: ten patterns of bars, and
# a row of ten signs for each place of the one wide space. Four signs have narrow bars alone.
_SIGNS = "1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ-. *"
_BARS = "WNNNW NWNNW WWNNN NNWNW WNWNN NWWNN NNNWW WNNWN NWNWN NNWWN".split()
_SPACES = "NWNN NNWN NNNW WNNN".split()
_ODD = {"$": "WWWN", "/": "WWNW", "+": "WNWW", "%": "NWWW"}


@dataclass(frozen=True)
class Bar:
    """A black bar: where it begins and how wide it is, in modules."""

    x: int
    width: int


@dataclass(frozen=True)
class Symbol:
    """The bars of a text, and how wide they are with their quiet zones, in modules."""

    text: str
    bars: list[Bar]
    width: int


def symbol_of(text: str) -> Symbol:
    """Return the symbol of a text; BadInput where Code 39 has no sign for one of its characters."""
    bars: list[Bar] = []
    at = QUIET
    for sign in f"{MARK}{_checked(text)}{MARK}":
        for index, wide in enumerate(pattern_of(sign)):
            width = WIDE if wide == "W" else NARROW
            if index % 2 == 0:
                bars.append(Bar(at, width))
            at += width
        at += NARROW  # between two characters
    return Symbol(text, bars, at - NARROW + QUIET)


def pattern_of(sign: str) -> str:
    """Return the nine elements of a sign, bars and spaces in turn, as N and W."""
    bars, spaces = _elements(sign)
    return "".join(bar + space for bar, space in zip(bars, f"{spaces} ", strict=True)).strip()


def _elements(sign: str) -> tuple[str, str]:
    if sign in _ODD:
        return "NNNNN", _ODD[sign]
    row, place = divmod(_SIGNS.index(sign), len(_BARS))
    return _BARS[place], _SPACES[row]


def _checked(text: str) -> str:
    upper = text.upper()
    if not upper or MARK in upper or any(one not in _SIGNS and one not in _ODD for one in upper):
        raise BadInput(f"Code 39 cannot write {text!r}")
    return upper
