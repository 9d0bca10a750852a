"""deploy/install.sh on a bare Debian 12 in a folder: installed, run by hand, upgraded, taken away.

systemd does not run in there: what only it can show is said in docs/installation.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.filewriter import dcmwrite

from tests.support import debian
from tests.support.data_sets import STUDY, ct
from tests.support.ports import free_port
from tests.support.releases import release
from tests.support.roles import ROOT, wait_for_port
from tests.support.services import require

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A bare Debian 12, with the libraries' wheels beside it: it needs apt's mirror alone."""
    root = debian.bare(tmp_path_factory.mktemp("debian") / "root")
    wheels = root / "var" / "tmp" / "wheels"
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--require-hashes",
        "-d",
        str(wheels),
    ]
    download += ["--only-binary", ":all:", "--python-version", "3.11.2"]
    subprocess.run(
        [*download, "-r", str(ROOT / "requirements.txt")], check=True, capture_output=True
    )
    return root


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """The release that is installed first: this tree as it is now."""
    return release(tmp_path_factory.mktemp("releases") / "first")


@pytest.fixture
def machine(bare, tmp_path) -> Path:
    root = tmp_path / "machine"
    subprocess.run(["cp", "-a", str(bare), str(root)], check=True)
    return root


def install(machine: Path, *options: str, source: Path) -> subprocess.CompletedProcess[str]:
    """Run the installation script of a release from outside, into the folder."""
    return subprocess.run(
        ["bash", str(source / "deploy" / "install.sh"), *options, "--root", str(machine)],
        capture_output=True,
        text=True,
        env={"PATH": debian.PATH},
        stdin=subprocess.DEVNULL,
    )


def kept(machine: Path) -> dict[str, object]:
    """What the installation has made: path -> mode, owner, content or target."""
    places = ("etc", "opt/argens", "var/lib/argens", "usr/local", "usr/sbin")
    found: dict[str, object] = {}
    for place in places:
        for path in sorted((machine / place).rglob("*")):
            if "venvs" in path.parts or "ld.so.cache" in path.name:
                continue
            status = path.lstat()
            said = path.readlink() if path.is_symlink() else path.is_file() and digest(path)
            found[str(path.relative_to(machine))] = (status.st_mode, status.st_uid, said)
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def node_running(machine: Path, port: int) -> Iterator[None]:
    """The node's processes, started by hand as its unit starts them."""
    command = debian.inside(machine, ["/usr/local/sbin/argens", "node", "run"])
    with (machine / "node.log").open("ab") as log:
        process = subprocess.Popen(command, env={"PATH": debian.PATH}, stdout=log, stderr=log)
    try:
        wait_for_port(port)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (machine / "node.log").read_text()[-3000:]


