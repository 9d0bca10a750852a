"""Fills the index with invented studies that have no files, for measuring queries."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from dicom_node.sampleday.sample_index import make


class Command(BaseCommand):
    """`manage.py node sample-index --studies N --instances-per-study M [--seed S]`."""

    help = "Add invented studies without files to the index: for measuring queries, never at work."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--studies", type=int, default=10_000, help="how many studies")
        parser.add_argument("--instances-per-study", type=int, default=10, help="of each, >= 1")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other studies")

    def handle(self, *args: Any, **options: Any) -> None:
        """Add the rows, with a progress bar where standard error is a terminal."""
        studies, instances = options["studies"], options["instances_per_study"]
        bar = tqdm(total=studies, unit="study", disable=not sys.stderr.isatty())
        made = make(studies, max(1, instances), options["seed"], lambda n: bar.update(n - bar.n))
        bar.close()
        self.stdout.write(
            f"{made.studies} studies, {made.series} series, {made.instances} instances"
        )
