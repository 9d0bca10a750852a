"""`rotate-key`: a new key of an issuer of tickets follows the old one, and no ticket is refused.

The new public half is published beside the old one; when the overlap is over the new key signs,
by the clock, in every process; when the last ticket of the old key has expired the old one is
believed no more, by the clock of whoever verifies. Nothing is restarted and nobody comes back.
"""

from __future__ import annotations

import os
import stat
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pacs_common import kept_files, ticket_keys, tickets
from pacs_common.errors import ArgensError, BadInput, Conflict, NotAuthenticated
from pacs_common.ticket_keys import SigningKey, moment

DAY_S = 86_400.0


@dataclass(frozen=True)
class Issuer:
    """Whose keys they are, the text that the role was given, its file if there is one."""

    name: str
    text: str
    file: Path | None
    trust_dir: Path


@dataclass(frozen=True)
class Rotated:
    """What was done, in lines; `to_keep` is a private text that the role could not keep itself."""

    lines: list[str]
    to_keep: str = ""


class Peer(Protocol):
    """A client of a role that verifies tickets."""

    def status(self) -> dict[str, Any]:
        """Ask it something that needs a ticket."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the words of `rotate-key`."""
    parser.add_argument(
        "--overlap-s",
        type=float,
        default=DAY_S,
        help="seconds until the new key signs: the time to bring its public half to other machines",
    )
    parser.add_argument(
        "--stolen",
        action="store_true",
        help="the old key is believed no more from now on: what it signed is refused",
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; ask who believes the newest key"
    )


def run(issuer: Issuer, out: TextIO, told: TextIO, overlap_s: float, stolen: bool) -> None:
    """Rotate and tell it; a private text goes to `out`, which may be no screen (BadInput)."""
    by_hand = issuer.file is None or not _is_ours(issuer.file)
    if by_hand and out.isatty():
        raise BadInput("a private key would stand on the screen: send the output to a file")
    done = rotate(issuer, overlap_s=overlap_s, stolen=stolen)
    out.write(done.to_keep)
    told.write("".join(f"{line}\n" for line in done.lines))


def rotate(issuer: Issuer, *, overlap_s: float, stolen: bool = False) -> Rotated:
    """Let a new key follow the one that signs; raises BadInput, Conflict or OSError."""
    if not 0 <= overlap_s <= 365 * DAY_S:  # also what is no number
        raise BadInput("--overlap-s is not between 0 seconds and a year")
    with kept_files.alone(issuer.trust_dir):
        file = issuer.file if issuer.file is not None and _is_ours(issuer.file) else None
        text = issuer.text if file is None else file.read_text(encoding="utf-8")
        keys = _followed(ticket_keys.read_private(text), time.time(), overlap_s, stolen)
        kept = ticket_keys.private_text(keys)
        # the public half first: nobody may meet a ticket of a key that is not published
        tickets.publish(issuer.name, keys, issuer.trust_dir)
        if file is not None:
            kept_files.replace(file, kept.encode(), stat.S_IMODE(file.stat().st_mode))
            return Rotated(_told(issuer, keys))
    return Rotated([*_told(issuer, keys), *_by_hand(issuer.file)], kept)


def believed(peers: Mapping[str, Peer]) -> tuple[list[str], bool]:
    """Return who believes the newest key, in lines, and whether all do."""
    lines, all_do = [], True
    for name, peer in peers.items():
        try:
            peer.status()
        except NotAuthenticated as error:
            all_do = False
            lines.append(f"{name} does not believe it: {error}")
        except ArgensError as error:
            all_do = False
            lines.append(f"{name} could not be asked: {error}")
        else:
            lines.append(f"{name} believes it")
    return lines, all_do


def _followed(
    keys: list[SigningKey], now: float, overlap_s: float, stolen: bool
) -> list[SigningKey]:
    new = Ed25519PrivateKey.generate()
    if stolen:
        return [SigningKey(new)]
    if keys[-1].since > now:
        raise Conflict(f"a new key waits already: it signs from {moment(keys[-1].since)} on")
    ends = [ticket_keys.retired_at(one.since) for one in keys[1:]]
    left = [one for one, end in zip(keys, [*ends, None], strict=True) if end is None or end > now]
    # a whole second later, as the text tells it; a ticket's own second has begun by then
    return [*left, SigningKey(new, float(int(now + overlap_s) + 1))]


def _is_ours(file: Path) -> bool:
    """Return whether the role may replace the file of its keys, and reads it afterwards."""
    owner = file.stat().st_uid == os.geteuid()
    return owner and os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def _told(issuer: Issuer, keys: list[SigningKey]) -> list[str]:
    new, public = keys[-1], issuer.trust_dir / f"{issuer.name}.pub.pem"
    if len(keys) == 1:
        when = [f"key {new.kid[:8]} signs now, and no other is believed"]
    else:
        end = moment(ticket_keys.retired_at(new.since))
        when = [
            f"key {new.kid[:8]} signs from {moment(new.since)} on",
            f"key {keys[-2].kid[:8]} is believed until {end}",
        ]
    return [*when, f"bring {public} to the trust folder of every other machine before that"]


def _by_hand(file: Path | None) -> Iterable[str]:
    where = f"the file {file}" if file else "where PACS_TICKET_KEY comes from"
    yield f"put the text on standard output in the place of the old one, {where}, mode 600"
    yield "and restart the role before the new key signs; from then on nothing is left to do"
