"""OHIF on Orthanc: the very page and files that a portal serves, by nginx, one origin for all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

import httpx

from tests.benchmarks import peers
from tests.support.nginx import Nginx
from tests.support.ports import free_port

ASSET = re.compile(r'(?:href|src|data-logo)="(/static/[^"]+)"')
ALIVE = re.compile(r'data-alive="([^"]+)"')
FILES = re.compile(r'data-files="([^"]+)"')
SITE = Template("""
upstream orthanc { server 127.0.0.1:$orthanc; keepalive 8; }
server {
  listen 127.0.0.1:$port;
  types { text/html html; text/javascript js; text/css css; application/wasm wasm;
          image/svg+xml svg; font/woff2 woff2; application/json json; }
  gzip_static on;
  location $files { alias $release/; add_header Cache-Control "max-age=31536000, immutable"; }
  location /static/ { root $root; add_header Cache-Control "max-age=31536000, immutable"; }
  location = $alive { return 204; }
  location /viewer/ { root $root; try_files /index.html =404; }
  location /dicom-web/ {
    proxy_pass http://orthanc; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $$http_host; proxy_buffering off;
  }
}
""")


@contextlib.contextmanager
def serving(
    folder: Path, portal: httpx.Client, viewer: str, release: Path, orthanc: peers.Peer
) -> Iterator[str]:
    """Serve what `portal` answers at `viewer`, with Orthanc for its data; yields the address."""
    peers.program("nginx", "/usr/sbin/nginx")
    root = folder / "site"
    page = _of(portal, viewer)
    for address in {"/index.html", *ASSET.findall(page)}:
        place = root / address.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page if address == "/index.html" else _of(portal, address))
    nginx, port = Nginx(folder / "nginx"), free_port()
    site = SITE.substitute(
        orthanc=orthanc.http_port,
        port=port,
        root=root,
        release=release,
        files=FILES.findall(page)[0],
        alive=ALIVE.findall(page)[0],
    )
    (nginx.folder / "sites" / "ohif.conf").write_text(site)
    if complaints := nginx.checked():
        raise RuntimeError(f"nginx refuses its configuration: {complaints}")
    with nginx.running(port):
        yield f"http://127.0.0.1:{port}"


def _of(portal: httpx.Client, address: str) -> str:
    answer = portal.get(address)
    if answer.status_code != 200:
        raise peers.Absent(f"the portal answers {address} with {answer.status_code}")
    return answer.text
