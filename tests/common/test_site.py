"""The site of the documents (`make docs`): whole, self-contained, and searched from a disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.support.services import require
from tests.support.tutorial_pictures import MOST_BYTES, TAKEN

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"""<(?:script|img|iframe|source)[^>]* src=["']?([^"'\s>]+)""")
STYLED = re.compile(r"""<link[^>]* rel=["']?(?:stylesheet|preload|preconnect|icon)[^>]*>""")
pytestmark = pytest.mark.slow


def build(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a folder that holds mkdocs.yml, as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def small(folder: Path, nav: str, **pages: str) -> Path:
    """Write a site of a few pages with the real settings and hooks; return its folder."""
    (folder / "docs" / "adr").mkdir(parents=True)
    settings = (ROOT / "mkdocs.yml").read_text().split("\nnav:")[0]
    (folder / "mkdocs.yml").write_text(f"{settings}\nnav: {nav}\n")
    shutil.copy(ROOT / "docs" / "site.py", folder / "docs")
    for name, text in pages.items():
        (folder / "docs" / f"{name.replace('__', '/')}.md").write_text(f"# A page\n\n{text}\n")
    return folder


def test_links_anchors_and_pages_that_lead_nowhere_break_the_build(tmp_path: Path) -> None:
    pages = {"index": "[y](audit.md#a-page) `docs/audit.md`", "audit": "", "adr__0001": ""}
    folder = small(tmp_path, "[index.md, audit.md, Design: [adr/*]]", **pages)
    assert build(folder, folder / "out").returncode == 0
    wrong = ("[x](nowhere.md)", "[x](audit.md#no-heading)", "[x](/audit.md)", "`docs/gone.md`")
    (folder / "docs" / "index.md").write_text("# A page\n\n" + "\n".join(wrong))
    (folder / "docs" / "forgotten.md").write_text("# A page\n")
    done = build(folder, folder / "out")
    assert done.returncode == 1
    for name in ("nowhere.md", "no-heading", "/audit.md", "gone.md", "forgotten.md"):
        assert name in done.stderr


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text()
        loaded = LOADED.findall(text) + STYLED.findall(text)
        assert loaded and not [one for one in loaded if "//" in one], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet.name


def test_no_drawing_is_left_as_the_text_that_a_script_from_elsewhere_would_draw(site: Path) -> None:
    written = re.compile(r"mermaid|plantuml|graphviz|stateDiagram|sequenceDiagram|flowchart")
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not [one for one in re.findall(r"<pre[^>]*>.*?</pre>", text, re.S)
                    if written.search(one)], page.name  # fmt: skip


def test_the_tutorials_pictures_are_small_and_all_shown() -> None:
    tutorials = ROOT / "docs" / "tutorials"
    text = "".join(page.read_text() for page in tutorials.glob("*.md"))
    shown = set(re.findall(r"\(\.\./images/tutorials/([\w-]+)\.png\)", text))
    pictures = {one.stem: one for one in (ROOT / "docs" / "images" / "tutorials").glob("*.png")}
    assert shown == set(pictures) == set(TAKEN)
    assert all(one.stat().st_size <= MOST_BYTES for one in pictures.values())


def test_names_of_pages_are_links_and_code_blocks_stay(site: Path) -> None:
    text = (site / "ARCHITECTURE.html").read_text()
    assert '<a href="interfaces.html"><code>docs/interfaces.md</code></a>' in text
    assert '<a href="../archive-policy.html">' in (site / "runbooks" / "disk-full.html").read_text()


def test_it_is_searched_from_a_disk_without_a_network(site: Path) -> None:
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.locator(".md-search__input").first.fill("quarantine")
        page.locator(".md-search-result__item").first.wait_for()
        browser.close()
    assert asked and not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


def test_no_command_is_cut_at_the_edge_of_a_page(site: Path) -> None:
    wider = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require("chromium"), args=["--no-sandbox"]
        )
        for width in (1300, 390):
            page = browser.new_page(viewport={"width": width, "height": 800})
            for name in ("installation", "backup", "http-api", "runbooks/disk-full"):
                page.goto((site / f"{name}.html").as_uri())
                commands = page.locator(".language-sh code")
                assert commands.count() and commands.evaluate_all(wider) == [], name
        browser.close()
