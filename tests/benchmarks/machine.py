"""What a benchmark ran on and with: the machine, and the version of every program."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks import peers
from tests.support.roles import ROOT

NOT_HERE = "not installed here"
PACKAGES = {
    "Orthanc, DICOMweb plug-in": "orthanc-dicomweb",
    "Orthanc, PostgreSQL plug-in": "orthanc-postgresql",
}


def machine() -> dict[str, str]:
    """Return processor, memory, kernel, and the disk below the temporary folder."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{memory / (1 << 30):.1f} GiB",
        "System": f"{system}, {platform.system()} {platform.release()} {platform.machine()}",
        "Disk of the stores": disk(Path(tempfile.gettempdir())),
    }


def disk(folder: Path) -> str:
    """Return file system, device and size of the disk that holds a folder."""
    entries = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    where = folder.resolve()
    over = [entry for entry in entries if where.is_relative_to(entry[1])]
    device, _, kind = max(over, key=lambda entry: len(entry[1]))[:3]
    size = shutil.disk_usage(where)
    return f"{kind} on {device}, {size.total / 1e9:.0f} GB, {size.free / 1e9:.0f} GB free"


def programs() -> dict[str, str]:
    """Return the version of each program that was measured or took part."""
    return {
        "Argens": commit(),
        "Python": platform.python_version(),
        "Orthanc": _version("Orthanc", "/usr/sbin/Orthanc"),
        **{name: _package(package) for name, package in PACKAGES.items()},
        "DCMTK (storescu, storescp, dcmqrscp)": _version("storescp"),
        "PostgreSQL": _postgresql(),
        "Chromium": _version("chromium"),
        "tar": _version("tar"),
    }


def commit() -> str:
    """Return the commit that is checked out, and whether files differ from it."""
    if not (head := _said(["git", "rev-parse", "--short=12", "HEAD"])):
        return "no commit is known"
    differs = _said(["git", "status", "--porcelain", "--untracked-files=no", "--", ":!docs"])
    return head.strip() + (", with changes" if differs else "")


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(name: str, elsewhere: str = "") -> str:
    try:
        path = peers.program(name, elsewhere)
    except peers.Absent:
        return NOT_HERE
    found = re.search(r"v?[0-9]+\.[0-9][\w.]*", _said([path, "--version"]))
    return found[0] if found else "of unknown version"


def _postgresql() -> str:
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return _version("postgres", str(servers[-1]) if servers else "")


def _package(name: str) -> str:
    return _said(["dpkg-query", "-W", "-f=${Version}", name]).strip() or NOT_HERE


def _said(argv: list[str]) -> str:
    """Return what a program says, "" where it is missing or fails."""
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
