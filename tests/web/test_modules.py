"""The page of the quick view names every module that its script will import."""

from __future__ import annotations

from pathlib import Path

from pacs_web.templatetags.modules import imported, module

VIEWER = Path(__file__).resolve().parents[2] / "pacs_web" / "static" / "viewer"
OF_OTHER_PAGES = {"document.js", "header.js", "viewer.js"}


def test_all_modules_of_the_quick_view_are_fetched_at_once():
    scripts = {path.name for path in VIEWER.glob("*.js")} - OF_OTHER_PAGES
    assert imported("viewer/viewer.js") == tuple(sorted(f"viewer/{name}" for name in scripts))


def test_the_links_come_before_the_script_and_none_twice():
    written = module("viewer/viewer.js")
    links, script = written.split("<script")
    assert script == ' src="/static/viewer/viewer.js" type="module"></script>'
    assert links.count("modulepreload") == len(imported("viewer/viewer.js"))
    assert links.count("viewer/pane.js") == 1
