"""The known peers in force: `<data>/peers.json`, what the settings name on top; kept up to date."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dicom_node.config import CONFIG, NodeConfig
from dicom_node.peers import peer as peers
from dicom_node.peers.addresses import Names
from dicom_node.peers.decision import Book
from dicom_node.peers.identity import TokenRules, Users, public_key
from dicom_node.peers.peer import EVERYTHING, Destination, Peer
from dicom_node.store.blobs import disk_errors, sync_folder
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from pacs_common.errors import ArgensError, BadInput, Conflict, NotFound

LOG = logging.getLogger(__name__)
MAX_BYTES = 8 << 20
Stamp = tuple[int, int, int] | None
_NAMES = Names()


@dataclass(frozen=True)
class _InForce:
    config: NodeConfig
    stamps: tuple[Stamp, Stamp]
    from_file: Mapping[str, Peer]
    book: Book


_lock = threading.Lock()
_in_force: _InForce | None = None


def current() -> Book:
    """Return the book in force; a file that cannot be read leaves the last good one in force."""
    global _in_force
    config = CONFIG
    stamps = (_stamp(Layout(config.data_dir).peers), _stamp(config.identity.users_file))
    with _lock:
        last = _in_force
        if last is None or last.config is not config or last.stamps != stamps:
            last = _in_force = _read(config, stamps, last)
        return last.book


def read(path: Path) -> dict[str, Peer]:
    """Return the peers of a file by AE title, none where there is no file; raises BadInput."""
    told = _json(path)
    if told is None:
        return {}
    if not isinstance(told, dict) or not isinstance(told.get("peers"), list):
        raise BadInput(f'{path.name} is not {{"peers": [...]}}')
    found: dict[str, Peer] = {}
    for one in told["peers"]:
        try:
            peer = peers.from_json(one)
        except BadInput as error:
            raise BadInput(f"{path.name}: {error}") from None
        if peer.ae_title in found:
            raise BadInput(f"{path.name} names {peer.ae_title!r} twice")
        found[peer.ae_title] = peer
    return found


def read_users(path: Path) -> dict[str, str]:
    """Return the users' Argon2 hashes by name ("" for no passcode); raises BadInput."""
    told = _json(path)
    users = {} if told is None else told.get("users") if isinstance(told, dict) else None
    if not isinstance(users, dict) or not all(isinstance(one, str) for one in users.values()):
        raise BadInput(f'{path.name} is not {{"users": {{"name": "hash"}}}}')
    return users


def put(peer: Peer) -> None:
    """Add a peer to the file, or replace it; raises Conflict where the file cannot be read."""
    with _editing() as known:
        known[peer.ae_title] = peer


def change(title: str, edit: Callable[[Peer], Peer]) -> Peer:
    """Edit one peer (a new one where it is not known) as it is in force, and return it."""
    with _editing() as known:
        known[title] = edit(known.get(title) or current().peers.get(title) or Peer(title))
        return known[title]


def remove(title: str) -> None:
    """Take a peer out of the file; raises NotFound, or Conflict where only a setting names it."""
    with _editing() as known:
        if title in known:
            del known[title]
        elif title in current().peers:
            raise Conflict(f"{title} is named by PACS_PEERS or PACS_MOVE_DESTINATIONS")
        else:
            raise NotFound(f"peer {title!r} is not known")


def put_user(name: str, hash_of_passcode: str) -> None:
    """Add a user of associations, or replace the hash of one."""
    path = CONFIG.identity.users_file
    with _locked(path):
        users = _unless_broken(read_users, path)
        _write(path, {"users": users | {name: hash_of_passcode}}, 0o600)


def remove_user(name: str) -> None:
    """Take a user out; raises NotFound."""
    path = CONFIG.identity.users_file
    with _locked(path):
        users = _unless_broken(read_users, path)
        if name not in users:
            raise NotFound(f"user {name!r} is not known")
        _write(path, {"users": {n: h for n, h in users.items() if n != name}}, 0o600)


def is_from_settings(title: str) -> bool:
    """True where a setting names this AE title too."""
    return title in CONFIG.peers or title in CONFIG.destinations


def _read(config: NodeConfig, stamps: tuple[Stamp, Stamp], last: _InForce | None) -> _InForce:
    """Read both files; each that cannot be read keeps its last good content, of these settings."""
    if last is not None and last.config.data_dir != config.data_dir:
        last = None
    problems: list[str] = []
    known = _good(lambda: read(Layout(config.data_dir).peers), problems)
    if known is None:
        known = last.from_file if last else {}
    hashes = _good(lambda: read_users(config.identity.users_file), problems)
    if hashes is None:
        hashes = last.book.users.hashes if last else {}
    tokens = _good(lambda: _tokens(config), problems)
    book = Book(
        own_title=config.ae_title,
        peers=with_settings(known, config),
        check_called=config.check_called_ae,
        any_from_loopback=config.accept_loopback,
        users=Users(config.identity.demand, hashes, tokens),
        resolve=_NAMES,
        problem="; ".join(problems),
    )
    return _InForce(config, stamps, known, book)


def with_settings(known: Mapping[str, Peer], config: NodeConfig) -> dict[str, Peer]:
    """Return the file's peers with those of the settings on top.

    PACS_PEERS adds an address (and grants everything to an AE title that the file does not have);
    PACS_MOVE_DESTINATIONS says where one listens.
    """
    found = dict(known)
    for title, address in config.peers.items():
        peer = known.get(title) or Peer(title, may=EVERYTHING)
        found[title] = replace(peer, addresses=tuple(dict.fromkeys((*peer.addresses, address))))
    for title, told in config.destinations.items():
        peer = found.get(title) or Peer(title)
        secured = peer.listens.tls if peer.listens else False
        listens = Destination(title, told.host, told.port, secured, peer.certificate)
        found[title] = replace(peer, listens=listens)
    return found


def _tokens(config: NodeConfig) -> TokenRules | None:
    rules = config.identity
    if rules.jwt_key is None:
        return None
    try:
        key = rules.jwt_key.read_bytes()
        public_key(key)
    except (OSError, ValueError) as error:
        raise BadInput(f"PACS_DICOM_JWT_KEY {rules.jwt_key}: {error}") from None
    return TokenRules(key, rules.jwt_issuer, rules.jwt_audience or config.ae_title)


def _good(read_it: Callable[[], Any], problems: list[str]) -> Any:
    try:
        return read_it()
    except ArgensError as error:
        LOG.error("the last good peers stay in force: %s", error)
        problems.append(str(error))
        return None


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path.name} is longer than {MAX_BYTES} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} is not JSON: {error}") from None


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _unless_broken(reader: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    try:
        return reader(path)
    except BadInput as error:
        raise Conflict(f"nothing is written over a file that needs a person: {error}") from None


@contextmanager
def _editing() -> Iterator[dict[str, Peer]]:
    """Let a caller change the file's peers: one at a time, whole or not at all, durably."""
    path = Layout(CONFIG.data_dir).peers
    with _locked(path):
        known = _unless_broken(read, path)
        yield known
        _write(path, {"peers": [peers.to_json(known[title]) for title in sorted(known)]}, 0o640)


def _write(path: Path, content: Mapping[str, Any], mode: int) -> None:
    with disk_errors():
        kept_files.replace(path, json.dumps(content, indent=1).encode() + b"\n", mode)
    sync_folder(path.parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