def found(port: int) -> str:
    command = [require("findscu"), "-S", "-aec", "ARGENS_CT", "127.0.0.1", str(port)]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
    done = subprocess.run([*command, *keys], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_a_bare_debian_becomes_a_node_is_upgraded_and_taken_away(machine, first, tmp_path):
    dicom, http = free_port(), free_port()
    asked = ["node", "--name", "CT", "--issuer", "FREJUS", "--host", "ct.example", "--sqlite"]
    asked += ["--dicom-port", str(dicom), "--http-port", str(http), "--wheels", "/var/tmp/wheels"]
    asked += ["--portal", "https://portal.example"]

    done = install(machine, *asked, source=first)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ARGENS_CT, port" in done.stdout
    env = machine / "etc" / "argens" / "node.env"
    assert env.stat().st_mode & 0o777 == 0o600
    assert "\nPACS_DEFAULT_ISSUER=FREJUS\n" in env.read_text()
    for secret in (machine / "etc" / "argens" / "secrets").rglob("*-*"):
        assert (secret.stat().st_mode & 0o777, secret.stat().st_uid) == (0o600, 0), secret
    assert not (machine / "usr/sbin/policy-rc.d").exists()
    units = machine / "etc/systemd/system"
    assert (units / "argens.target.wants/argens-node.service").is_symlink()
    assert (units / "multi-user.target.wants/argens.target").is_symlink()
    timer = units / "timers.target.wants/argens-backup@node.timer"
    assert timer.is_symlink() and (units / "argens-backup@.service").is_file()
    backups = machine / "var/backups/argens/node"
    assert backups.stat().st_mode & 0o777 == 0o700 and backups.stat().st_uid != 0

    before = kept(machine)
    second = install(machine, *asked, source=first)
    assert second.returncode == 0 and "Nothing was to be changed." in second.stdout, second.stdout
    assert kept(machine) == before

    known = debian.run(
        machine,
        "argens",
        "node",
        "peers",
        "add",
        "STORESCU",
        "--address",
        "127.0.0.1",
        "--may",
        "echo,store",
    )
    assert known.returncode == 0, known.stderr
    debian.run(
        machine,
        "argens",
        "node",
        "peers",
        "add",
        "FINDSCU",
        "--address",
        "127.0.0.1",
        "--may",
        "query",
    )
    dcmwrite(tmp_path / "1.dcm", ct(1), implicit_vr=False, little_endian=True)
    with node_running(machine, dicom):
        send = [require("storescu"), "-aec", "ARGENS_CT", "127.0.0.1", str(dicom)]
        subprocess.run([*send, str(tmp_path / "1.dcm")], check=True, timeout=60)
        assert STUDY in found(dicom)
    (stored,) = (machine / "var/lib/argens/node").rglob("*.dcm")
    assert stored.stat().st_uid != 0

    refused = install(
        machine, *asked, source=release(tmp_path / "other", {"manage.py": "# other\n"})
    )
    assert refused.returncode == 2 and "give --upgrade" in refused.stderr

    broken = release(
        tmp_path / "broken", {"dicom_node/settings.py": "\nraise RuntimeError('broken')\n"}
    )
    failed = install(machine, "node", "--upgrade", "--wheels", "/var/tmp/wheels", source=broken)
    assert failed.returncode == 1 and "Going back to 0.1.0-" in failed.stderr, failed.stderr
    assert "is in use again, so are the databases of before" in failed.stderr
    assert kept(machine)["opt/argens/current"] == before["opt/argens/current"]
    with node_running(machine, dicom):
        assert STUDY in found(dicom)

    newer = release(tmp_path / "newer", {"dicom_node/settings.py": "\n# newer\n"})
    upgraded = install(machine, "node", "--upgrade", "--wheels", "/var/tmp/wheels", source=newer)
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert "# newer" in (machine / "opt/argens/current/dicom_node/settings.py").read_text()
    copies = list(backups.glob("argens-node-CT-*/database.sqlite3"))
    assert len(copies) == 2 and all(copy.stat().st_mode & 0o777 == 0o600 for copy in copies)
    with node_running(machine, dicom):
        assert STUDY in found(dicom)

    gone = install(machine, "node", "--uninstall", source=newer)
    assert gone.returncode == 0, gone.stderr
    assert not (machine / "opt/argens").exists() and not (units / "argens-node.service").exists()
    assert not timer.is_symlink() and not list(units.glob("argens-backup@*"))
    assert stored.exists() and env.exists() and copies[0].exists()

    back = install(machine, *asked, source=newer)
    assert back.returncode == 0, back.stderr
    with node_running(machine, dicom):
        assert STUDY in found(dicom)

    script = "/src/deploy/install.sh"
    release(machine / "src")
    purge = ("bash", script, "node", "--uninstall", "--purge-data", "--no-start")
    unsure = debian.run(machine, *purge, text_in="yes\n")
    assert unsure.returncode == 2 and "nothing was removed" in unsure.stderr
    assert stored.exists() and (units / "argens-node.service").exists()
    sure = debian.run(machine, *purge, text_in=f"delete the node of {socket.gethostname()}\n")
    assert sure.returncode == 0, sure.stderr
    assert not stored.exists() and not env.exists()


def test_an_archive_with_postgresql_goes_on_after_a_failure(machine):
    release(machine / "src")
    (machine / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (machine / "usr/sbin/policy-rc.d").chmod(0o755)
    asked = "bash /src/deploy/install.sh archive --no-start --wheels /var/tmp/wheels"
    asked += (
        " --host archive.example --nodes CT=https://ct.example:8443 --vaults second=disk:/srv/vault"
    )
    failed = debian.run(machine, "bash", "-c", asked)
    assert failed.returncode == 1
    assert failed.stderr.count("failed at: The database of the archive") == 1
    # in a network of its own, so that the machine's PostgreSQL is not meant
    script = (
        f"pg_ctlcluster 15 main start && {asked} && argens archive prepare && argens archive check"
    )
    done = debian.run(machine, "bash", "-c", f"{script}; status=$?; {asked}; "
                      "pg_ctlcluster 15 main stop; exit $status", network=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made the database argens_archive" in done.stdout
    assert done.stdout.count("Nothing was to be changed.") == 1
    unit = machine / "etc/systemd/system/argens-archive-worker.service.d/machine.conf"
    assert "ReadWritePaths=/srv/vault" in unit.read_text()
    assert re.search(
        r"^PACS_BROKER_URL=redis://", (machine / "etc/argens/archive.env").read_text(), re.M
    )
    assert (machine / "var/lib/argens/trust/archive.pub.pem").exists()
