"""What mkdocs does to the documents on their way into the site (mkdocs.yml, `hooks`).

The pages name each other as files of the repository, `docs/access.md`, which reads well in any
editor; in the site such a name is a link. A name with a star in the navigation is a folder's pages.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_PAGE = re.compile(r"(?<!\[)`docs/([\w./-]+\.md)`")
_FENCE = re.compile(r"^ *(`{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Write the folders of the navigation out, page by page."""
    config["nav"] = _written_out(config["nav"], Path(config["docs_dir"]))
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page in which the names of other pages are links; code blocks stay."""
    here = posixpath.dirname(page.file.src_uri)
    kept = 0
    parts = []
    for block in _FENCE.finditer(markdown):
        parts += [_linked(markdown[kept : block.start()], here), block.group()]
        kept = block.end()
    return "".join([*parts, _linked(markdown[kept:], here)])


def _linked(text: str, here: str) -> str:
    def link(name: re.Match[str]) -> str:
        return f"[{name.group()}]({posixpath.relpath(name.group(1), here or '.')})"

    return _PAGE.sub(link, text)


def _written_out(nav: list[Any], docs: Path) -> list[Any]:
    named = set(_pages(nav))
    found: list[Any] = []
    for entry in nav:
        if isinstance(entry, dict):
            found += [
                {title: _written_out(below, docs) if isinstance(below, list) else below}
                for title, below in entry.items()
            ]
        elif entry.endswith("/*"):
            files = sorted((docs / entry).parent.glob("*.md"))
            pages = (file.relative_to(docs).as_posix() for file in files)
            found += [page for page in pages if page not in named]
        else:
            found.append(entry)
    return found


def _pages(nav: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in nav:
        for below in entry.values() if isinstance(entry, dict) else [entry]:
            found += _pages(below) if isinstance(below, list) else [below]
    return found
