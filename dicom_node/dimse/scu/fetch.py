"""The node as SCU of C-GET (PS3.4 C.4.3): what a peer sends back lands by the node's own way in.

For a PACS that cannot, or may not, open associations to us.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts

from dicom_node import peers
from dicom_node.config import CONFIG
from dicom_node.dimse.association import command as commands
from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.association.offers import GET, QUERY_SYNTAXES
from dicom_node.dimse.scp.receive import store
from dicom_node.dimse.scu.ask import Asking, Progress
from dicom_node.dimse.scu.remote import Remote
from dicom_node.ingest.ingest import Ingest
from dicom_node.peers import Grant

_JPEG_FAMILY = "1.2.840.10008.1.2.4."
# The peer chooses one syntax of each context, without knowing what it will have to send in it:
# so the compressed ones stand in contexts of their own, of the image classes that use them.
_LOSSLESS = (*(f"{_JPEG_FAMILY}{n}" for n in (70, 57, 80, 90)), "1.2.840.10008.1.2.5")
_LOSSY = tuple(f"{_JPEG_FAMILY}{n}" for n in (50, 51, 81, 91))
_IMAGES = [
    f"1.2.840.10008.5.1.4.1.1.{n}"
    for n in (
        "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "2", "2.1", "3.1", "4", "4.1", "6.1", "7",
        "7.2", "7.4", "12.1", "12.2", "20", "77.1.4", "77.1.5.1", "128", "481.1",
    )
]  # fmt: skip
MAX_CONTEXTS = 128 - len(GET)


def proposals() -> list[Proposal]:
    """Return the storage contexts of a C-GET: images in their syntaxes first, then all that fit.

    Private classes may be images: they stand among them.
    """
    first = [*CONFIG.private_classes, *_IMAGES]
    others = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    wanted = [(uid, syntaxes) for syntaxes in (QUERY_SYNTAXES, _LOSSLESS, _LOSSY) for uid in first]
    wanted += [(uid, QUERY_SYNTAXES) for uid in others if uid not in _IMAGES]
    found = [Proposal(uid, syntaxes, scu=False, scp=True) for uid, syntaxes in wanted]
    return found[:MAX_CONTEXTS]


def get(remote: Remote, named: Dataset, ingest: Ingest) -> Iterator[Progress]:
    """Take instances from a peer by C-GET; yield its answers, the last too.

    Each object is answered only when it is durable and can be found. Raises PeerUnreachable, or
    PeerFailed where the peer refuses the whole.
    """
    with Asking(remote, GET, named, commands.C_GET, proposals()) as asking:
        asking.conversation.grant = _grant(remote)
        for message in asking.answers():
            if message.command["CommandField"] == commands.C_STORE:
                store(asking.conversation, message, ingest)
                continue
            progress = asking.progress(message)
            yield progress
            if progress.is_final:
                return


def _grant(remote: Remote) -> Grant:
    """Return how objects of a peer that we asked are taken: as if it had sent them."""
    known = peers.current().peers.get(remote.ae_title) or peers.Peer(remote.ae_title)
    return Grant(
        echo=False,
        store=True,
        query=False,
        retrieve=False,
        commit=False,
        fallback_charset=known.charset,
        non_patient_objects=known.non_patient_objects,
    )
