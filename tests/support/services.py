"""What tests need from the machine: a program or a folder, or a skip that says how to get it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED_DICOM = ROOT.parent / "shared" / "dicom"

_DCMTK = (
    "dcm2json dcm2pnm dcmdjpeg dcmdjpls dcmdrle dcmdump dcmftest dcmj2pnm dcml2pnm dcmodify "
    "dcmp2pgm dcmqrscp dump2dcm echoscu findscu getscu movescu storescp storescu"
)
PACKAGES = {
    **dict.fromkeys(_DCMTK.split(), "dcmtk"),
    "gdcmconv": "libgdcm-tools",
    "gdcminfo": "libgdcm-tools",
    "chromium": "chromium",
    "Orthanc": "orthanc",
    "redis-server": "redis-server",
    "postgres": "postgresql",
    "strace": "strace",
    "tar": "tar",
    "msgfmt": "gettext",
    "curl": "curl",
    "git": "git",
    "make": "make",
    "nginx": "nginx-light",
    "npm": "npm",
    "promtool": "prometheus",
    "ip": "iproute2",
    "tc": "iproute2",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    "shellcheck": "shellcheck",
    "debootstrap": "debootstrap",
}
_ELSEWHERE = {
    "postgres": sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True),
    "Orthanc": [Path("/usr/sbin/Orthanc")],
    "nginx": [Path("/usr/sbin/nginx")],
    "ip": [Path("/usr/sbin/ip")],
    "tc": [Path("/usr/sbin/tc")],
    "redis-server": [Path("/usr/sbin/redis-server")],
}


def require(program: str) -> str:
    """Return the path of a program, or skip with what to install."""
    found = shutil.which(program)
    if found is None:
        found = next((str(path) for path in _ELSEWHERE.get(program, []) if path.exists()), None)
    if found is None:
        pytest.skip(f"needs {program}: apt-get install {PACKAGES[program]}")
    return found


def require_shared_dicom() -> Path:
    """Return the folder of real DICOM files beside the repository, or skip."""
    if not SHARED_DICOM.is_dir():
        pytest.skip(f"no real DICOM files in {SHARED_DICOM}: they are not part of the repository")
    return SHARED_DICOM
