"""An HTTPS certificate is replaced while people work: no connection is refused for it."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.nginx import Nginx
from tests.support.node_under_fault import wait_until
from tests.support.ports import free_port
from tests.support.services import require

pytestmark = pytest.mark.slow


class Site:
    """The portal's site before nobody: nginx answers its static files itself."""

    def __init__(self, folder: Path) -> None:
        require("nginx")
        self.authority = Authority(folder)
        self.files = folder / "site.pem", folder / "site.key"
        self.renew("first")
        (folder / "static").mkdir()
        (folder / "static" / "page.css").write_text("body { margin: 0 }\n")
        self.port = free_port()
        self.nginx = Nginx(folder / "nginx")
        certificate, key = self.files
        self.nginx.add("tls.conf", {"TLS_CERT": certificate, "TLS_KEY": key})
        for name in ("nodes-upstreams.conf", "nodes-locations.conf"):
            self.nginx.put(name, "")
        filled = {
            "NAME": "portal",
            "PORT": free_port(),
            "LISTEN": f"127.0.0.1:{self.port}",
            "LISTEN_PLAIN": f"127.0.0.1:{free_port()}",
            "STATIC_DIR": folder / "static",
        }
        self.nginx.add("portal.conf", filled)
        assert self.nginx.checked() == ""

    def renew(self, name: str) -> None:
        """Put a new certificate of the authority in the place of the one before."""
        paper = self.authority.issue(name)
        for new, place in zip((paper.certificate, paper.key), self.files, strict=True):
            shutil.copy(new, place)

    @property
    def shown(self) -> str:
        """The certificate that a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=20)

    def ask(self) -> int:
        """Ask for a file by a connection of its own, and believe the authority alone."""
        trusting = ssl.create_default_context(cafile=str(self.authority.certificate))
        url = f"https://localhost:{self.port}/static/page.css"
        return httpx.get(url, verify=trusting, timeout=20).status_code


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, int]]:
    made = Site(tmp_path)
    with made.nginx.running(made.port) as pid:
        yield made, pid


def test_a_new_certificate_is_shown_after_a_reload_and_nobody_is_refused(site: tuple[Site, int]):
    place, pid = site
    answers: list[object] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers.append(place.ask())
            except httpx.HTTPError as error:
                answers.append(repr(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        wait_until(lambda: len(answers) > 5)
        before = place.shown
        place.renew("second")
        assert place.nginx.checked() == ""
        os.kill(pid, signal.SIGHUP)  # what `nginx -s reload` sends
        wait_until(lambda: place.shown != before)
        seen = len(answers)
        wait_until(lambda: len(answers) > seen + 5)
    finally:
        over.set()
        thread.join()
    assert set(answers) == {200}
