"""An object store that all tests share, and tape libraries of stand-ins for the real one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import object_store
from tests.support.object_store import ObjectStore
from tests.support.tape_stand_ins.rig import Rig


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


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Return a maker of libraries; two empty tapes lie in slots 1 and 2."""
    root = tmp_path / "library"

    def make(mode: str = "tar", **sizes: int) -> Rig:
        rig = Rig(root, mode, **sizes)
        for number in (1, 2):
            rig.add(f"A{number:05}", number)
        return rig

    yield make
    Rig.end(root)


@pytest.fixture(params=["tar", "ltfs"])
def rig(request: pytest.FixtureRequest, make_rig: Callable[..., Rig]) -> Rig:
    """A library of either mode."""
    return make_rig(request.param)


@pytest.fixture
def tar_rig(make_rig: Callable[..., Rig]) -> Rig:
    """A library whose tapes hold raw records."""
    return make_rig("tar")


@pytest.fixture
def ltfs_rig(make_rig: Callable[..., Rig]) -> Rig:
    """A library whose tapes hold a file system."""
    return make_rig("ltfs")
