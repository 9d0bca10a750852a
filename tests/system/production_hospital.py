"""One node, the archive and the portal as a hospital runs them: every part a process of its own.

PostgreSQL, Redis, nginx with TLS, gunicorn, the SCPs, chores, Celery's worker and beat, the
portal's audit; secrets in files; an authority of the hospital's own; DICOM by TLS.
"""

from __future__ import annotations

import secrets
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from redis import Redis

from pacs_common.archive_client import ArchiveClient
from pacs_common.authorities import read_authorities
from pacs_common.env import Env
from pacs_common.tickets import TicketIssuer, new_key
from tests.support.certificates import Authority, Paper
from tests.support.nginx import Nginx
from tests.support.node_under_fault import wait_until
from tests.support.ports import free_port
from tests.support.postgres import cluster
from tests.support.redis_server import RedisServer, redis_server
from tests.support.roles import ROOT, wait_for_port
from tests.support.services import require
from tests.system.production_part import Part, at_once

PASSWORD = "corail-barrage-1959"
MODALITY = "CT_SCANNER"
READY_S = 90.0


@dataclass
class Production:
    """The whole of it; `secrets` are the words that may show nowhere."""

    folder: Path
    authority: Authority
    modality: Paper
    node: Part
    archive: Part
    portal: Part
    dicom_port: int
    redis: RedisServer
    secrets: dict[str, str]
    nginx: Nginx
    plain_port: int = field(default_factory=free_port)

    @property
    def parts(self) -> list[Part]:
        """The three roles."""
        return [self.node, self.archive, self.portal]

    @property
    def trusting(self) -> ssl.SSLContext:
        """What believes the hospital's authority alone."""
        return ssl.create_default_context(cafile=str(self.authority.certificate))

    def caller(self, address: str = "127.0.0.1") -> httpx.Client:
        """Return a client that comes from an address of loopback."""
        transport = httpx.HTTPTransport(verify=self.trusting, local_address=address)
        return httpx.Client(transport=transport, base_url=self.portal.url, timeout=60)

    @contextmanager
    def asking_the_archive(self) -> Iterator[ArchiveClient]:
        """Speak to the archive as the portal does for an operator: by HTTPS, with its tickets."""
        pem = Path(self.portal.env["PACS_TICKET_KEY_FILE"]).read_text()
        issuer = TicketIssuer.of("portal", pem, self.portal.folder / "trust")
        read_authorities(Env(self.portal.env))
        client = ArchiveClient(self.archive.url, issuer, subject="archivist")
        try:
            yield client
        finally:
            client.http.close()
            read_authorities(Env({}))

    def dcmtk(
        self, program: str, *words: object, paper: Paper | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool of DCMTK over TLS, as the modality or with another's paper."""
        shown = paper or self.modality
        tls = ["+tls", shown.key, shown.certificate]
        whom = ["+cf", self.authority.certificate, "-aet", MODALITY, "-aec", "ARGENS_CT"]
        argv = [require(program), *tls, *whom, "localhost", self.dicom_port, *words]
        return subprocess.run(
            list(map(str, argv)), capture_output=True, text=True, timeout=60, check=False
        )


class _Building:
    """Makes the settings and the secrets of each role, as files."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder, self.authority = folder, authority
        self.secrets: dict[str, str] = {}

    def secret(self, role: str, name: str, text: str, word: str = "") -> dict[str, str]:
        """Keep a secret in a file and return the setting that names it."""
        file = self.folder / "secrets" / f"{role}-{name}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)
        self.secrets[f"{role} {name}"] = word or text
        return {f"{name}_FILE": str(file)}

    def part(self, role: str, database: str, **settings: str) -> Part:
        """Return a role with its own folders, secrets and database."""
        folder = self.folder / role
        (folder / "trust").mkdir(parents=True)
        word = secrets.token_hex(12)
        env = {
            "PACS_GENERATE_SECRETS": "no",
            "PACS_CA_FILE": str(self.authority.certificate),
            "PACS_DATA_DIR": str(folder / "data"),
            "PACS_TRUST_DIR": str(folder / "trust"),
            **self.secret(role, "PACS_SECRET_KEY", secrets.token_urlsafe(48)),
            **self.secret(role, "PACS_DATABASE_URL", database.replace("@", f":{word}@"), word),
        }
        if role != "node":
            pem = new_key().decode()
            env |= self.secret(role, "PACS_TICKET_KEY", pem, pem.splitlines()[1])
        made = Part(role, folder, env | settings)
        made.env["PACS_HTTP_PORT"] = str(made.port)
        return made


@contextmanager
def production(folder: Path) -> Iterator[Production]:
    """Run the hospital until the block ends; skips where a program is missing."""
    require("nginx")
    with ExitStack() as stack:
        database = stack.enter_context(cluster())
        redis = stack.enter_context(redis_server())
        (folder / "ca").mkdir()
        building = _Building(folder, Authority(folder / "ca", "Hospital"))
        place = _planned(building, database.create, redis)
        _prepare(place)
        stack.callback(_stop, place.parts)
        _start(place)
        ports = [part.tls_port for part in place.parts]
        stack.enter_context(place.nginx.running(*ports))
        wait_for_port(place.dicom_port)
        _wait_ready(place)
        yield place


def _planned(building: _Building, create, redis: RedisServer) -> Production:
    folder, authority = building.folder, building.authority
    word = secrets.token_hex(12)
    with Redis(port=redis.port) as client:
        client.config_set("requirepass", word)
    where = f"redis://:{word}@127.0.0.1:{redis.port}"
    paper = authority.issue("node-dicom")
    dicom_port = free_port()
    node = building.part(
        "node",
        create("node"),
        PACS_NODE_NAME="CT",
        PACS_AE_TITLE="ARGENS_CT",
        PACS_DICOM_PORT=str(free_port()),
        PACS_DICOM_TLS_PORT=str(dicom_port),
        PACS_DICOM_TLS_CERT=str(paper.certificate),
        PACS_DICOM_TLS_KEY=str(paper.key),
        PACS_DICOM_TLS_CA=str(authority.certificate),
        PACS_CHECK_CALLED_AE="yes",
        PACS_PEERS=f"{MODALITY}=127.0.0.1",
        PACS_DEFAULT_ISSUER="FREJUS",
        PACS_RESERVE_BYTES=str(1 << 20),
        PACS_IN_USE_S="0",
        PACS_PREPARE_AFTER_S="1",
        PACS_ACCEL_PREFIX="/_kept/",
    )
    archive = building.part(
        "archive",
        create("archive"),
        PACS_NODES=f"CT={node.url}",
        PACS_VAULTS=f"onsite=tape:{folder}/onsite,offsite=disk:{folder}/offsite",
        PACS_QUIET_S="2",
        PACS_SCAN_S="1",
        PACS_DISPATCH_S="1",
        **building.secret("archive", "PACS_BROKER_URL", f"{where}/0", word),
    )
    portal = building.part(
        "web",
        create("portal"),
        PACS_NODES=f"CT={node.url}",
        PACS_ARCHIVE_URL=archive.url,
        PACS_HTTPS="yes",
        PACS_ALLOWED_HOSTS="localhost",
        PACS_TRUSTED_PROXIES="127.0.0.1",
        PACS_INSIDE_NETWORKS="127.0.0.0/8",
        PACS_ACCEL_PREFIX="/_node/",
        PACS_AUDIT_COLLECT_S="1",
        **building.secret("web", "PACS_CACHE_URL", f"{where}/1", word),
    )
    node.env["PACS_PORTAL_URL"] = portal.url
    modality = authority.issue("modality")
    nginx = Nginx(folder / "nginx")
    return Production(
        *(folder, authority, modality, node, archive, portal, dicom_port, redis),
        secrets=building.secrets,
        nginx=nginx,
    )


def _prepare(place: Production) -> None:
    """Do what an installation does once: databases, keys to whom they concern, people, nginx."""
    at_once(
        partial(place.node.manage, "migrate", "--verbosity", "0"),
        partial(place.portal.manage, "prepare"),
        partial(place.archive.manage, "prepare"),
    )
    manage = place.portal.manage
    upstreams, locations, *_ = at_once(
        partial(manage, "nginx", "upstreams"),
        partial(manage, "nginx", "locations"),
        *(
            partial(manage, "create-account", group, "--group", group, said=f"{PASSWORD}\n")
            for group in ("clinician", "technologist")
        ),
    )
    for issuer, receivers in (
        (place.portal, (place.node, place.archive)),
        (place.archive, (place.node,)),
    ):
        for receiver in receivers:
            for key in (issuer.folder / "trust").glob("*.pub.pem"):
                shutil.copy(key, receiver.folder / "trust")
    paper = place.authority.issue("https")
    nginx = place.nginx
    nginx.add("tls.conf", {"TLS_CERT": paper.certificate, "TLS_KEY": paper.key})
    nginx.allow("127.0.0.1")
    nginx.put("nodes-upstreams.conf", upstreams)
    nginx.put("nodes-locations.conf", locations)
    for part, site in zip(place.parts, ("node", "archive", "portal"), strict=True):
        filled = {
            "NAME": part.role,
            "PORT": part.port,
            "LISTEN": f"127.0.0.1:{part.tls_port}",
            "LISTEN_PLAIN": f"127.0.0.1:{place.plain_port}",
            "STATIC_DIR": ROOT / "pacs_web" / "static",
            "DATA_DIR": part.env["PACS_DATA_DIR"],
        }
        nginx.add(f"{site}.conf", filled)
    assert nginx.checked() == ""


def _start(place: Production) -> None:
    for part, others in (
        (place.node, (("scp",), ("chores",))),
        (place.archive, (("worker",), ("beat",))),
        (place.portal, (("audit", "keep"),)),
    ):
        part.start()
        for words in others:
            part.start(*words)


def _stop(parts: list[Part]) -> None:
    for part in parts:
        part.terminate()
    for part in parts:
        part.stop()


def _wait_ready(place: Production) -> None:
    with place.caller() as client:
        for part in place.parts:
            wait_until(partial(_is_ready, client, part), partial(_told, client, part), READY_S)


def _is_ready(client: httpx.Client, part: Part) -> bool:
    return _told(client, part).startswith("200")


def _told(client: httpx.Client, part: Part) -> str:
    try:
        answer = client.get(f"{part.url}/readyz")
    except httpx.HTTPError as error:
        return f"{part.role}: {error}"
    return f"{answer.status_code} {part.role}: {answer.text}\n{part.log[-2000:]}"
