"""`manage.py node find HOST PORT [KEYWORD=VALUE...]` (or `--to AE_TITLE`): C-FIND a peer."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pydicom.dataset import Dataset

from dicom_node.dimse.association import identifiers
from dicom_node.dimse.scu import ask
from dicom_node.index.attributes import Level
from dicom_node.management import peer_arguments
from pacs_common.errors import ArgensError

NOT_SHOWN = {"SpecificCharacterSet", "QueryRetrieveLevel", "RetrieveAETitle"}
WIDEST = 40


class Command(BaseCommand):
    help = "Query a DICOM peer by C-FIND, and print what it has."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the peer and the keys."""
        parser.add_argument("words", nargs="*", help=f"{peer_arguments.USAGE}; then KEYWORD=VALUE")
        parser.add_argument("--level", default="STUDY", type=str.upper, choices=[*map(str, Level)])
        parser.add_argument("--limit", type=int, default=0, help="most answers; 0: all")
        parser.add_argument("--json", action="store_true", help="DICOM JSON, one answer a line")
        peer_arguments.add(parser)

    def handle(self, words: list[str], **options: Any) -> None:
        """Print the answers as they come (as a table: once all are there)."""
        remote, pairs = peer_arguments.named(words, options)
        show = self._json if options["json"] else self._table
        try:
            query = ask.identifier(Level(options["level"]), _keys(pairs))
            show(ask.find(remote, query, limit=options["limit"] or None))
        except ArgensError as error:
            raise CommandError(str(error)) from None

    def _json(self, answers: Any) -> None:
        for answer in answers:
            self.stdout.write(json.dumps(identifiers.as_json(answer)))

    def _table(self, answers: Any) -> None:
        found = list(answers)
        columns = list(dict.fromkeys(e.keyword for ds in found for e in ds if _is_shown(e.keyword)))
        rows = [columns, *([_cell(ds, column) for column in columns] for ds in found)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
        for row in rows if found else []:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        self.stdout.write(f"{len(found)} found")


def _keys(pairs: list[str]) -> dict[str, str]:
    keys = {}
    for pair in pairs:
        keyword, sign, value = pair.partition("=")
        if not sign:
            raise CommandError(f"{pair!r} is not KEYWORD=VALUE")
        keys[keyword] = value
    return keys


def _is_shown(keyword: str) -> bool:
    return bool(keyword) and keyword not in NOT_SHOWN


def _cell(ds: Dataset, keyword: str) -> str:
    """Return a value for a terminal: one line, no control characters of a foreign answer."""
    text = ", ".join(identifiers.texts(ds, keyword))
    plain = "".join(c if c.isprintable() else " " for c in text)
    is_uid = keyword.endswith("UID")
    return plain if is_uid or len(plain) <= WIDEST else f"{plain[: WIDEST - 1]}…"
