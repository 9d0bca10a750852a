"""How a vault is written in the settings: NAME=kind:place?option=value&option=value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from pacs_common import errors

KINDS = ("tape", "disk", "library", "s3")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)b?\Z", re.IGNORECASE)
_YES = {"yes": True, "no": False}


class BadSpec(errors.BadInput):
    """A vault that is written in a way that cannot be read; str() says what is wrong."""

    title = "Bad vault setting"


@dataclass(frozen=True)
class VaultDefaults:
    """What a vault takes where its own options say nothing; `state_dir` is the archive's."""

    drives: int
    volume_bytes: int
    state_dir: Path


@dataclass(frozen=True)
class VaultSpec:
    """One vault of the settings: what it is, where it lies, and its options as they are written.

    A `required` vault holds a verified copy of every study before anything of it is evicted; one
    that is not gets what rules send there.
    """

    name: str
    kind: str
    place: str
    options: Mapping[str, str]

    @property
    def is_required(self) -> bool:
        """Whether eviction waits for a verified copy here."""
        return self.flag("required", True)

    @property
    def key_id(self) -> str:
        """Return the id of the key that encrypts what is written here; empty: none does."""
        return self.text("key")

    def text(self, name: str, default: str = "") -> str:
        """Return an option as it is written."""
        return self.options.get(name, default)

    def flag(self, name: str, default: bool) -> bool:
        """Return a yes or no; raises BadSpec."""
        written = self.options.get(name)
        if written is None:
            return default
        if written not in _YES:
            raise BadSpec(f"{name} of {self.name} is yes or no")
        return _YES[written]

    def number(self, name: str, default: float, *, low: float = 0.0) -> float:
        """Return a number that is at least `low`; raises BadSpec."""
        try:
            value = float(self.options.get(name, default))
        except ValueError:
            value = float("nan")
        if not low <= value < float("inf"):
            raise BadSpec(f"{name} of {self.name} is a number from {low:g}")
        return value

    def size(self, name: str, default: int, *, low: int = 0) -> int:
        """Return a size in bytes, written like 35GB; raises BadSpec."""
        written = self.options.get(name)
        if written is None:
            return default
        found = _SIZE.match(written)
        value = int(float(found[1]) * _UNITS[found[2].lower()]) if found else -1
        if value < low:
            raise BadSpec(f"{name} of {self.name} is a size from {low} bytes, like 35GB")
        return value

    def only(self, *known: str) -> None:
        """Raise BadSpec where an option is none of `known` (`required` and `key` always are)."""
        for option in self.options:
            if option not in {*known, "required", "key"}:
                raise BadSpec(f"{self.name}: no option of {self.kind} is called {option!r}")


def read(name: str, written: str) -> VaultSpec:
    """Return the vault that `kind:place?options` means; raises BadSpec."""
    kind, colon, rest = written.partition(":")
    if not colon or kind not in KINDS:
        raise BadSpec(f"{name}: {written!r} begins with none of {', '.join(KINDS)} and a colon")
    place, _, query = rest.partition("?")
    if not place:
        raise BadSpec(f"{name}: {written!r} does not say where the vault lies")
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs):
        raise BadSpec(f"{name}: an option is written twice")
    spec = VaultSpec(name, kind, place, options)
    _ = spec.is_required
    return spec
