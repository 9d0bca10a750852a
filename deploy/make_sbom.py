"""Writes the software bill of materials (CycloneDX) of what a release ships: `make sbom`.

    .venv/bin/python -m deploy.make_sbom [FILE]

Each library of requirements.txt with its version, digests, licence and what it needs in turn, and
what is vendored or fetched beside them: HTMX and OHIF. cyclonedx-bom reads the lock file and the
environment; here the two are joined, because the lock knows no licence and the environment no
digest. Exit status 1 with one line where they do not fit each other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "var" / "sbom.cdx.json"
LOCK = ROOT / "requirements.txt"
HTMX = ROOT / "pacs_web" / "static" / "vendor" / "htmx" / "htmx.min.js"
OHIF = ROOT / "pacs_web" / "full_viewer" / "release.py"
TOOL = [sys.executable, "-m", "cyclonedx_py"]
FORM = ["--pyproject", str(ROOT / "pyproject.toml"), "--sv", "1.6", "--output-reproducible"]


class DoNotFit(Exception):
    """Why there is no bill, as one line."""


def main(arguments: list[str]) -> int:
    """Write the bill and say how much it lists."""
    target = Path(arguments[0]) if arguments else PLACE
    try:
        text = json.dumps(bill(), indent=2, sort_keys=True) + "\n"
        wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        if wrong is not None:
            raise DoNotFit(f"what was made is no CycloneDX 1.6: {wrong!r:.300}")
    except DoNotFit as error:
        print(error, file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    print(f"{target}: {len(json.loads(text)['components'])} components")
    return 0


def bill() -> dict[str, Any]:
    """Return the bill of the lock file, with licences and what needs what."""
    locked = _told("requirements", str(LOCK))
    installed = _told("environment", sys.executable)
    known = {_name(one): one for one in installed["components"]}
    for one in locked["components"]:
        found = known.get(_name(one))
        if found is None or found["version"] != one["version"]:
            raise DoNotFit(f"{one['name']} {one['version']} is not installed: make venv-dev")
        one["licenses"] = _licences(found)
        one["bom-ref"] = one["purl"]
        one["description"] = found.get("description", "")
    locked["components"] += [htmx(), ohif()]
    locked["dependencies"] = _needs(locked, installed)
    return locked


def htmx() -> dict[str, Any]:
    """Return the vendored HTMX as a component."""
    content = HTMX.read_bytes()
    found = re.search(rb'version:"([\d.]+)"', content)
    if found is None:
        raise DoNotFit(f"{HTMX} does not tell its version")
    digest = hashlib.sha256(content).hexdigest()
    return _vendored("htmx.org", found[1].decode(), "0BSD", "SHA-256", digest)


def ohif() -> dict[str, Any]:
    """Return the full viewer that `install-viewer` fetches as a component."""
    text = OHIF.read_text()
    version = re.search(r'^VERSION = "([\d.]+)"', text, re.MULTILINE)
    integrity = re.search(r'"sha512-([\w+/=]+)"\s+"([\w+/=]+)"', text)
    if version is None or integrity is None:
        raise DoNotFit(f"{OHIF} does not tell version and digest")
    digest = base64.b64decode(integrity[1] + integrity[2]).hex()
    return _vendored("@ohif/app", version[1], "MIT", "SHA-512", digest)


def _vendored(name: str, version: str, licence: str, kind: str, digest: str) -> dict[str, Any]:
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": kind, "content": digest}],
        "licenses": [{"license": {"id": licence}}],
    }


def _told(kind: str, what: str) -> dict[str, Any]:
    """Return what cyclonedx-bom makes of a lock file or an environment."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [*TOOL, kind, *FORM, what], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DoNotFit(f"cyclonedx-py {kind}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _licences(component: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a licence's SPDX id or expression where one is declared, else what stands there."""
    told = component.get("licenses")
    if not told:
        raise DoNotFit(f"{component['name']} declares no licence")
    exact = [one for one in told if "expression" in one or "id" in one.get("license", {})]
    return exact or told


def _needs(locked: dict[str, Any], installed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what needs what, by the environment's graph, among what is locked."""
    refs = {_name(one): one["bom-ref"] for one in locked["components"]}
    of_environment = {one["bom-ref"]: refs.get(_name(one)) for one in installed["components"]}
    root = locked["metadata"]["component"]["bom-ref"]
    of_environment[installed["metadata"]["component"]["bom-ref"]] = root
    graph = {
        of_environment[one["ref"]]: sorted(
            filter(None, (of_environment.get(ref) for ref in one.get("dependsOn", [])))
        )
        for one in installed["dependencies"]
        if of_environment.get(one["ref"])
    }
    beside = {ref for ref in refs.values() if ref.startswith("pkg:npm/")}
    graph[root] = sorted({*graph.get(root, []), *beside})
    return [{"ref": ref, "dependsOn": graph.get(ref, [])} for ref in sorted({root, *refs.values()})]


def _name(component: dict[str, Any]) -> str:
    return canonicalize_name(component["name"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
