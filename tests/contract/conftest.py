"""A tape library of stand-ins, for the tests of the real library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tape_stand_ins.rig import Rig


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
