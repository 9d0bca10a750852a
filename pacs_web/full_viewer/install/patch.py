"""What is changed in the package so that it runs below `release.FILES` and not at `/`.

The published build has its place baked in and no switch for it. Every change says how often it
must apply; one that finds something else is an error, since the page would stay black.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pacs_web.full_viewer.install.package import CannotInstall
from pacs_web.full_viewer.release import FILES


@dataclass(frozen=True)
class Change:
    """`old` becomes `new`, `times` times, in the one file that matches `pattern`."""

    pattern: str
    old: str
    new: str
    times: int = 1


ROOTS = ("app", "1927", "6376", "compute", "histogram-worker", "interpolation", "polySeg")
CHANGES = (
    *(
        Change(
            f"{name}.bundle.*.js",
            '__webpack_require__.p = "/"',
            f'__webpack_require__.p = "{FILES}"',
        )
        for name in ROOTS
    ),
    *(
        # What a length on a projection image is called, see static/full_viewer/app-config.js.
        Change(
            f"{name}.bundle.*.js",
            'CalibrationTypes["PROJECTION"] = "Proj"',
            'CalibrationTypes["PROJECTION"] = "at the detector"',
        )
        for name in ("app", "8665")
    ),
    Change("app.bundle.css", "url(/31fb", f"url({FILES}31fb", 5),
    Change(
        "app.bundle.*.js",
        "browserImportFunction('/dicom-microscopy-viewer/",
        f"browserImportFunction('{FILES}dicom-microscopy-viewer/",
    ),
)


def patch(tree: Path) -> dict[str, str]:
    """Apply all changes to the unpacked `tree`; return the names of its script and style."""
    for change in CHANGES:
        _apply(tree, change)
    left = [path.name for path in tree.glob("*.js") if '__webpack_require__.p = "/"' in _text(path)]
    if left:
        raise CannotInstall(f"{left[0]} asks for its parts at / and no change is known for it")
    return {
        "script": _one(tree, "app.bundle.*.js").name,
        "style": _one(tree, "app.bundle.css").name,
    }


def _apply(tree: Path, change: Change) -> None:
    path = _one(tree, change.pattern)
    text = _text(path)
    if (found := text.count(change.old)) != change.times:
        raise CannotInstall(
            f"{path.name} holds {change.old!r} {found} times and not {change.times}"
        )
    path.write_text(text.replace(change.old, change.new), encoding="utf-8")


def _one(tree: Path, pattern: str) -> Path:
    found = list(tree.glob(pattern))
    if len(found) != 1:
        raise CannotInstall(f"the package has {len(found)} files {pattern} and not one")
    return found[0]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
