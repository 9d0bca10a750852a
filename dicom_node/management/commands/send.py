"""`manage.py node send HOST PORT PATH...`: C-STORE files to a peer, with a progress bar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from dicom_node.config import CONFIG
from dicom_node.dimse import send
from pacs_common.errors import PeerUnreachable


class Command(BaseCommand):
    help = "Send DICOM files, or all files below folders, by C-STORE."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the peer and the files."""
        parser.add_argument("host")
        parser.add_argument("port", type=int)
        parser.add_argument("paths", nargs="+", type=Path)
        parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
        parser.add_argument("--calling", default=CONFIG.ae_title, help="our AE title")

    def handle(self, host: str, port: int, paths: list[Path], **options: str) -> None:
        """Send, and fail with a line for each file that was not taken."""
        files = list(_files(paths))
        if not files:
            raise CommandError("no files there to send")
        called, calling = options["called"], options["calling"]
        results = send.store(files, host, port, called_ae=called, calling_ae=calling)
        failed = []
        try:
            for sent in tqdm(results, f"to {called}", len(files), unit="img", file=sys.stderr):
                if sent.status is None or not _is_taken(sent.status):
                    failed.append(sent)
        except PeerUnreachable as error:
            raise CommandError(str(error)) from None
        for sent in failed:
            code = "" if sent.status is None else f"0x{sent.status:04X} "
            self.stderr.write(f"{sent.path}: {code}{sent.reason}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(files)} files were not taken")
        self.stdout.write(f"{len(files)} files sent to {called}")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} does not exist")
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def _is_taken(status: int) -> bool:
    return status == 0x0000 or status in (0xB000, 0xB006, 0xB007)  # PS3.4 B.2.3: warnings
