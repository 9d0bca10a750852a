"""People, nodes and browsers for the portal's tests; the nodes are real servers in threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from django.utils import translation
from hypothesis import settings as hypothesis_settings

from pacs_web import config
from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import GROUPS
from pacs_web.archive import asking
from pacs_web.full_viewer import release
from pacs_web.full_viewer.install.compress import compress
from pacs_web.nodes import registry
from pacs_web.nodes.models import Node
from tests.web.archive_answers import Archive
from tests.web.archive_stand_in import archive_stand_in
from tests.web.made_studies import ct_study, report, rf_study
from tests.web.node_stand_in import StandIn, node_stand_in

PASSWORD = "corail-barrage-1959"

hypothesis_settings.register_profile("argens", deadline=None)  # a busy machine is no fault
hypothesis_settings.load_profile("argens")


class QuickArgon2(Argon2PasswordHasher):
    """The real hasher with a cost that a test can pay."""

    time_cost, memory_cost, parallelism = 1, 64, 1


@pytest.fixture
def cheap_hashes(settings: object) -> None:
    """Make passwords cost little."""
    settings.PASSWORD_HASHERS = ["tests.web.conftest.QuickArgon2"]


@pytest.fixture(autouse=True)
def _connections_let_go() -> Iterator[None]:
    """Close the portal's connections after each test, and forget what its nodes said."""
    yield
    registry.close_clients()
    asking.close_clients()
    cache.clear()


@pytest.fixture(autouse=True)
def _language_let_go() -> Iterator[None]:
    """A request's language stays with its thread until the next request."""
    yield
    translation.deactivate()


@pytest.fixture
def person(db: None) -> Callable[[str], Account]:
    """Return a maker of people: one of each group, without the cost of a real password."""

    def make(group: str) -> Account:
        account, _ = Account.objects.get_or_create(username=group)
        if group in GROUPS:
            account.groups.add(Group.objects.get(name=group))
        return account

    return make


@pytest.fixture
def browser(person: Callable[[str], Account]) -> Callable[..., Client]:
    """Return a maker of logged-in browsers: `browser("clinician")`."""

    def make(group: str, **given: object) -> Client:
        client = Client(**given)
        client.force_login(person(group), "django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def clinician(browser: Callable[..., Client]) -> Client:
    """A clinician's browser."""
    return browser("clinician")


@pytest.fixture
def register(db: None) -> Callable[[StandIn], Node]:
    """Return a function that tells the portal of a node."""

    def add(node: StandIn | SimpleNamespace) -> Node:
        count = Node.objects.count()
        return Node.objects.create(name=node.name, url=node.url, position=count)

    return add


@pytest.fixture
def nodes(register: Callable[[StandIn], Node]) -> Iterator[dict[str, StandIn]]:
    """Two nodes that answer: CT with a stack, RF with a loop and a report."""
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(node_stand_in(name, held, config.TRUST_DIR))
            for name, held in (("CT", ct_study()), ("RF", rf_study() + report()))
        }
        for node in running.values():
            register(node)
        yield running


@pytest.fixture
def small_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A full viewer of a few bytes, installed; its folder."""
    monkeypatch.setattr(config, "VIEWER_DIR", tmp_path / "viewer")
    folder = release.release_dir()
    folder.mkdir(parents=True)
    (folder / "app.bundle.0123456789abcdef0123.js").write_text("'use strict';\n" * 50)
    (folder / "app.bundle.css").write_text("body { margin: 0 }\n" * 50)
    (folder / "0123456789abcdef0123.wasm").write_bytes(b"\0asm" * 200)
    compress(folder)
    entries = {"script": "app.bundle.0123456789abcdef0123.js", "style": "app.bundle.css"}
    (folder / release.MANIFEST).write_text(json.dumps(entries))
    return folder


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive that answers as `docs/interfaces.md` says."""
    with archive_stand_in(config.TRUST_DIR) as running:
        monkeypatch.setattr(config, "ARCHIVE_URL", running.url)
        yield running


@pytest.fixture
def operator(browser: Callable[..., Client]) -> Client:
    """The archive operator's browser."""
    return browser("archivist")


@pytest.fixture
def ct(nodes: dict[str, StandIn]) -> StandIn:
    """The node with the CT stack."""
    return nodes["CT"]
