"""How a command names the DICOM peer that it calls: by AE title, or by host and port."""

from __future__ import annotations

import argparse
import re
from typing import Any

from django.core.management.base import CommandError

from dicom_node.config import CONFIG
from dicom_node.dimse.scu import remote
from dicom_node.dimse.scu.remote import Remote
from dicom_node.peers.peer import ae_title
from pacs_common.errors import ArgensError

_PORT = re.compile(r"[0-9]{1,5}")
USAGE = "HOST PORT, or --to AE_TITLE of a known peer"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name a peer; host and port are the first words of the rest."""
    parser.add_argument("--to", metavar="AE_TITLE", help="a known peer, instead of HOST PORT")
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title, with HOST PORT")
    parser.add_argument("--calling", default=CONFIG.ae_title, help="our AE title")


def named(words: list[str], options: dict[str, Any]) -> tuple[Remote, list[str]]:
    """Return the peer that a command line names, and the words that follow."""
    if options["to"]:
        try:
            found = remote.known(options["to"])
        except ArgensError as error:
            raise CommandError(str(error)) from None
        return found, words
    if len(words) < 2 or not _PORT.fullmatch(words[1]) or not 0 < int(words[1]) < 65536:
        raise CommandError(f"which peer? {USAGE}")
    host, port, *rest = words
    try:
        called, calling = ae_title(options["called"]), ae_title(options["calling"])
    except ArgensError as error:
        raise CommandError(str(error)) from None
    return Remote(called, host, int(port), calling), rest
