"""Putting the full viewer in place: only the chosen package, whole or not at all, once."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from pacs_web import config, full_viewer
from pacs_web.full_viewer import release
from pacs_web.full_viewer.install import minify, patch
from pacs_web.full_viewer.release import FILES, MANIFEST, release_dir

MICROSCOPY = "await window.browserImportFunction('/dicom-microscopy-viewer/x.js');\n"
ROOTED = '__webpack_require__.p = "/";\n'
PROJECTION = 'CalibrationTypes["PROJECTION"] = "Proj";\n'
HASH = "0123456789abcdef0123"


def contents() -> dict[str, str]:
    """Return the files of a package as the real one has them, each of a few lines."""
    made = {f"dist/{name}.bundle.{HASH}.js": ROOTED for name in patch.ROOTS}
    made[f"dist/app.bundle.{HASH}.js"] += PROJECTION + MICROSCOPY + "// long comment\n" * 50
    made[f"dist/8665.bundle.{HASH}.js"] = PROJECTION
    made["dist/app.bundle.css"] = "@font-face { src: url(/31fb.woff2) }\n" * 5
    made |= {"dist/index.html": "<p>", "dist/sw.js": "0", "dist/ort/ort.js": "0", "LICENSE": "MIT"}
    made |= {"dist/assets/icon.png": "0", "dist/assets/images/lung.png": "0", "README.md": "0"}
    return made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to install into, where esbuild cannot be had."""
    monkeypatch.setattr(config, "VIEWER_DIR", tmp_path / "viewer")

    def no_npm(*_: str, cwd: Path) -> str:
        raise minify.CannotInstall("npm is not installed")

    monkeypatch.setattr(minify, "npm", no_npm)
    return tmp_path / "viewer"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a maker of packages that pass for the chosen one."""

    def make(**changed: str | None) -> Path:
        path = tmp_path / "package.tgz"
        held = contents() | {
            f"dist/{name.replace('__', '.')}": text for name, text in changed.items()
        }
        with tarfile.open(path, "w:gz") as archive:
            for name, text in held.items():
                if text is not None:
                    member = tarfile.TarInfo(f"package/{name}")
                    member.size = len(text.encode())
                    archive.addfile(member, io.BytesIO(text.encode()))
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        monkeypatch.setattr(release, "INTEGRITY", f"sha512-{digest}")
        return path

    return make


def install(package: Path, capsys: pytest.CaptureFixture[str]) -> str:
    call_command("install-viewer", "--from", str(package))
    return capsys.readouterr().out


def test_every_part_is_asked_for_below_the_viewers_own_address(place, package, capsys) -> None:
    install(package(), capsys)
    script = (release_dir() / f"app.bundle.{HASH}.js").read_text()
    assert f'__webpack_require__.p = "{FILES}"' in script
    assert f"browserImportFunction('{FILES}dicom-microscopy-viewer/" in script
    assert '"at the detector"' in script
    style = (release_dir() / "app.bundle.css").read_text()
    assert style.count(f"url({FILES}31fb") == 5
    assert json.loads((release_dir() / MANIFEST).read_text())["script"] == f"app.bundle.{HASH}.js"


def test_only_what_is_served_is_kept_and_the_licence(place, package, capsys) -> None:
    install(package(), capsys)
    kept = {str(path.relative_to(release_dir())) for path in release_dir().rglob("*")}
    assert {"LICENSE", "assets/images/lung.png"} <= kept
    assert not kept & {"sw.js", "index.html", "ort", "assets/icon.png", "README.md"}
    assert f"app.bundle.{HASH}.js.br" in kept
    assert f"app.bundle.{HASH}.js.gz" in kept


def test_a_second_install_changes_nothing(place, package, capsys) -> None:
    install(package(), capsys)
    before = (release_dir() / MANIFEST).stat().st_mtime_ns
    assert "lies already in" in install(package(), capsys)
    assert (release_dir() / MANIFEST).stat().st_mtime_ns == before


def test_another_package_is_refused_before_it_is_unpacked(place, package, capsys, tmp_path) -> None:
    package()
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    with pytest.raises(CommandError, match=r"other\.tgz is not @ohif/app .*SHA-512"):
        install(other, capsys)
    assert not full_viewer.installed()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({f"compute__bundle__{HASH}__js": "nothing to patch"}, "0 times and not 1"),
        ({"app__bundle__css": "url(/31fb)"}, "1 times and not 5"),
        ({f"polySeg__bundle__{HASH}__js": None}, r"0 files polySeg\.bundle"),
        ({f"99__bundle__{HASH}__js": ROOTED}, "no change is known for it"),
    ],
)
def test_a_change_that_does_not_fit_installs_nothing(
    place, package, capsys, changed, complaint
) -> None:
    with pytest.raises(CommandError, match=complaint):
        install(package(**changed), capsys)
    assert not full_viewer.installed()
    assert [path.name for path in place.iterdir()] == [".lock"]


def test_without_esbuild_it_is_installed_as_it_came_and_says_so(place, package, capsys) -> None:
    said = install(package(), capsys)
    assert "left as large as it came, because npm is not installed" in said
    assert full_viewer.installed()


def test_what_a_killed_install_left_is_cleared_away(place, package, capsys) -> None:
    (place / ".making-dead").mkdir(parents=True)
    release_dir().mkdir()
    (release_dir() / "half").touch()
    install(package(), capsys)
    assert not (place / ".making-dead").exists()
    assert not (release_dir() / "half").exists()


def test_without_npm_one_line_says_what_to_install(place, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CommandError, match=r"npm is not installed .*apt-get install npm") as told:
        call_command("install-viewer")
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_one_line(place) -> None:
    with pytest.raises(CommandError, match=r"No such file or directory /nowhere\.tgz"):
        call_command("install-viewer", "--from", "/nowhere.tgz")


def test_a_folder_that_cannot_be_written_is_one_line(place, package, capsys, monkeypatch) -> None:
    monkeypatch.setattr(config, "VIEWER_DIR", Path("/proc/nowhere"))
    with pytest.raises(CommandError, match="is not installed: "):
        install(package(), capsys)
