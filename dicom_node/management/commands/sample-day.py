"""Writes a made "Fréjus day" of DICOM files: CT, fluoroscopy and computed radiography."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from dicom_node.sampleday.day import make_day
from dicom_node.sampleday.plan import MAX_SCALE


class Command(BaseCommand):
    """`manage.py node sample-day --out DIR [--scale N] [--seed S] [--date YYYYMMDD]`."""

    help = "Write a made day of DICOM files: at scale 1, 480 CT, 70 RF and 215 CR images."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--out", type=Path, required=True, help="folder to write to")
        parser.add_argument("--scale", type=_scale, default=1.0, help="1 is the full day")
        parser.add_argument("--seed", type=_seed, default=1, help="another seed, other patients")
        parser.add_argument("--date", type=_date, default=None, help="YYYYMMDD (default: today)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the day, with a progress bar where standard error is a terminal."""
        bar = tqdm(unit="file", desc="sample day", disable=not sys.stderr.isatty())

        def show(written: int, total: int) -> None:
            bar.total = total
            bar.update(written - bar.n)

        out: Path = options["out"]
        try:
            paths = make_day(out, options["scale"], options["seed"], options["date"], show)
        except OSError as error:
            raise CommandError(f"cannot write to {out}: {error.strerror or error}") from None
        finally:
            bar.close()
        self.stdout.write(f"{len(paths)} files in {out}")


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < scale <= MAX_SCALE:
        raise ArgumentTypeError(f"{text} is not above 0 and at most {MAX_SCALE:g}")
    return scale


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a date as YYYYMMDD") from None
