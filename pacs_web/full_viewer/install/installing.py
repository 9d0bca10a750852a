"""The whole installation, which appears in one step or not at all."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pacs_web.full_viewer import release
from pacs_web.full_viewer.install.compress import compress
from pacs_web.full_viewer.install.minify import CannotMinify, minify
from pacs_web.full_viewer.install.package import fetch, unpack, verify
from pacs_web.full_viewer.install.patch import patch

MAKING = ".making-"
Say = Callable[[str], None]


def install(say: Say, package: Path | None = None) -> bool:
    """Install the release from the registry, or from the file `package`; False if it is there.

    The release appears in one step, whole. Raises CannotInstall with the reason, and OSError.
    """
    parent = release.release_dir().parent
    parent.mkdir(parents=True, exist_ok=True)
    with _alone(parent):
        if release.installed_release() is not None:
            return False
        for left in parent.glob(f"{MAKING}*"):  # of an install that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=parent, prefix=MAKING) as folder:
            _make(Path(folder), package, say)
            tree = Path(folder) / "tree"
            tree.chmod(0o755)
            if release.release_dir().exists():  # without its manifest it is no release
                shutil.rmtree(release.release_dir())
            tree.rename(release.release_dir())
    return True


def _make(folder: Path, package: Path | None, say: Say) -> None:
    if package is None:
        say(f"fetching {release.PACKAGE} {release.VERSION} with npm")
        package = fetch(folder)
    verify(package)
    tree = folder / "tree"
    say("unpacking and patching")
    unpack(package, tree)
    entries = patch(tree)
    try:
        minify(tree, folder)
    except CannotMinify as error:
        say(f"left as large as it came, because {error}")
    say("compressing")
    compress(tree)
    (tree / release.MANIFEST).write_text(json.dumps(entries), encoding="utf-8")


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Let nobody else install into `parent` meanwhile; a second install waits for the first."""
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
