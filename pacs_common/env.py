"""Typed readers of `PACS_*` settings that refuse nonsense at start.

A role declares its settings by reading them through one `Env`; what was read is what
`docs/settings.md` must list (a test compares the two).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar

from pacs_common import kept_files

T = TypeVar("T")
N = TypeVar("N", int, float)
Network = IPv4Network | IPv6Network

GENERATE = "PACS_GENERATE_SECRETS"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class SettingError(SystemExit):
    """A setting that cannot be used: one line on standard error, and exit status 1."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"setting {name}: {why}")
        self.message = f"setting {name}: {why}"


@dataclass(frozen=True)
class Declared:
    """One documented setting: its name, kind, default as text, and what it does."""

    name: str
    kind: str
    default: str
    doc: str


class Env:
    """Reads settings from a mapping (the process's environment unless given)."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self.declared: list[Declared] = []
        self._generates: bool | None = None

    def text(self, name: str, default: str, doc: str) -> str:
        """Return a string; NAME_FILE names a file that holds it."""
        return self._read(name, "text", default, doc, str)

    def integer(self, name: str, default: int, doc: str, *, low: int = 0, high: int = 2**62) -> int:
        """Return a whole number within [low, high]."""
        return self._read(name, "integer", str(default), doc, _bounded(int, low, high))

    def number(
        self, name: str, default: float, doc: str, *, low: float = 0.0, high: float = 1e18
    ) -> float:
        """Return a decimal number within [low, high]."""
        return self._read(name, "number", str(default), doc, _bounded(float, low, high))

    def boolean(self, name: str, default: bool, doc: str) -> bool:
        """Return a yes or no (1/0, true/false, yes/no, on/off)."""
        return self._read(name, "yes/no", "yes" if default else "no", doc, _boolean)

    def path(self, name: str, default: str | Path, doc: str) -> Path:
        """Return an absolute path (which need not exist)."""
        return self._read(name, "path", str(default), doc, _path)

    def pairs(self, name: str, default: str, doc: str) -> dict[str, str]:
        """Return `A=x,B=y` as a dict; a name twice, or a part without `=`, is refused."""
        return self._read(name, "NAME=value list", default, doc, _pairs)

    def networks(self, name: str, default: str, doc: str) -> list[Network]:
        """Return `10.0.0.0/8,2001:db8::/32` as networks; a bare address is a network of one."""
        return self._read(name, "network list", default, doc, _networks)

    def secret(
        self,
        name: str,
        doc: str,
        *,
        kept_in: Path,
        made: Callable[[], bytes] = lambda: secrets.token_urlsafe(48).encode(),
    ) -> str:
        """Return a secret; where none is given, one `made` once and kept (mode 600).

        With PACS_GENERATE_SECRETS=no one that is not given is refused, even where one is kept.
        """
        given = self._read(name, "secret", "", doc, str)
        if not self._makes_secrets() and not given:
            raise SettingError(
                name, f"is not given (name its file by {name}_FILE), and {GENERATE}=no"
            )
        return given or _kept_secret(name, kept_in, made)

    def secret_file(self, name: str, *, kept_in: Path) -> Path | None:
        """Return the file that a secret was read from; None where it was given by its value."""
        from_file = self._environ.get(f"{name}_FILE")
        if from_file is not None:
            return Path(from_file).absolute()
        return None if self._environ.get(name) else kept_in

    def _makes_secrets(self) -> bool:
        if self._generates is None:
            self._generates = self.boolean(
                GENERATE, True, "Secrets that are not given are made at first start; no: refused."
            )
        return self._generates

    def _read(self, name: str, kind: str, default: str, doc: str, convert: Callable[[str], T]) -> T:
        self.declared.append(Declared(name, kind, default, doc))
        raw = self._raw(name)
        try:
            return convert(default if raw is None else raw)
        except ValueError as error:
            raise SettingError(name, f"{raw!r} {error}") from None

    def _raw(self, name: str) -> str | None:
        from_file = self._environ.get(f"{name}_FILE")
        if from_file is None:
            return self._environ.get(name)
        if name in self._environ:
            raise SettingError(name, f"is given twice, by itself and by {name}_FILE")
        try:
            content = Path(from_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(
                f"{name}_FILE", f"cannot read {from_file}: {error.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise SettingError(f"{name}_FILE", f"{from_file} is not UTF-8 text") from None
        if not content:
            raise SettingError(f"{name}_FILE", f"{from_file} is empty")
        return content


def _bounded(kind: Callable[[str], N], low: N, high: N) -> Callable[[str], N]:
    def convert(raw: str) -> N:
        try:
            value = kind(raw)
        except ValueError:
            raise ValueError("is not a number") from None
        if not low <= value <= high:
            raise ValueError(f"is not between {low} and {high}")
        return value

    return convert


def _path(raw: str) -> Path:
    if not raw.strip():
        raise ValueError("is not a path")
    return Path(raw).absolute()


def _boolean(raw: str) -> bool:
    word = raw.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither yes nor no")


def _pairs(raw: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in raw.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise ValueError(f"has a part {part!r} that is not NAME=value")
        if key.strip() in found:
            raise ValueError(f"names {key.strip()!r} twice")
        found[key.strip()] = value.strip()
    return found


def _networks(raw: str) -> list[Network]:
    parts = filter(None, (piece.strip() for piece in raw.split(",")))
    return [ip_network(part) for part in parts]  # its ValueError says what is wrong


def _kept_secret(name: str, kept_in: Path, made: Callable[[], bytes]) -> str:
    try:
        if not kept_in.exists():
            kept_files.write_once(kept_in, made(), 0o600)
        kept = kept_in.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(name, f"cannot keep it in {kept_in}: {error.strerror}") from None
    if not kept:
        raise SettingError(name, f"{kept_in} is empty: remove it to have a new one made")
    return kept
