"""`manage.py node peers`: who may associate, who was not let in, and letting them in."""

import argparse

from django.core.management.base import BaseCommand, CommandError

from dicom_node import audit
from dicom_node.models import RejectedCaller
from dicom_node.peers import book, rejected
from dicom_node.peers.peer import Peer, Service, from_json, to_json
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = "Keep the known DICOM peers; a change counts at once."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare one sub-command for each act."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="show every peer in force")
        add = acts.add_parser("add", help="add a peer, or change what is named of one")
        add.add_argument("ae_title")
        add.add_argument("--address", action="append", help="IP, network, host name or *")
        add.add_argument("--may", help=f"of {','.join(Service)}")
        add.add_argument("--listens", metavar="HOST:PORT", help="where it takes objects")
        add.add_argument("--tls", action="store_true", help="it listens with TLS")
        add.add_argument("--certificate", help="SHA-256 of its TLS certificate")
        add.add_argument("--charset", help="character set where its objects name none")
        remove = acts.add_parser("remove", help="take a peer out")
        remove.add_argument("ae_title")
        acts.add_parser("rejected", help="show the callers that were not let in")
        approve = acts.add_parser("approve", help="let a rejected caller in from now on")
        approve.add_argument("id", type=int)
        approve.add_argument("--may", help=f"of {','.join(Service)}")

    def handle(self, act: str, **options: object) -> None:
        """Do one act, or say in one line why not."""
        try:
            getattr(self, f"_{act}")(options)
        except ArgensError as error:
            raise CommandError(str(error)) from None

    def _list(self, options: dict[str, object]) -> None:
        found = book.current()
        for title in sorted(found.peers):
            self.stdout.write(_line(found.peers[title]))
        if found.problem:
            raise CommandError(found.problem)

    def _add(self, options: dict) -> None:
        told = {"ae_title": options["ae_title"], **_told(options)}
        from_json(told)  # nonsense is refused before anything is looked up
        peer = book.change(options["ae_title"], lambda known: from_json({**to_json(known), **told}))
        self._say("peer-changed", peer)

    def _remove(self, options: dict) -> None:
        book.remove(options["ae_title"])
        audit.note("peer-removed", by="command", ae_title=options["ae_title"])
        self.stdout.write(f"{options['ae_title']} is removed")

    def _rejected(self, options: dict) -> None:
        for row in RejectedCaller.objects.order_by("-last_at"):
            self.stdout.write(f"{row.id}  {row.last_at:%Y-%m-%d %H:%M}  {row.count} x  {row.why}")

    def _approve(self, options: dict) -> None:
        may = None if options["may"] is None else from_json(_rights(options["may"])).may
        self._say("peer-approved", rejected.approve(options["id"], may))

    def _say(self, kind: str, peer: Peer) -> None:
        audit.note(kind, by="command", **to_json(peer))
        self.stdout.write(_line(peer))


def _told(options: dict) -> dict[str, object]:
    """Return the fields that the command line names, as JSON has them."""
    told: dict[str, object] = {}
    if options["address"]:
        told["addresses"] = options["address"]
    if options["may"] is not None:
        told["may"] = _rights(options["may"])["may"]
    if options["listens"]:
        host, _, port = options["listens"].rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else port
        told["listens"] = {"host": host.strip("[]"), "port": number, "tls": options["tls"]}
    if options["certificate"]:
        told["certificate"] = {"sha256": options["certificate"]}
    if options["charset"]:
        told["charset"] = options["charset"]
    return told


def _rights(text: str) -> dict[str, object]:
    return {"ae_title": "X", "may": [word.strip() for word in text.split(",") if word.strip()]}


def _line(peer: Peer) -> str:
    listens = peer.listens
    where = f"  listens at {listens.host}:{listens.port}" if listens else ""
    may = ",".join(service for service in Service if service in peer.may) or "nothing"
    return f"{peer.ae_title:16}  {', '.join(peer.addresses) or '-'}  may {may}{where}"
