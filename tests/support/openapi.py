"""The HTTP interfaces as docs/openapi/ has them, and requests that are made from them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from schemathesis.specs.openapi import checks as openapi_checks

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "openapi"
METHODS = ("get", "put", "post", "delete")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@dataclass(frozen=True)
class Operation:
    """One method of one address: the scopes of which one opens it (none: it is open)."""

    role: str
    method: str
    path: str
    scopes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.role} {self.method} {self.path}"


@cache
def document(role: str) -> dict[str, Any]:
    """Return a role's document."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
    return yaml.load((FOLDER / f"{role}.yaml").read_text(), loader)


@cache
def operations(role: str) -> list[Operation]:
    """Return every operation of a role's document."""
    return [
        Operation(role, method.upper(), path, _scopes(told))
        for path, item in document(role)["paths"].items()
        for method, told in item.items()
        if method in METHODS
    ]


def _scopes(told: dict[str, Any]) -> tuple[str, ...]:
    return tuple(scope for one in told["security"] for scope in one["ticket"])


def with_known_values(told: dict[str, Any], known: dict[str, list[Any]]) -> dict[str, Any]:
    """Return a document whose parameters are drawn half from what is there, half from anything."""
    changed = copy.deepcopy(told)
    for parameter in changed["components"]["parameters"].values():
        if parameter["name"] in known:
            values = {"enum": known[parameter["name"]]}
            parameter["schema"] = {"anyOf": [values, parameter["schema"]]}
    return changed


@schemathesis.serializer("application/dicom")
def as_bytes(_: Any, value: Any) -> bytes:
    """Return whatever was drawn as bytes."""
    return repr(value).encode()


@schemathesis.serializer("multipart/related")
def as_parts(_: Any, value: Any) -> bytes:
    """Return whatever was drawn as the one part of a body without a boundary that is told."""
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + repr(value).encode() + b"\r\n--b--"
