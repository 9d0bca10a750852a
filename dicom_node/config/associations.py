"""The DICOM port: its address, who is known there, and the limits of associations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import values
from dicom_node.config.access import IdentityRules, Tls, read_identity, read_tls
from dicom_node.config.values import Peer
from pacs_common.env import Env


@dataclass(frozen=True)
class Associations:
    """Who may associate with the node, where, and how much of it; times in seconds."""

    ae_title: str
    dicom_bind: str
    dicom_port: int
    accept_loopback: bool
    check_called_ae: bool
    peers: dict[str, str]
    destinations: dict[str, Peer]
    max_associations: int
    max_associations_per_peer: int
    scp_processes: int
    idle_s: float
    artim_s: float
    max_pdu_bytes: int
    peer_response_s: float
    tls: Tls
    identity: IdentityRules


def read_associations(env: Env, data_dir: Path) -> Associations:
    """Return these settings; raises SettingError with one line."""
    return Associations(
        ae_title=values.ae_title(
            env.text("PACS_AE_TITLE", "ARGENS", "The node's AE title."), "PACS_AE_TITLE"
        ),
        dicom_bind=env.text("PACS_DICOM_BIND", "127.0.0.1", "Address of the DICOM port."),
        dicom_port=env.integer(
            "PACS_DICOM_PORT", 11112, "Port on which DICOM associations are taken.", high=65535
        ),
        accept_loopback=env.boolean(
            "PACS_ACCEPT_LOOPBACK", False, "Accept any calling AE title from this machine."
        ),
        check_called_ae=env.boolean(
            "PACS_CHECK_CALLED_AE",
            False,
            "Reject associations that call another AE title than PACS_AE_TITLE.",
        ),
        peers=values.peers(
            env.pairs("PACS_PEERS", "", "Calling AE titles that are accepted, with their address."),
            "PACS_PEERS",
        ),
        destinations=values.destinations(
            env.pairs("PACS_MOVE_DESTINATIONS", "", "C-MOVE destinations, AE=host:port."),
            "PACS_MOVE_DESTINATIONS",
        ),
        max_associations=env.integer(
            "PACS_MAX_ASSOCIATIONS", 64, "Associations served at once.", low=1, high=1000
        ),
        max_associations_per_peer=env.integer(
            "PACS_MAX_ASSOCIATIONS_PER_PEER",
            32,
            "Connections served at once for one address, associated or not yet.",
            low=1,
            high=1000,
        ),
        scp_processes=env.integer(
            "PACS_SCP_PROCESSES",
            2,
            "Processes that share the DICOM port; about one a processor.",
            low=1,
            high=64,
        ),
        idle_s=env.number(
            "PACS_DICOM_IDLE_S",
            60.0,
            "Seconds without a byte after which an association is aborted.",
            low=0.1,
            high=86400,
        ),
        artim_s=env.number(
            "PACS_DICOM_ARTIM_S",
            10.0,
            "Seconds within which a new connection must have asked for an association.",
            low=0.1,
            high=3600,
        ),
        max_pdu_bytes=env.integer(
            "PACS_MAX_PDU_BYTES",
            131072,
            "Longest P-DATA PDU that is taken from a peer.",
            low=4096,
            high=1 << 24,
        ),
        peer_response_s=env.number(
            "PACS_PEER_RESPONSE_S",
            60.0,
            "How long a peer that the node called may take for one answer.",
            low=0.1,
            high=86400,
        ),
        tls=read_tls(env),
        identity=read_identity(env, data_dir),
    )
