"""What somebody must look at: rows from beginning to end, and those who are told of them.

A text names nodes, vaults, volumes, jobs and UIDs, never a patient: it is sent by mail.
"""

from archive_node.alarms.rows import acknowledge, end_alarm, end_others, raise_alarm
from archive_node.alarms.telling import tell_all

__all__ = ["acknowledge", "end_alarm", "end_others", "raise_alarm", "tell_all"]
