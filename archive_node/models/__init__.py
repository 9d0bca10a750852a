"""The archive's catalogue: jobs, copies, plans, what operators decided, what nodes last said."""

from archive_node.models.alarms import Alarm
from archive_node.models.audit import AuditLine
from archive_node.models.catalogue import CopiedInstance, Copy, KnownVault, MountRequest, Proof
from archive_node.models.evictions import EvictionList, ListedStudy, Plan
from archive_node.models.facts import DayOfDisk, NodeState, StudyFacts
from archive_node.models.jobs import Job
from archive_node.models.policy import Hold, NodePolicy, Rule, Window

__all__ = [
    "Alarm",
    "AuditLine",
    "CopiedInstance",
    "Copy",
    "DayOfDisk",
    "EvictionList",
    "Hold",
    "Job",
    "KnownVault",
    "ListedStudy",
    "MountRequest",
    "NodePolicy",
    "NodeState",
    "Plan",
    "Proof",
    "Rule",
    "StudyFacts",
    "Window",
]
