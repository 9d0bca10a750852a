"""A real nginx with the sites of deploy/nginx, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.support.roles import ROOT, wait_for_port
from tests.support.services import require

SITES = ROOT / "deploy" / "nginx"
MIME_TYPES = Path("/etc/nginx/mime.types")
MAIN = Template("""
$user daemon off; pid $folder/nginx.pid; error_log $folder/error.log;
worker_processes 1;
events { }
http {
  $types
  access_log off;
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi; uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  include $folder/http.conf;
  include $folder/sites/*.conf;
}
""")


@dataclass
class Nginx:
    """One nginx: its folder is NGINX_DIR of the sites that are added before it starts."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "sites").mkdir(parents=True)
        main = MAIN.substitute(
            folder=self.folder,
            user="user root;" if os.geteuid() == 0 else "",  # its workers would be nobody
            types=f"include {MIME_TYPES};" if MIME_TYPES.exists() else "",
        )
        (self.folder / "nginx.conf").write_text(main)
        for name in ("http.conf", "callers.conf", "dicomweb-callers.conf"):
            self.put(name, (SITES / name).read_text())

    def put(self, name: str, text: str) -> None:
        """Write a file beside the sites."""
        (self.folder / name).write_text(text)

    def allow(self, *addresses: str, whom: str = "callers.conf") -> None:
        """Let these addresses call."""
        self.put(whom, "".join(f"allow {address};\n" for address in addresses))

    def add(self, site: str, filled_in: Mapping[str, str | int], name: str = "") -> None:
        """Add a site of deploy/nginx with what is filled in for its ${...}."""
        usual = {"NGINX_DIR": self.folder, "LOG_DIR": self.folder, "SERVER_NAME": "localhost"}
        known = {**usual, **filled_in}
        place = self.folder if site == "tls.conf" else self.folder / "sites"
        text = Template((SITES / site).read_text()).safe_substitute(known)
        (place / (name or site)).write_text(text)

    def command(self, *argv: str) -> list[str]:
        """Return the command line of this nginx."""
        return [
            *(require("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")),
            *("-e", str(self.folder / "error.log"), *argv),
        ]

    def checked(self) -> str:
        """Return what `nginx -t` says, "" where the configuration is sound."""
        done = subprocess.run(self.command("-t"), capture_output=True, text=True, check=False)
        unsaid = ("syntax is ok", "test is successful")
        lines = [line for line in done.stderr.splitlines() if not line.endswith(unsaid)]
        return "\n".join(lines) if done.returncode or lines else ""

    @contextmanager
    def running(self, *ports: int) -> Iterator[int]:
        """Run it until the block ends; yields its process id."""
        process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL)
        try:
            for port in ports:
                wait_for_port(port)
            yield process.pid
        finally:
            process.terminate()
            process.wait(20)
