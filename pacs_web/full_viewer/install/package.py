"""The published package: fetched with npm, checked against its digest, unpacked in part."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from pacs_web.full_viewer import release

NPM_TIMEOUT_S = 900
QUICK = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1")
CONTENT = "package/dist/"
LICENCE = "package/LICENSE"
LEFT_OUT = (  # AI segmentation, microscopy, other log-ins, the page itself, its icons
    "ort/",
    "dicom-microscopy-viewer/",
    "_headers",
    "_redirects",
    "app-config.js",
    "es6-shim.min.js",
    "google.js",
    "index.html",
    "init-service-worker.js",
    "manifest.json",
    "oidc-client.min.js",
    "polyfill.min.js",
    "serve.json",
    "silent-refresh.html",
    "sw.js",
)
ICONS, KEPT_PICTURES = "assets/", "assets/images/"


class CannotInstall(Exception):
    """One line that says why the viewer could not be installed."""


def npm(*arguments: str, cwd: Path) -> str:
    """Run npm and return what it printed; raises CannotInstall with its last complaint."""
    program = shutil.which("npm")
    if program is None:
        raise CannotInstall("npm is not installed (on Debian: apt-get install npm)")
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            [program, *arguments, *QUICK],
            cwd=cwd,
            env={**os.environ, "npm_config_update_notifier": "false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"npm did not end within {NPM_TIMEOUT_S} s") from None
    if done.returncode:
        raise CannotInstall(f"npm {arguments[0]} failed: {_complaint(done.stderr)}")
    return done.stdout


def fetch(folder: Path) -> Path:
    """Fetch the package into `folder` and return the file."""
    npm("pack", f"{release.PACKAGE}@{release.VERSION}", "--pack-destination", ".", cwd=folder)
    found = list(folder.glob("*.tgz"))
    if len(found) != 1:
        raise CannotInstall(f"npm pack left {len(found)} packages instead of one")
    return found[0]


def verify(package: Path) -> None:
    """Raise CannotInstall unless the file is, byte for byte, the release that was chosen."""
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != release.INTEGRITY:
        raise CannotInstall(
            f"{package.name} is not {release.PACKAGE} {release.VERSION}: its SHA-512 differs"
        )


def unpack(package: Path, tree: Path) -> None:
    """Unpack what is served, and the licence, into the new folder `tree`."""
    tree.mkdir()
    try:
        with tarfile.open(package, "r:gz") as archive:
            archive.extractall(tree, members=_served(archive), filter="data")
    except tarfile.TarError as error:
        raise CannotInstall(f"{package.name} cannot be unpacked: {error}") from None


def _served(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        name = member.name.removeprefix(CONTENT)
        if member.name == LICENCE:
            yield member.replace(name="LICENSE", deep=False)
        elif name != member.name and _wanted(name):
            yield member.replace(name=name, deep=False)


def _wanted(name: str) -> bool:
    if name.startswith(LEFT_OUT) or name.endswith(".map"):
        return False
    return not name.startswith(ICONS) or name.startswith(KEPT_PICTURES)


def _complaint(printed: str) -> str:
    lines = [line.removeprefix("npm error").strip() for line in printed.splitlines()]
    said = [line for line in lines if line and not line.startswith(("npm warn", "A complete log"))]
    return "; ".join(said[:3]) or "it gave no reason"
