"""What an audit row tells of an act, apart from the id of its request."""

from __future__ import annotations

from typing import Any


def without_trace(detail: dict[str, Any]) -> dict[str, Any]:
    """Return a row's detail without the id, which every act of a request has."""
    assert detail.get("trace"), detail
    return {name: value for name, value in detail.items() if name != "trace"}
