"""Compresses each file once, beside itself: no answer is compressed while somebody waits."""

from __future__ import annotations

import gzip
from pathlib import Path

import brotli

KINDS = {".js", ".css", ".wasm", ".svg", ".json"}
BROTLI_QUALITY = 9  # 11 saves a few per cent more and takes ten times as long


def compress(tree: Path) -> None:
    """Write `NAME.gz` and `NAME.br` beside each file of `tree` that gets smaller by it."""
    for path in sorted(tree.rglob("*")):
        if path.suffix not in KINDS or not path.is_file():
            continue
        content = path.read_bytes()
        made = {".gz": gzip.compress(content, 9, mtime=0)}
        made[".br"] = brotli.compress(content, quality=BROTLI_QUALITY)
        for suffix, smaller in made.items():
            if len(smaller) < len(content):
                path.with_name(path.name + suffix).write_bytes(smaller)
