"""Compression at rest by real processes: the order of its system calls, and kills in its midst."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filewriter import dcmwrite

from tests.support import roles
from tests.support.data_sets import ct
from tests.support.node_under_fault import SOAK
from tests.support.services import require
from tests.support.traced import calls, strace

JPEG = "1.2.840.10008.1.2.4.70"
IMAGES = 60
DELAYS_S = (1.8, 1.9, 2.0, 2.2, 2.4, 2.8) if SOAK else (1.8, 2.4)
AT_REST = {"PACS_RENDITIONS": "at-rest", "PACS_PREPARE_AFTER_S": "1"}
PIXELS = np.add.outer(np.arange(256), np.arange(256)).astype("<u2")


def send_images(node: roles.Role, folder: Path, count: int) -> None:
    """Send slices that shrink to a node, by DCMTK's storescu."""
    folder.mkdir()
    for number in range(1, count + 1):
        ds = ct(number, Rows=256, Columns=256, PixelData=(PIXELS + number).tobytes())
        dcmwrite(folder / f"{number}.dcm", ds, implicit_vr=False, little_endian=True)
    command = [require("storescu"), "+sd", "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port)]
    subprocess.run([*command, str(folder)], check=True, capture_output=True, timeout=60)


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "node-ct/objects").rglob("*.dcm"))


def syntaxes(folder: Path) -> list[str]:
    return [str(dcmread(p, specific_tags=[]).file_meta.TransferSyntaxUID) for p in stored(folder)]


def wait_until_compressed(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while syntaxes(folder).count(JPEG) < count:
        assert time.monotonic() < deadline, syntaxes(folder)
        time.sleep(0.2)


@pytest.mark.slow
def test_the_new_file_is_durable_before_its_row_says_so(tmp_path):
    node = roles.node(tmp_path, command="scp")
    chores = roles.node(tmp_path, command="chores", **AT_REST)
    assert node.command("migrate", "-v0").returncode == 0
    node.start()
    try:
        roles.wait_for_port(node.dicom_port)
        send_images(node, tmp_path / "files", 1)
    finally:
        node.stop()
    chores.start()
    try:
        log = tmp_path / "trace"
        traced = "trace=write,pwrite64,fsync,fdatasync,rename,renameat,renameat2"
        with strace([chores.process.pid], log, "-e", traced):
            wait_until_compressed(tmp_path, 1)
            time.sleep(1)
    finally:
        chores.stop()
    trace = calls(log)
    (final,) = stored(tmp_path)
    renamed = next(c for c in trace if c.name.startswith("rename") and f'{final.name}"' in c.text)
    part = Path(renamed.text.split('"')[1]).name
    synced = [c for c in trace if c.name == "fdatasync" and part in c.text]
    folder = [c for c in trace if c.name == "fsync" and f"{final.parent}>" in c.text]
    rows = [c for c in trace if c.name in ("write", "pwrite64") and "index.sqlite3-wal" in c.text]
    made_durable = next(c for c in folder if c.began > renamed.returned)
    assert synced[-1].returned < renamed.began
    assert any(row.began > made_durable.returned for row in rows)
    assert not [row for row in rows if renamed.began < row.began < made_durable.returned]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_in_mid_compression_lose_nothing(tmp_path):
    node = roles.node(tmp_path, **AT_REST)
    with roles.running(node):
        send_images(node, tmp_path / "files", IMAGES)
    chores = roles.node(tmp_path, command="chores", **AT_REST)
    for delay_s in DELAYS_S:
        chores.start()
        time.sleep(delay_s)
        os.kill(chores.process.pid, signal.SIGKILL)
        chores.process.wait()
    chores.start()
    try:
        wait_until_compressed(tmp_path, IMAGES)
        time.sleep(1)
    finally:
        chores.stop()
    for path in stored(tmp_path):
        ds = dcmread(path)
        assert np.array_equal(ds.pixel_array, PIXELS + int(ds.InstanceNumber))
    for command in ("fsck", "reindex", "fsck"):
        done = node.command(command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 damaged or gone" in done.stdout
