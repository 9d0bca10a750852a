"""Scripts that are modules: the page names all that one needs, so that they come at once."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()
_IMPORT = re.compile(r"""(?:^import|^\}|^export)[^;]*?\bfrom\s+["'](\.[^"']+)["']""", re.MULTILINE)


@register.simple_tag
def module(name: str) -> SafeString:
    """Return the script element of a module, before it the links that fetch what it imports.

    A browser that meets an import only when it reads the module asks for one level after the
    other: three journeys before the first line runs.
    """
    links = format_html_join(
        "", '<link rel="modulepreload" href="{}">', ((static(one),) for one in imported(name))
    )
    return format_html('{}<script src="{}" type="module"></script>', links, static(name))


@cache
def imported(name: str) -> tuple[str, ...]:
    """Return the static modules that one imports, and those that they import, sorted."""
    found: set[str] = set()
    _follow(name, found)
    return tuple(sorted(found - {name}))


def _follow(name: str, found: set[str]) -> None:
    if name in found:
        return
    found.add(name)
    path = finders.find(name)
    if path is None:
        raise ValueError(f"there is no static file {name}")
    for relative in _IMPORT.findall(Path(path).read_text(encoding="utf-8")):
        _follow(posixpath.normpath(posixpath.join(posixpath.dirname(name), relative)), found)
