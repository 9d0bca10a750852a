"""A study of two series, and who deletes by DICOMweb."""

from __future__ import annotations

import pytest
from django.test import Client

from dicom_node.ingest import door
from tests.node.objects import ct
from tests.node.reject.rejected import ADDRESS, OTHER


@pytest.fixture
def web(ticket, ingest) -> Client:
    """An HTTP client per scope: `web("dicomweb.delete").delete(...)`."""

    def web(scope: str, **bound: object) -> Client:
        return Client(headers={"Authorization": f"Bearer {ticket(scope, **bound)}"})

    yield web
    door.close()


@pytest.fixture
def delete(web):
    """DELETE an address; returns the rejection that the node answers."""

    def delete(address: str = ADDRESS, **query: str) -> dict:
        given = "&".join(f"{name}={value}" for name, value in query.items())
        answer = web("dicomweb.delete").delete(f"{address}?{given}")
        assert answer.status_code == 200, answer.content
        return answer.json()["rejection"]

    return delete


@pytest.fixture
def study(take) -> list[str]:
    """A study of two series, three and two instances; returns their UIDs."""
    objects = [ct(n) for n in (1, 2, 3)]
    objects += [ct(n, series=OTHER, Modality="MR", SeriesNumber=2) for n in (1, 2)]
    for ds in objects:
        take(ds)
    return [str(ds.SOPInstanceUID) for ds in objects]
