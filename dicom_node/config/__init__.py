"""The node's settings, read once from the environment; nonsense is refused at start."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_node.config.associations import Associations, read_associations
from dicom_node.config.node import Node, read_node
from dicom_node.config.renditions import Keeping, Renditions, read_renditions
from dicom_node.config.rescue import Rescue, read_rescue
from dicom_node.config.storage import Storage, read_storage
from dicom_node.config.storing import Storing, read_storing
from dicom_node.config.transfers import Transfers, read_transfers
from dicom_node.config.values import Peer
from dicom_node.config.web import Web, read_web
from pacs_common.backup.setting import Backups, read_backups
from pacs_common.env import Env

__all__ = ["CONFIG", "ENV", "Keeping", "NodeConfig", "Peer", "read"]


@dataclass(frozen=True)
class NodeConfig(Backups, Rescue, Web, Renditions, Storing, Transfers, Storage, Associations, Node):
    """Everything that a node is told; sizes in bytes, times in seconds."""


def read(env: Env) -> NodeConfig:
    """Return the node's configuration; raises SettingError with one line."""
    node = read_node(env)
    return NodeConfig(
        **vars(node),
        **vars(read_associations(env, node.data_dir)),
        **vars(read_storage(env)),
        **vars(read_storing(env)),
        **vars(read_renditions(env)),
        **vars(read_transfers(env)),
        **vars(read_web(env)),
        **vars(read_rescue(env)),
        **vars(read_backups(env, "node")),
    )


ENV = Env()
CONFIG = read(ENV)
