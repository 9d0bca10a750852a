"""What all tests share: how Hypothesis judges them, and in which order their files begin."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("argens", deadline=None)  # a loaded machine is no fault
settings.load_profile("argens")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that may take long begin first, so that none is left last.

    How long is what their tests are allowed (their marks of pytest-timeout).
    """
    allowed_s: dict[Path, float] = defaultdict(float)
    for item in items:
        mark = item.get_closest_marker("timeout")
        allowed_s[item.path] += float(mark.args[0]) if mark else 1.0
    items.sort(key=lambda item: -allowed_s[item.path])
