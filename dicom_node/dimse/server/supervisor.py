"""The DICOM port over several processes: one binds it, the others inherit it and share limits.

The children are forked from a process that has everything imported, so they share its memory;
it has no thread and no database connection open when it forks.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import Event
from multiprocessing.synchronize import Event as SharedEvent

from django.db import connections

from dicom_node.config import CONFIG
from dicom_node.dimse.association.offers import offered
from dicom_node.dimse.server.port import DicomServer, Listener
from dicom_node.dimse.server.slots import Slots
from dicom_node.index import checkpoint
from dicom_node.store.layout import Layout
from pacs_common.processes import StopSignals, die_with

LOG = logging.getLogger(__name__)
STOP_TIMEOUT_S = 8.0  # less than the node's supervisor gives us
RESTART_DELAY_S = 0.5
POLL_S = 0.2
KEEPER = 0  # the process that also keeps the checkpoint


class Supervisor:
    """Runs the SCP processes, and starts again what dies."""

    def __init__(self, layout: Layout, listeners: Sequence[Listener]) -> None:
        self._layout = layout
        self._listeners = listeners
        self._slots = Slots(
            CONFIG.scp_processes, CONFIG.max_associations, CONFIG.max_associations_per_peer
        )
        self._in_doubt: SharedEvent = Event()
        self._running: dict[int, int] = {}  # pid -> number

    def run(self, asked_to_stop: Callable[[float], bool]) -> None:
        """Serve until `asked_to_stop(wait_s)` says so; then end the processes cleanly."""
        offered()  # a tenth of a second once, not in each process
        connections.close_all()
        gc.collect()
        gc.freeze()  # what is shared stays shared
        for number in range(CONFIG.scp_processes):
            self._start(number)
        while not asked_to_stop(POLL_S):
            for number in self._dead():
                LOG.error("an SCP process died; it is started again", extra={"number": number})
                self._slots.clear(number)
                self._in_doubt.set()  # files may lack their rows, or rows their answer
                if asked_to_stop(RESTART_DELAY_S):
                    self._stop()
                    return
                self._start(number)
        self._stop()

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = number
            return
        status = 1
        try:
            die_with(parent)
            self._work(number)
            status = 0
        except BaseException:  # nothing of the parent's stack may run on in the child
            LOG.exception("an SCP process failed")
        finally:
            os._exit(status)

    def _work(self, number: int) -> None:
        stop_signals = StopSignals()
        server = DicomServer(
            self._layout,
            self._listeners,
            reserve_bytes=CONFIG.reserve_bytes,
            slots=self._slots,
            process=number,
        )
        if number == KEEPER:
            checkpoint.keep(self._layout, stop_signals.arrive_within, self._lost_a_process)
        else:
            stop_signals.wait()
        server.stop()

    def _lost_a_process(self) -> bool:
        """True once for the deaths since it was asked last."""
        if not self._in_doubt.is_set():
            return False
        self._in_doubt.clear()
        return True

    def _dead(self) -> list[int]:
        found = []
        for pid, number in list(self._running.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._running[pid]
                found.append(number)
        return found

    def _stop(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._running and time.monotonic() < deadline:
            self._dead()
            time.sleep(0.02)
        for pid in self._running:
            LOG.error("an SCP process did not stop and is killed")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
