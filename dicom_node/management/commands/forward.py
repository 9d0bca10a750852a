"""`manage.py node forward list|resend|cancel|rules`: what is on its way, and by which rules."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.forwarding import overview, queue
from dicom_node.forwarding.rules import parse
from dicom_node.forwarding.rules_file import RulesFile
from dicom_node.models import Forward
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput


class Command(BaseCommand):
    help = "List what is forwarded, send it again, cancel it, or check the rules."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb in ("list", "resend", "cancel"):
            rows = verbs.add_parser(verb)
            rows.add_argument("--destination", default="", help="AE title")
            rows.add_argument("--study", default="", help="Study Instance UID")
            rows.add_argument("--state", default="", choices=["", *Forward.State.values])
        rules = verbs.add_parser("rules").add_subparsers(dest="what", required=True)
        rules.add_parser("list")
        rules.add_parser("check").add_argument("file", nargs="?", type=Path)

    def handle(self, verb: str, **options: Any) -> None:
        """Do one verb, or fail with a line."""
        if verb == "rules":
            self._rules(options["what"], options.get("file"))
            return
        rows = overview.chosen(
            state=options["state"], destination=options["destination"], study_uid=options["study"]
        )
        if verb == "list":
            self._list(rows)
        elif not (options["destination"] or options["study"]):
            raise CommandError("name --destination or --study")
        elif verb == "resend":
            self.stdout.write(f"{queue.resend(rows, 'command line')} instances go again")
        else:
            self.stdout.write(f"{queue.cancel(rows)} instances are cancelled")

    def _list(self, rows: Any) -> None:
        for one in overview.destinations():
            away = f", away since {one['away_since']}: {one['error']}" if one["away_since"] else ""
            self.stdout.write(
                f"{one['ae_title']}: {one['waiting']} wait, {one['given_up']} given up{away}"
            )
        for one in overview.studies(rows):
            counts = ", ".join(f"{n} {state}" for state, n in one["counts"].items() if n)
            by = one["rule"] or one["requested_by"]
            error = f" ({one['error']})" if one["error"] else ""
            self.stdout.write(f"{one['study_uid']} to {one['destination']}, {by}: {counts}{error}")

    def _rules(self, what: str, file: Path | None) -> None:
        kept = RulesFile(Layout(CONFIG.data_dir).forwarding_rules)
        try:
            document = kept.document() if file is None else json.loads(file.read_bytes())
            found = parse(document)
        except (BadInput, OSError, ValueError) as error:
            raise CommandError(str(error)) from None
        if what == "list":
            self.stdout.write(json.dumps(document, indent=1, ensure_ascii=False))
            return
        for rule in found:
            state = "" if rule.enabled else " (disabled)"
            self.stdout.write(f"{rule.name}: to {rule.destination}{state}")
        self.stdout.write(f"{len(found)} rules, no mistake; hours are {CONFIG.time_zone}")
