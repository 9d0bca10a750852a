"""The node's DICOM port: binds it, serves associations, and stops cleanly."""

from __future__ import annotations

from django.db import connections
from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.dimse import handlers, receive
from dicom_node.dimse.association import admit, application_entity
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Ingest
from dicom_node.store.layout import Layout


class DicomServer:
    """Serves one address until it is stopped."""

    def __init__(self, layout: Layout, host: str, port: int, *, reserve_bytes: int) -> None:
        self._index = IndexWriter()
        ingest = Ingest(layout, self._index, reserve_bytes)
        self._server: ThreadedAssociationServer = application_entity().start_server(
            (host, port),
            block=False,
            evt_handlers=[
                (evt.EVT_REQUESTED, admit),
                (evt.EVT_C_ECHO, lambda event: receive.SUCCESS),
                (evt.EVT_C_STORE, receive.store, [ingest]),
                (evt.EVT_C_FIND, handlers.find_matches),
                (evt.EVT_C_GET, handlers.get_instances, [layout]),
                (evt.EVT_C_MOVE, handlers.move_instances, [layout]),
                (evt.EVT_RELEASED, _close_connections),
                (evt.EVT_ABORTED, _close_connections),
            ],
        )

    @property
    def port(self) -> int:
        """The port that is really bound (for port 0)."""
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        """End associations, and write what is still waiting for the index."""
        self._server.shutdown()
        self._index.close()


def _close_connections(event: evt.Event) -> None:
    """Each association has a thread of its own, and so database connections of its own."""
    connections.close_all()
