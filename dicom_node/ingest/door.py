"""The one way in, for the processes of the HTTP door: one writer each, made at first use."""

from __future__ import annotations

import threading

from dicom_node.config import CONFIG
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Ingest
from dicom_node.store.blobs import ensure_folder
from dicom_node.store.layout import Layout

_LOCK = threading.Lock()
_OPEN: list[tuple[Ingest, IndexWriter]] = []  # none, or one


def opened() -> Ingest:
    """Return this process's way in; made when first asked for, so that no fork inherits it."""
    with _LOCK:
        if not _OPEN:
            layout = Layout(CONFIG.data_dir)
            ensure_folder(layout.objects)
            index = IndexWriter()
            _OPEN.append((Ingest(layout, index, CONFIG.reserve_bytes), index))
        return _OPEN[0][0]


def close() -> None:
    """Write what waits and end the writer's thread; the next `opened` makes another."""
    with _LOCK:
        while _OPEN:
            _OPEN.pop()[1].close()
