"""`manage.py node send HOST PORT PATH...` (or `--to AE_TITLE PATH...`): C-STORE files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from dicom_node.dimse.association.status import code_of
from dicom_node.dimse.scu import send
from dicom_node.dimse.scu.delivery import Delivered
from dicom_node.management import peer_arguments


class Command(BaseCommand):
    help = "Send DICOM files, or all files below folders, by C-STORE."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the peer and the files."""
        parser.add_argument("words", nargs="+", help=f"{peer_arguments.USAGE}; then PATH...")
        peer_arguments.add(parser)

    def handle(self, words: list[str], **options: Any) -> None:
        """Send, and fail with a line for each file that was not taken."""
        remote, paths = peer_arguments.named(words, options)
        files = list(_files([Path(path) for path in paths]))
        if not files:
            raise CommandError("no files there to send")
        failed: list[Delivered] = []
        results = send.files(files, remote)
        for sent in tqdm(results, f"to {remote.ae_title}", len(files), unit="img", file=sys.stderr):
            if sent.is_lost:
                raise CommandError(sent.reason)
            if not sent.is_taken:
                failed.append(sent)
        for sent in failed:
            code = "" if sent.status is None else f"{code_of(sent.status)} "
            self.stderr.write(f"{sent.item.path}: {code}{sent.reason}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(files)} files were not taken")
        self.stdout.write(f"{len(files)} files sent to {remote.ae_title}")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} does not exist")
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path
