"""An object store that all tests of a run share; each has a bucket of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support import object_store
from tests.support.object_store import ObjectStore


@pytest.fixture(scope="session")
def running_store() -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        yield store


@pytest.fixture
def store(running_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store, with what this process and those it starts need to speak to it."""
    for name, value in object_store.ACCESS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return running_store


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    return store.bucket(f"vault-{uuid.uuid4().hex}")
