"""A study whose digests are ready."""

from __future__ import annotations

import pytest

from dicom_node.chores import digests
from dicom_node.models import Study
from tests.node.objects import ct


@pytest.fixture
def study(take, layout):
    """A study of three instances whose digests are ready."""
    for number in (1, 2, 3):
        take(ct(number))
    digests.compute(layout)
    return Study.objects.get()
