"""Asks several nodes the same at once, under one deadline.

A node that is down, slow or broken becomes a named failure; it never hides or delays the
others' answers beyond the deadline.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from django.utils.translation import gettext as _

from pacs_common.errors import ArgensError, PeerUnreachable

LOG = logging.getLogger(__name__)
TOGETHER_S = 0.15


class Named(Protocol):
    """A node's client, as far as this module needs to know it."""

    name: str


N = TypeVar("N", bound=Named)
A = TypeVar("A")


@dataclass(frozen=True)
class Failure:
    """Why a node gave no answer: a reason for people, and the detail for IT."""

    node: str
    reason: str
    detail: str = ""
    error: ArgensError | None = None


@dataclass(frozen=True)
class Gathered(Generic[A]):
    """The answers by node name and the failures, both in the order of the nodes asked."""

    answers: dict[str, A] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def refusal(self) -> ArgensError | None:
        """Return why nobody answered: what the nodes refused, else who is silent; None if one did.

        An empty success would say that there is nothing, which nobody has said.
        """
        if self.answers or not self.failures:
            return None
        refused = [one.error for one in self.failures if one.error and one.error.http_status < 500]
        names = ", ".join(failure.node for failure in self.failures)
        return refused[0] if refused else PeerUnreachable(f"no answer from {names}")

    def failure_of(self, name: str) -> Failure | None:
        """Return why the node `name` gave no answer, or None."""
        return next((failure for failure in self.failures if failure.node == name), None)


def fan_out(nodes: Sequence[N], ask: Callable[[N], A], deadline_s: float) -> Gathered[A]:
    """Call `ask` with each node in a thread of its own; give up at the deadline.

    `ask` runs outside the request's thread and must not touch the database. What is still
    under way at the deadline ends by its own time-out; nobody waits for it.
    """
    futures = _asked(nodes, ask)
    wait(futures.values(), timeout=deadline_s)
    return _gathered(futures, deadline_s)


def arrivals(nodes: Sequence[N], ask: Callable[[N], A], deadline_s: float) -> Iterator[Gathered[A]]:
    """Do the same, and yield all that is known each time that answers came.

    The first answer is told at once; those that follow within moments are told together, since
    whoever shows them does so anew each time. The last that is yielded tells of every node.
    """
    futures = _asked(nodes, ask)
    ends_at = time.monotonic() + deadline_s
    waiting, patience_s = set(futures.values()), 0.0
    while waiting:
        came, waiting = wait(waiting, ends_at - time.monotonic(), FIRST_COMPLETED)
        if not came:
            yield _gathered(futures, deadline_s)
            return
        left_s = min(patience_s, ends_at - time.monotonic())
        waiting = wait(waiting, left_s).not_done if waiting and left_s > 0 else waiting
        heard = {name: future for name, future in futures.items() if future not in waiting}
        yield _gathered(heard, deadline_s)
        patience_s = TOGETHER_S


def _asked(nodes: Sequence[N], ask: Callable[[N], A]) -> dict[str, Future[A]]:
    """Begin to ask; a pool that is shut down takes no more, and lets end what was begun."""
    if not nodes:
        return {}
    pool = ThreadPoolExecutor(max_workers=len(nodes), thread_name_prefix="fan-out")
    futures = {node.name: pool.submit(contextvars.copy_context().run, ask, node) for node in nodes}
    pool.shutdown(wait=False)
    return futures


def _gathered(futures: dict[str, Future[A]], deadline_s: float) -> Gathered[A]:
    gathered: Gathered[A] = Gathered()
    for name, future in futures.items():
        _collect(name, future, gathered, deadline_s)
    return gathered


def _collect(name: str, future: Future[A], gathered: Gathered[A], deadline_s: float) -> None:
    if not future.done() or future.cancelled():
        reason = _("no answer within %(seconds)g s") % {"seconds": deadline_s}
        gathered.failures.append(Failure(name, reason))
        return
    try:
        gathered.answers[name] = future.result()
    except Exception as error:  # the edge: whatever one node does, the others' answers are shown
        known = error if isinstance(error, ArgensError) else None
        gathered.failures.append(Failure(name, _reason(error), str(error), known))
        if known is None:
            LOG.exception("a node's answer could not be used", extra={"node": name})


def _reason(error: Exception) -> str:
    if isinstance(error, PeerUnreachable):
        if "in time" in str(error):
            return _("does not answer in time")
        return _("cannot be reached")
    if isinstance(error, ArgensError):
        return _("refused the question (%(title)s)") % {"title": error.title}
    return _("gave an answer that cannot be read")
