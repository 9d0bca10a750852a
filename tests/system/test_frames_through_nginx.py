"""Kept frames leave through a real nginx, which is told the file and sends it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.filewriter import dcmwrite

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import SERIES, STUDY, ct
from tests.support.ports import free_port
from tests.support.services import require

JPEG = "1.2.840.10008.1.2.4.70"
PIXELS = np.add.outer(np.arange(256), np.arange(256)).astype("<u2")
FRAME = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames/1"
CONFIGURATION = """
{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {node}; }}
    location /_kept/ {{ internal; alias {renditions}/; }}
  }}
}}
"""


def start_nginx(folder: Path, node: roles.Role) -> tuple[subprocess.Popen[bytes], str]:
    folder.mkdir()
    port = free_port()
    renditions = Path(node.env["PACS_DATA_DIR"]) / "renditions"
    text = CONFIGURATION.format(
        user="user root;" if os.getuid() == 0 else "",  # its workers would be nobody
        folder=folder,
        port=port,
        node=node.url,
        renditions=renditions,
    )
    (folder / "nginx.conf").write_text(text)
    command = [require("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL), f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_nginx_sends_a_kept_frame_and_shows_nothing_else(tmp_path):
    node = roles.node(tmp_path, PACS_ACCEL_PREFIX="/_kept/", PACS_PREPARE_AFTER_S="3600")
    with roles.running(node):
        dcmwrite(
            tmp_path / "1.dcm",
            ct(1, Rows=256, Columns=256, PixelData=PIXELS.tobytes()),
            implicit_vr=False,
            little_endian=True,
        )
        send = [require("storescu"), "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port)]
        subprocess.run([*send, str(tmp_path / "1.dcm")], check=True, timeout=60)
        issuer = TicketIssuer.at("portal", tmp_path / "key", Path(node.env["PACS_TRUST_DIR"]))
        token = issuer.issue("CT", ["dicomweb"], subject="tester")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": f'multipart/related; type="image/jpeg"; transfer-syntax={JPEG}',
        }
        nginx, front = start_nginx(tmp_path / "nginx", node)
        try:
            roles.wait_for_port(int(front.rpartition(":")[2]))
            made = httpx.get(front + FRAME, headers=headers)
            kept = httpx.get(front + FRAME, headers=headers)
            told = httpx.get(node.url + FRAME, headers=headers)
            place = told.headers["X-Accel-Redirect"]
            assert told.content == b""
            refused = httpx.get(front + place, headers=headers)
            stranger = httpx.get(front + FRAME, headers={"Accept": headers["Accept"]})
        finally:
            nginx.terminate()
            nginx.wait(10)
    assert (refused.status_code, stranger.status_code) == (404, 401)
    assert "X-Accel-Redirect" not in kept.headers
    boundary = kept.headers["Content-Type"].partition("boundary=")[2]
    frame = frame_of(kept.content, boundary)
    assert frame == frame_of(made.content, made.headers["Content-Type"].partition("boundary=")[2])
    assert boundary == f"argens{hashlib.sha256(frame).hexdigest()}"
    assert np.array_equal(imagecodecs.ljpeg_decode(frame), PIXELS)


def frame_of(body: bytes, boundary: str) -> bytes:
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head.startswith(f"--{boundary}\r\nContent-Type: image/jpeg".encode())
    return rest.removesuffix(f"\r\n--{boundary}--\r\n".encode())
