"""What keys open: a stolen node's nothing but itself; a rotated one's, everything without a gap.

Two nodes, the archive and the portal, each node with a trust folder of its own as on a machine
of its own: what portal and archive publish is brought there by hand, as an operator does.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pacs_common import ticket_keys
from pacs_common.archive_client import ArchiveClient
from pacs_common.ticket_keys import SigningKey
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.node_under_fault import wait_until
from tests.support.process_tree import shown_by_ps, tree
from tests.support.roles import Role

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ISSUERS = ("portal", "archive")
EVERYTHING = ("status", "dicomweb", "custody.read", "audit.read", "archive.read", "log.read")


@dataclass
class Hospital:
    """The roles, and where each machine keeps whom it believes."""

    folder: Path
    ct: Role
    rf: Role
    archive: Role
    portal: Role
    token: str = ""

    def bring(self) -> None:
        """Carry the public keys to the machines of the nodes."""
        for node in (self.ct, self.rf):
            for name in ISSUERS:
                target = Path(node.env["PACS_TRUST_DIR"]) / f"{name}.pub.pem"
                target.parent.mkdir(exist_ok=True)
                new = target.with_suffix(".new")
                shutil.copy(self.folder / "trust" / f"{name}.pub.pem", new)
                new.rename(target)

    def keys(self, issuer: str) -> Path:
        """The file of an issuer's private keys."""
        return self.folder / issuer / f"{issuer}.key.pem"

    def issuer(self, name: str = "portal") -> TicketIssuer:
        """Sign as a role does, with the key that signs now."""
        return TicketIssuer.at(name, self.keys(name), self.folder / "trust")

    def find(self) -> httpx.Response:
        """Ask every server through the portal, as a person's program does."""
        url = f"{self.portal.url}/dicom-web/studies"
        return httpx.get(url, params={"limit": "1"}, headers=bearing(self.token), timeout=30)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("keys")
    nodes = {
        name: roles.node(folder, name, PACS_TRUST_DIR=str(folder / f"trust-of-{name}"))
        for name in ("CT", "RF")
    }
    archive = roles.archive(folder, nodes)
    portal = roles.portal(folder, nodes, archive.url)
    for node in nodes.values():
        node.env["PACS_PORTAL_URL"] = portal.url
    with roles.running(*nodes.values(), archive, portal):
        found = Hospital(folder, nodes["CT"], nodes["RF"], archive, portal)
        found.bring()
        found.token = roles.accounts(folder)["clinician"]["token"]
        yield found


def test_what_a_stolen_node_holds_opens_nothing_beyond_it(hospital: Hospital):
    own = Path(hospital.ct.env["PACS_DATA_DIR"])
    read = httpx.get(f"{hospital.ct.url}/dicom-web/studies", headers=bearing(hospital.token))
    assert read.status_code in (200, 204)  # a person was here, with a token
    assert not [file for file in own.rglob("*") if holds(file, hospital.token)]

    kept = (own / "secret-key").read_text().strip()
    trusted = Path(hospital.ct.env["PACS_TRUST_DIR"])
    tried = [kept, *(file.read_text() for file in trusted.iterdir())]
    for name in ISSUERS:  # tickets that it was shown, and whatever it can sign itself
        tried.append(hospital.issuer(name).issue("CT", EVERYTHING, subject="it"))
        for audience in ("RF", "archive", "portal", "CT"):
            tried += forged(name, audience, kept, hospital.folder / "trust" / f"{name}.pub.pem")
    doors = doors_of(hospital)
    for door, issuer, audience in doors:  # they do open, for those whom they are for
        real = hospital.token
        if issuer:
            real = hospital.issuer(issuer).issue(audience, EVERYTHING, subject="tester")
        assert httpx.get(door, headers=bearing(real), timeout=30).status_code in (200, 204), door
    with httpx.Client(timeout=30) as client:
        for word in {" ".join(one.split()) for one in tried}:
            for door, *_ in doors:
                answer = client.get(door, headers=bearing(word))
                assert answer.status_code in (401, 403), (door, answer.text, word[:60])
            cookies = {"Cookie": f"argens_session={kept}"}
            page = client.get(f"{hospital.portal.url}/", headers=cookies)
            assert page.status_code == 302 and "/login/" in page.headers["Location"]
            told = client.post(f"{hospital.portal.url}/api/introspect", json={"token": word})
            assert told.json() == {"active": False}


def doors_of(hospital: Hospital) -> list[tuple[str, str, str]]:
    """Return addresses beyond the node, with whose ticket for whom opens each ("": a token)."""
    rf, archive, portal = hospital.rf.url, hospital.archive.url, hospital.portal.url
    return [
        *((f"{rf}{path}", "portal", "RF") for path in ("/api/node", "/api/log")),
        (f"{rf}/dicom-web/studies", "portal", "RF"),
        (f"{rf}/api/custody/studies", "archive", "RF"),
        *((f"{archive}/api/{name}", "portal", "archive") for name in ("status", "jobs", "log")),
        (f"{archive}/api/volumes", "portal", "archive"),
        (f"{portal}/dicom-web/studies", "", ""),
    ]


def bearing(word: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {word}"}


def holds(file: Path, word: str) -> bool:
    return file.is_file() and word.encode() in file.read_bytes()


def forged(issuer: str, audience: str, secret: str, public: Path) -> list[str]:
    """Return tickets as a thief would make them from what lies on the node."""
    own = Ed25519PrivateKey.generate()
    real = TicketIssuer(issuer, own).issue(audience, EVERYTHING, subject="it")
    claims = jwt.decode(real, options={"verify_signature": False})
    kid = ticket_keys.read_public(public.read_text())[0].kid
    return [
        real,
        jwt.encode(claims, own, algorithm="EdDSA", headers={"kid": kid}),
        jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, None, algorithm="none"),
    ]


