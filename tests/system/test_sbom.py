"""The bill of materials lists what is shipped, as it is locked; the audit says what it did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import audit_libraries
from tests.support.roles import ROOT

pytestmark = pytest.mark.slow
LOCKED = re.compile(
    r"^([a-z0-9.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.make_sbom", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # it is held to CycloneDX's schema there
    return json.loads(file.read_text())


def locked() -> dict[str, tuple[str, set[str]]]:
    """Return version and digests of each library, from the lock file itself."""
    found = LOCKED.findall((ROOT / "requirements.txt").read_text())
    return {
        name: (version, set(re.findall(r"[0-9a-f]{64}", hashes))) for name, version, hashes in found
    }


def digests(component: dict) -> set[str]:
    references = component.get("externalReferences", [])
    return {one["content"] for place in references for one in place.get("hashes", [])}


def test_every_locked_library_is_listed_with_its_version_and_digests(bill):
    lock = locked()
    assert len(lock) == (ROOT / "requirements.txt").read_text().count("==")
    libraries = {
        one["name"]: (one["version"], digests(one))
        for one in bill["components"]
        if one["purl"].startswith("pkg:pypi/")
    }
    assert libraries == lock
    assert bill["metadata"]["component"]["name"] == "argens"


def test_every_component_has_a_licence_and_a_place_in_the_graph(bill):
    assert all(one["licenses"] for one in bill["components"])
    refs = {one["bom-ref"] for one in bill["components"]}
    graph = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    root = bill["metadata"]["component"]["bom-ref"]
    assert graph.keys() == refs | {root}
    reached, waiting = set(), [root]
    while waiting:
        if (ref := waiting.pop()) not in reached:
            reached.add(ref)
            waiting += graph[ref]
    assert reached == graph.keys()  # nothing is shipped that nothing needs


def test_what_is_vendored_is_listed_as_it_lies_there(bill):
    from hashlib import sha256

    found = {one["name"]: one for one in bill["components"]}
    file = ROOT / "pacs_web/static/vendor/htmx/htmx.min.js"
    assert found["htmx.org"]["hashes"][0]["content"] == sha256(file.read_bytes()).hexdigest()
    release = (ROOT / "pacs_web/full_viewer/release.py").read_text()
    assert f'VERSION = "{found["@ohif/app"]["version"]}"' in release


def test_what_is_tested_is_what_is_shipped():
    tested = dict(
        re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.M)
    )
    shipped = {name: version for name, (version, _) in locked().items()}
    assert shipped.items() <= tested.items()


def test_an_audit_tells_weak_libraries_and_those_that_it_could_not_look_up():
    told = [
        {"name": "sound", "version": "1", "vulns": []},
        {"name": "weak", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]},
        {"name": "strange", "skip_reason": "not found"},
    ]
    assert audit_libraries.lines(told) == [
        "weak 2: CVE-1, mended in 2.1",
        "not looked up: strange",
        "2 libraries looked up, 1 known weaknesses",
    ]
    assert audit_libraries.lines(told[2:])[0].startswith("not audited: ")


def test_an_audit_that_cannot_be_done_says_so_and_fails_no_build(tmp_path: Path, capfd):
    assert audit_libraries.main([str(tmp_path / "no-such-lock.txt")]) == 0
    assert capfd.readouterr().out.startswith("not audited: ")
