"""Makes the scripts small with esbuild: the published build is not minified."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pacs_web.full_viewer.install.package import CannotInstall, npm

LOCKED = Path(__file__).resolve().parents[1] / "esbuild"
ESBUILD_TIMEOUT_S = 300


class CannotMinify(Exception):
    """Why the scripts stay as they are; they work all the same."""


def minify(tree: Path, folder: Path) -> None:
    """Minify the scripts in `tree`, each in its place; `folder` is for esbuild itself.

    Licence comments are kept at each script's end.
    """
    program = _esbuild(folder / "esbuild")
    scripts = sorted(path.name for path in tree.glob("*.js"))
    how = ("--minify", "--legal-comments=eof", "--charset=utf8", "--log-level=error")
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        [str(program), *scripts, *how, "--outdir=.", "--allow-overwrite"],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ESBUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:  # it writes nothing where it fails
        raise CannotMinify(f"esbuild failed: {(done.stderr.strip() or '?').splitlines()[0]}")


def _esbuild(folder: Path) -> Path:
    """Install the locked esbuild into `folder`; npm checks its digests."""
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, folder)
    try:
        npm("ci", cwd=folder)
    except CannotInstall as error:
        raise CannotMinify(str(error)) from None
    found = list(folder.glob("node_modules/@esbuild/*/bin/esbuild"))
    if not found:
        raise CannotMinify("there is no esbuild for this machine")
    return found[0]
