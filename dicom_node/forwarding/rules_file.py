"""The rules as a file, `<data>/forwarding.json`: read again when it changes, written whole."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

from dicom_node.forwarding.rules import Rule, parse
from pacs_common import kept_files
from pacs_common.errors import BadInput

LOG = logging.getLogger(__name__)
MAX_BYTES = 1 << 20


class RulesFile:
    """The rules in force; a file that cannot be read leaves those before it in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = (0, 0, 0)  # of no file, and not of its absence
        self._rules: tuple[Rule, ...] | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """What is wrong with the file as it is now, an empty string where nothing is."""
        return self._problem

    def current(self) -> tuple[Rule, ...]:
        """Return the rules in force, none where there is no file.

        Raises BadInput where the file cannot be read and no earlier state of it is known: then
        nothing may be decided yet.
        """
        with self._lock:
            state = self._state()
            if state != self._seen:
                self._load(state)
            if self._rules is None:
                raise BadInput(self._problem)
            return self._rules

    def document(self) -> dict[str, Any]:
        """Return the file's document; raises BadInput where it is none."""
        try:
            if self._path.stat().st_size > MAX_BYTES:
                raise BadInput(f"{self._path.name} is longer than {MAX_BYTES} bytes")
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {"rules": []}
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{self._path.name} cannot be read: {error}") from None
        parse(found)
        return found

    def replace(self, document: Any) -> tuple[Rule, ...]:
        """Put new rules in force, durably; raises BadInput where they are none."""
        rules = parse(document)
        kept_files.replace(self._path, json.dumps(document, indent=1).encode() + b"\n", 0o640)
        return rules

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self, state: tuple[int, int, int] | None) -> None:
        self._seen = state
        try:
            self._rules = parse(self.document())
            self._problem = ""
        except BadInput as error:
            self._problem = str(error)
            LOG.error("the forwarding rules are not taken: %s", error)
