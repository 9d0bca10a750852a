"""What the node's code says at the places of template.md; run by docs/make_conformance.py.

A place is a word and what it is about: `status errors.DiskFull`, `value store.scan.MAX_DEPTH`,
`setting PACS_AE_TITLE`, `settings PACS_A PACS_B`, `table syntaxes`. Nothing is answered for what
the code does not have: the page cannot be made then.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "dicom_node.settings"
django.setup()

from dicom_node.config import ENV  # noqa: E402 - Django first
from docs.conformance import access, classes, queries  # noqa: E402
from docs.conformance.markdown import table as as_table  # noqa: E402

TABLES = classes.TABLES | queries.TABLES | access.TABLES
SETTINGS = {one.name: one for one in ENV.declared}


def said(place: str) -> str:
    """Return the text for a place; raises LookupError or AttributeError where there is none."""
    word, _, about = place.partition(" ")
    return WORDS[word](about)


def named(path: str) -> Any:
    """Return what a module of the node has under a name; `errors.X` is pacs_common's."""
    module, _, name = path.rpartition(".")
    package = "pacs_common" if module == "errors" else "dicom_node"
    return getattr(importlib.import_module(f"{package}.{module}"), name)


def status(path: str) -> str:
    """Return a DIMSE status as people write it: a constant's, or that of a class of errors."""
    found = named(path)
    if isinstance(found, set):
        return ", ".join(f"0x{one:04X}" for one in sorted(found))
    return f"0x{getattr(found, 'dimse_status', found):04X}"


def http(path: str) -> str:
    """Return the HTTP status of a class of errors."""
    return str(named(path).http_status)


def size(path: str) -> str:
    """Return a number of bytes in MiB or KiB."""
    count = int(named(path))
    units = ((30, "GiB"), (20, "MiB"), (10, "KiB"))
    shift, unit = next((shift, unit) for shift, unit in units if count >> shift)
    return f"{count >> shift} {unit}"


def value(path: str) -> str:
    """Return a constant of the code."""
    found = named(path)
    if isinstance(found, float):
        return f"{found:g}"
    return f"{found:,}" if isinstance(found, int) else str(found)


def setting(name: str) -> str:
    """Return a setting with its default."""
    return f"`{name}` ({default(name)})"


def default(name: str) -> str:
    """Return the default of a setting."""
    one = SETTINGS[name]
    return f"{float(one.default):.10g}" if one.kind == "number" else one.default or "empty"


def settings(names: str) -> str:
    """Return a table of settings."""
    rows = []
    for name in names.split():
        one = SETTINGS[name]
        rows.append([f"`{name}`", one.kind, f"`{default(name)}`" if one.default else "", one.doc])
    return as_table(["parameter", "kind", "default", "what it does"], rows)


def table(name: str) -> str:
    """Return one of the tables."""
    return TABLES[name]()


def count(name: str) -> str:
    """Return how many rows one of the tables has."""
    return str(table(name).count("\n") - 1)


WORDS: dict[str, Callable[[str], str]] = {
    "status": status,
    "http": http,
    "size": size,
    "value": value,
    "setting": setting,
    "default": default,
    "settings": settings,
    "table": table,
    "count": count,
}

if __name__ == "__main__":
    json.dump({place: said(place) for place in json.load(sys.stdin)}, sys.stdout)
