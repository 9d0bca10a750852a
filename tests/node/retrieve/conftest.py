"""A workstation that is associated with the node, and a destination that the node knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from pynetdicom.sop_class import CTImageStorage

from dicom_node.config import CONFIG
from dicom_node.dimse.scp import suboperations
from dicom_node.dimse.scu import delivery, remote
from tests.node.dimse_peers import EXPLICIT, known_as, storage
from tests.node.retrieve.callers import Caller, calling


@pytest.fixture
def caller(server) -> Iterator[Caller]:
    with calling(server.port, (CTImageStorage, EXPLICIT)) as found:
        yield found


@pytest.fixture
def destination() -> Iterator:
    with storage() as found, known_as("DEST", found.port):
        yield found


@pytest.fixture
def patience(monkeypatch) -> Callable[..., None]:
    """Change how long the node waits for others."""

    def set_to(**settings: float) -> None:
        changed = dataclasses.replace(CONFIG, **settings)
        for module in (delivery, remote, suboperations):
            monkeypatch.setattr(module, "CONFIG", changed)

    return set_to