@dataclass
class Asking:
    """Somebody who asks all the time; `wrong` is what was not answered well."""

    count: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def asking(hospital: Hospital) -> Iterator[Asking]:
    """Ask through the portal without a pause until the block ends."""
    found, over = Asking(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = hospital.find()
            found.count += 1
            if answer.status_code not in (200, 204) or "Warning" in answer.headers:
                found.wrong.append(f"{answer.status_code} {dict(answer.headers)} {answer.text}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_keys_are_rotated_while_everybody_works_and_nobody_is_refused(hospital: Hospital):
    wait_until(lambda: scanned(hospital) > 0)
    unscanned = hospital.archive.log.count("node not scanned")
    old = {name: signers(hospital.keys(name))[0] for name in ISSUERS}
    with asking(hospital) as asked:
        for role in (hospital.portal, hospital.archive):
            done = role.command("rotate-key", "--overlap-s", "3600")
            assert done.returncode == 0 and "signs from" in done.stderr, done.stderr
            assert done.stdout == ""
        early = hospital.portal.command("rotate-key", "--check")
        assert early.returncode == 1 and "CT does not believe it" in early.stdout
        assert "archive believes it" in early.stdout  # on one machine with the portal
        hospital.bring()
        for role in (hospital.portal, hospital.archive):
            checked = role.command("rotate-key", "--check")
            assert checked.returncode == 0, checked.stdout + checked.stderr
            assert "CT believes it" in checked.stdout and "RF believes it" in checked.stdout
        for name in ISSUERS:
            overlap_ends(hospital.keys(name))
            hospital.issuer(name)  # publishes the end of the old key
        hospital.bring()
        before = asked.count
        wait_until(lambda: asked.count > before + 5)
        for name in ISSUERS:
            assert shown(hospital.ct, name, old[name]).status_code == 200  # some are under way
            retired(hospital.folder / "trust" / f"{name}.pub.pem")
        hospital.bring()
        last, before = scanned(hospital), asked.count
        wait_until(lambda: asked.count > before + 5 and scanned(hospital) > last)
    assert asked.wrong == [] and asked.count > 10
    assert hospital.archive.log.count("node not scanned") == unscanned
    for name in ISSUERS:
        refused = shown(hospital.ct, name, old[name])
        assert refused.status_code == 401
        assert f"{name}'s key '{old[name].kid[:8]}' was retired at " in refused.json()["detail"]


def signers(file: Path) -> list[SigningKey]:
    return ticket_keys.read_private(file.read_text())


def shown(node: Role, issuer: str, key: SigningKey) -> httpx.Response:
    """Show the node CT a ticket that a key has just signed."""
    ticket = TicketIssuer(issuer, key.key).issue("CT", ["status"], subject="tester")
    return httpx.get(f"{node.url}/api/node", headers=bearing(ticket))


def overlap_ends(file: Path) -> None:
    """Let the new key's time come, as if the hour of overlap were over."""
    first, second = signers(file)
    text = ticket_keys.private_text([first, SigningKey(second.key, time.time() - 1)])
    new = file.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(file)


def retired(public: Path) -> None:
    """Let the old key's end come, as if its last ticket had expired."""
    first, second = ticket_keys.read_public(public.read_text())
    first = ticket_keys.TrustedKey(first.key, time.time() - 1)
    new = public.with_suffix(".new")
    new.write_text(ticket_keys.public_text([first, second]))
    new.rename(public)


def scanned(hospital: Hospital) -> float:
    """Return when the archive last read both nodes to the end (0: never)."""
    client = ArchiveClient(hospital.archive.url, hospital.issuer(), subject="archivist")
    try:
        found = [one["last_scan_at"] for one in client.status()["nodes"]]
    finally:
        client.http.close()
    return min(datetime.fromisoformat(one).timestamp() if one else 0.0 for one in found)


def test_no_secret_of_the_embedded_roles_shows_among_the_processes_nor_in_a_log(
    hospital: Hospital,
):
    hospital.find()
    running = [pid for role in roles_of(hospital) for pid in tree(role.process.pid)]
    logs = [*hospital.folder.glob("*.log"), *hospital.folder.glob("*/log/*")]
    told = {str(log): log.read_text(errors="replace") for log in logs if log.is_file()}
    told |= {f"process {pid}": shown_by_ps(pid) for pid in running}
    assert len(running) > 8 and len(logs) > 6
    assert any("argens" in text for where, text in told.items() if where.startswith("process"))
    words = {f"{issuer} key": pem(hospital.keys(issuer)) for issuer in ISSUERS}
    for role in roles_of(hospital):
        for kept in Path(role.env["PACS_DATA_DIR"]).glob("secret*key"):
            words[f"{role.name} secret"] = kept.read_text().strip()
    for name, account in roles.accounts(hospital.folder).items():
        words |= {f"{name} {what}": word for what, word in account.items()}
    assert len(words) == 2 + 4 + 8 and all(len(word) > 15 for word in words.values())
    for name, word in words.items():
        for where, text in told.items():
            assert word not in text, f"{name} shows in {where}"


def roles_of(hospital: Hospital) -> list[Role]:
    return [hospital.ct, hospital.rf, hospital.archive, hospital.portal]


def pem(file: Path) -> str:
    """The line of a key file that is the key."""
    return next(line for line in file.read_text().splitlines() if line.startswith("MC4C"))
