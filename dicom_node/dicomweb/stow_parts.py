"""The objects of one request: received one after the other, made durable side by side."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import connections

from dicom_node import measures
from dicom_node.custody.reject import NODE, apply_note
from dicom_node.custody.reject_note import KEY_OBJECTS
from dicom_node.dicomweb.selection import LAYOUT
from dicom_node.dicomweb.stow_answer import Account, Failed, Kept
from dicom_node.dicomweb.stow_body import media_type
from dicom_node.dicomweb.stow_object import ObjectPart
from dicom_node.index.away import asking_the_index
from dicom_node.ingest.ingest import Incoming, Ingest, Origin, Outcome
from pacs_common.errors import ArgensError, BadInput

LOG = logging.getLogger(__name__)
DICOM = "application/dicom"
THREADS = 8  # whose syncs and rows share the writer's batches
WAITING = 64  # objects that are whole and not durable yet: each holds a file open
MAX_SUBJECT_CHARS = 200


class Objects:
    """Takes the PS3.10 parts of one request; a context manager that leaves no thread behind.

    A rejection note hides what it names where its sender `may_reject`.
    """

    def __init__(self, ingest: Ingest, study: str, subject: str, *, may_reject: bool) -> None:
        self._ingest, self._may_reject = ingest, may_reject
        self._study, self._subject = study, subject[:MAX_SUBJECT_CHARS]
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stow")
        self._room = threading.BoundedSemaphore(WAITING)
        self._accounts: list[Account | Future[Account]] = []
        self._part: ObjectPart | None = None
        self._lock = threading.Lock()
        self.tally: Counter[tuple[str, str]] = Counter()  # of (study, outcome)

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._part is not None and self._part.incoming is not None:
            self._part.incoming.abandon()
        self._pool.shutdown()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Begin the next object; a part of another media type fails."""
        self._part = ObjectPart(self.opened)
        kind = headers.get("content-type", DICOM)
        try:
            if media_type(kind).name != DICOM:
                raise BadInput(f"a part of {kind[:80]} stands among DICOM objects")
        except BadInput as error:
            self._part.fail(error)

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the object."""
        if self._part is None:
            return
        try:
            self._part.write(chunk)
        except Exception:  # the edge of STOW-RS: a fault of ours costs one object, not the body
            LOG.exception("STOW-RS failed")
            self._part.fail(ArgensError("internal error; see the node's log"))

    def end(self) -> None:
        """Settle the object, while the next one comes."""
        part, self._part = self._part, None
        if part is None:
            return
        part.end()
        if part.failure is not None or part.incoming is None:
            self.fail(*part.named, part.failure or BadInput("no object"))
        else:
            self.settle(part.incoming, part.named)

    def opened(self, sop_class: str, transfer_syntax: str) -> Incoming:
        """Return a file for an object of this class, as the caller of this request stores it."""
        origin = Origin(
            transfer_syntax,
            affected_class=sop_class,
            study=self._study,
            stored_by=self._subject,
        )
        return self._ingest.begin(origin)

    def settle(self, incoming: Incoming, named: tuple[str, str]) -> None:
        """Make a whole object durable, side by side with others."""
        self._room.acquire()
        self._accounts.append(self._pool.submit(self._settled, incoming, named))

    def fail(self, sop_class: str, uid: str, error: ArgensError) -> None:
        """Note an object of which nothing is kept."""
        LOG.warning("STOW-RS refused an object: %s", error, extra={"sop_instance_uid": uid})
        measures.received(measures.STOW_RS, "refused")
        self._accounts.append(Failed(sop_class, uid, error))

    def break_off(self, error: ArgensError) -> None:
        """Note that the body ended in the middle of an object, or of nothing."""
        part, self._part = self._part, None
        if part is not None:
            part.fail(error)
        self.fail(*(part.named if part is not None else ("", "")), error)

    def accounts(self) -> list[Account]:
        """Return what became of each part, in their order, once all that is kept is durable."""
        return [one.result() if isinstance(one, Future) else one for one in self._accounts]

    def _settled(self, incoming: Incoming, named: tuple[str, str]) -> Account:
        try:
            result = incoming.finish()
            with self._lock:
                self.tally[str(result.identity.study), result.outcome.value] += 1
            if result.outcome is Outcome.QUARANTINED:
                told = {"sop_instance_uid": result.identity.instance}
                LOG.warning("object quarantined: %s", result.reason, extra=told)
            elif result.identity.sop_class == KEY_OBJECTS and self._may_reject:
                with asking_the_index():
                    apply_note(LAYOUT, result.identity.instance, NODE, self._subject)
            return Kept.of(result)
        except ArgensError as error:
            LOG.warning("STOW-RS refused an object: %s", error)
            measures.received(measures.STOW_RS, "refused")
            found = incoming.named
            return Failed(*(found if all(found) else named), error)
        except Exception:  # the same edge: the caller hears of every object
            LOG.exception("STOW-RS failed")
            return Failed(*named, ArgensError("internal error; see the node's log"))
        finally:
            incoming.abandon()
            connections.close_all()  # this thread's, if it asked the index at all
            self._room.release()
