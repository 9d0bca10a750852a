"""The words of a marked-up document, in time proportional to its length whatever stands in it.

Parsers of the standard library go back to the beginning of what is never closed: a document of
forty kilobytes of broken tags kept one busy for a minute. Entities of its own are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from pacs_common.errors import CannotRender

MOST_LINES, MOST_PIECES = 50_000, 500_000
BLOCKS = {"p", "div", "br", "tr", "li", "title", "caption", "paragraph", "item", "section", "table"}
CELLS = {"td", "th"}
UNSEEN = {"script", "style", "head"}
_CLOSED_BY = {"<!--": "-->", "<![CDATA[": "]]>", "<?": ">", "<!": ">"}
_NAME = re.compile(r"<(/?)([A-Za-z][^\s/<>]{0,40})")
# Quoted values may hold a ">", a subset in brackets too; nothing is tried twice.
_TAG = re.compile(r"""<(?>[^>"']|"[^"]*"|'[^']*')*+>""")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\]\s*+)?>", re.IGNORECASE)
_DOCTYPE_BEGINS = re.compile("<!DOCTYPE", re.IGNORECASE)
_END_OF = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style")}
Piece = tuple[str, bool, str]  # a tag's name in lower case and whether it ends; or "", and words


def lines_of(source: str) -> list[str]:
    """Return the words of an XML or HTML document, a line for each of its blocks.

    Raises CannotRender where there are too many to be shown.
    """
    lines: list[list[str]] = [[]]
    unseen = 0
    for number, (name, is_end, words) in enumerate(_pieces(source)):
        if number > MOST_PIECES:
            raise CannotRender("the document has too much markup to be shown")
        if name in UNSEEN:
            unseen = max(0, unseen - 1) if is_end else unseen + 1
        elif name in BLOCKS:
            lines.append([])
        elif name in CELLS and is_end:
            lines[-1].append("  ")
        elif not unseen:
            lines[-1].append(words)
    found = [line for line in (" ".join("".join(raw).split()) for raw in lines) if line]
    if len(found) > MOST_LINES:
        raise CannotRender(f"the document has more than {MOST_LINES} lines")
    return found


def _pieces(source: str) -> Iterator[Piece]:
    """Yield tags and words in their order; what is never closed ends the document."""
    place = _behind_doctype(source)
    while (start := source.find("<", place)) >= 0:
        yield "", False, unescape(source[place:start])
        named = _NAME.match(source, start)
        if named is None:
            words, place = _no_tag(source, start)
            yield "", False, words
            continue
        tag = _TAG.match(source, start)
        if tag is None:
            return
        place = tag.end()
        name, is_end = named[2].lower(), bool(named[1])
        yield name, is_end, ""
        if source[place - 2] == "/":
            yield name, True, ""
        elif name in _END_OF and not is_end:  # what looks like a tag in there is none
            end = _END_OF[name].search(source, place)
            place = end.start() if end else len(source)
    yield "", False, unescape(source[place:])


def _behind_doctype(source: str) -> int:
    """Return where a document begins behind its type, whose subset may hold tags of its own."""
    begun = _DOCTYPE_BEGINS.search(source)
    found = _DOCTYPE.match(source, begun.start()) if begun else None
    return found.end() if found else 0


def _no_tag(source: str, start: int) -> tuple[str, int]:
    """Return the words in a comment, CDATA or stray "<", and where what follows begins."""
    opening = next((one for one in _CLOSED_BY if source.startswith(one, start)), "")
    if not opening:
        return "<", start + 1
    end = source.find(_CLOSED_BY[opening], start + len(opening))
    end = end if end >= 0 else len(source)
    words = source[start + len(opening) : end] if opening == "<![CDATA[" else ""
    return words, end + len(_CLOSED_BY[opening])
