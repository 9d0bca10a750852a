"""A volume that cannot be read is nobody's first choice any more, and somebody must look at it."""

from __future__ import annotations

import logging

from archive_node import alarms, library
from archive_node.models import Alarm
from archive_node.vault.base import MediumFailed, VolumeState
from pacs_common import errors

LOG = logging.getLogger(__name__)
KIND = "volume-suspect"


def suspect(error: MediumFailed) -> None:
    """Mark the volume of a failure as suspect, and raise the alarm; repeating it changes nothing.

    What kind of vault keeps no marks is told by the alarm alone.
    """
    try:
        library.vault(error.vault).mark(error.label, VolumeState.SUSPECT)
    except errors.ArgensError as refusal:
        LOG.warning("volume not marked: %s", refusal, extra={"volume": error.label})
    alarms.raise_alarm(KIND, f"{error.vault}/{error.label}", Alarm.Level.CRITICAL, str(error))
