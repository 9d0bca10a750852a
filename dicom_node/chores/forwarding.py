"""Sending on: arrivals meet the rules, and each destination has a thread that empties its queue."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dicom_node.chores.lanes import GoesOn, Lanes
from dicom_node.config import CONFIG
from dicom_node.dimse.association.status import code_of
from dicom_node.dimse.scu import remote, send
from dicom_node.dimse.scu.delivery import Delivered
from dicom_node.forwarding import queue, routing
from dicom_node.forwarding.rules import Rule
from dicom_node.forwarding.rules_file import RulesFile
from dicom_node.index import wanted
from dicom_node.models import Forward, Instance
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, BadInput

LOG = logging.getLogger(__name__)
OUT_OF_RESOURCES = 0xA7  # PS3.4 B.2.3: 0xA7xx


class Forwarding:
    """Starts what is due, in lanes."""

    def __init__(self, layout: Layout, lanes: Lanes) -> None:
        self._layout, self._lanes = layout, lanes
        self._rules = RulesFile(layout.forwarding_rules)
        self._zone = ZoneInfo(CONFIG.time_zone)
        self._unfinished: set[str] = set()  # destinations whose thread runs, or failed

    def look(self) -> None:
        """Start the rules where arrivals wait, and each destination that can be sent to."""
        self._reclaim()
        try:
            rules = self._rules.current()
        except BadInput:  # logged when it was read; arrivals wait for a file that can be
            rules = None
        if rules is not None and routing.waits():
            self._lanes.start("rules", "", lambda goes_on: self._route(rules, goes_on))
        for destination in queue.due_destinations(self._closed()):
            self._lanes.start("send", destination, self._sender(destination))

    def _reclaim(self) -> None:
        """Give back what a thread had claimed when the database left it."""
        for destination in sorted(self._unfinished):
            if not self._lanes.is_running("send", destination):
                queue.reclaim(destination)
                self._unfinished.discard(destination)

    def _route(self, rules: Sequence[Rule], goes_on: GoesOn) -> None:
        while goes_on() and routing.route(rules, self._zone, self._layout):
            pass

    def _sender(self, destination: str):
        return lambda goes_on: self._empty(destination, goes_on)

    def _empty(self, destination: str, goes_on: GoesOn) -> None:
        self._unfinished.add(destination)
        while goes_on() and (rows := queue.claim(destination, self._closed())):
            if not send_batch(self._layout, destination, rows, goes_on):
                break
        self._unfinished.discard(destination)

    def _closed(self) -> list[str] | None:
        try:
            rules = self._rules.current()
        except BadInput:
            return None
        now = datetime.now(self._zone)
        return [rule.name for rule in rules if not rule.may_send(now)]


def send_batch(layout: Layout, destination: str, rows: Sequence[Forward], goes_on: GoesOn) -> bool:
    """Send claimed rows over one association; every row leaves settled or back in the queue.

    Returns false where the destination is away.
    """
    left = {row.uid: row for row in rows}
    try:
        _settle_absent(left)
        return _send_online(layout, destination, left, goes_on)
    finally:
        queue.put_back(left.values())


def _settle_absent(left: dict[str, Forward]) -> None:
    """Ask the archive for what was evicted meanwhile; what is not in the index cannot be sent."""
    found = {
        i.uid: i for i in Instance.objects.filter(uid__in=left).select_related("series__study")
    }
    away = [i for i in found.values() if i.availability != Availability.ONLINE]
    if away:
        wanted.note_absence(away, f"forwarding to {left[away[0].uid].destination}")
    for uid in [uid for uid in left if uid not in found]:
        queue.settle_refused(left.pop(uid), None, "it is not in the index", is_final=True)
    for instance in away:
        queue.put_off(left.pop(instance.uid), "waits for its recall", queue.RECALL_PAUSE)


def _send_online(
    layout: Layout, destination: str, left: dict[str, Forward], goes_on: GoesOn
) -> bool:
    if not left:
        return True
    found = Instance.objects.filter(uid__in=list(left)).order_by("id")
    try:
        results = send.instances(found, layout, remote.known(destination))
        for result in results:
            if result.is_lost:
                queue.note_away(destination, result.reason)
                return False
            row = left.pop(result.item.uid, None)
            if row is not None:
                _settle(row, result)
            if not goes_on():
                results.close()
                return True
    except ArgensError as error:
        LOG.warning("not forwarded: %s", error, extra={"destination": destination})
        queue.note_away(destination, str(error))
        return False
    queue.note_reached(destination)
    return True


def _settle(row: Forward, result: Delivered) -> None:
    if result.is_taken:
        queue.settle_sent(row, result.status or 0)
        return
    if result.status is None:
        queue.put_off(row, result.reason)
        return
    why = f"{code_of(result.status)} {result.reason}".strip()
    if result.status >> 8 == OUT_OF_RESOURCES:  # a full disk says nothing against the instance
        queue.put_off(row, why, status=result.status)
    else:
        queue.settle_refused(row, result.status, why)
