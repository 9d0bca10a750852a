"""Which SOP classes and transfer syntaxes a node offers and proposes, in which contexts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pydicom.uid import UID
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_node.dimse.association import acceptor, offers
from dicom_node.dimse.scu import encoding, fetch
from docs.conformance.markdown import table

NAMES = {
    str(uid): re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) for name, uid in _STORAGE_CLASSES.items()
}


def name_of(uid: str) -> str:
    """Return the name of a SOP class or transfer syntax."""
    name = UID(uid).name
    return NAMES.get(str(uid), name) if name == uid else name


def _classes(uids: Iterable[str], scu: str = "yes", scp: str = "yes") -> str:
    rows = sorted((name_of(uid), str(uid), scu, scp) for uid in uids)
    return table(["SOP class", "UID", "SCU", "SCP"], rows)


def syntaxes() -> str:
    """The stored transfer syntaxes in the order of preference."""
    numbered = enumerate(offers.STORED_SYNTAXES, start=1)
    return table(
        ["order", "transfer syntax", "UID"], [[n, name_of(uid), uid] for n, uid in numbered]
    )


def transcodings() -> str:
    """In which syntaxes an object may leave, by the one in which it is stored (their numbers)."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, uid in enumerate(offers.STORED_SYNTAXES, start=1):
        others = tuple(syntax for syntax in encoding.candidates(uid) if syntax != uid)
        groups.setdefault(others, []).append(number)
    rows = [
        [_runs(stored), ", else ".join(map(name_of, others)) or "nothing else"]
        for others, stored in groups.items()
    ]
    return table(["stored in (order of table 7-1)", "else sent in"], rows)


def _runs(numbers: list[int]) -> str:
    """Return sorted numbers as people list them: "3 to 8, 10"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def accepted_contexts() -> str:
    """Presentation contexts that are accepted; the storage classes are one row."""
    rows = []
    for (uids, both_roles), classes in _grouped(offers.offered().values()).items():
        several = "all of table 7-1, in its order" if len(uids) > 5 else "; ".join(map(_full, uids))
        roles = "SCP; SCU by role selection" if both_roles else "SCP"
        listed = ["all of tables 1-1 to 1-3"] if len(classes) > 20 else map(_full, classes)
        rows += [[one, several, roles] for one in listed]
    return table(["abstract syntax", "transfer syntaxes", "role of the node"], rows)


def _grouped(offers: Iterable[acceptor.Offer]) -> dict[tuple[tuple[str, ...], bool], list[str]]:
    found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for offer in offers:
        found.setdefault((offer.syntaxes, offer.both_roles), []).append(offer.sop_class)
    return found


def _full(uid: str) -> str:
    return f"{name_of(uid)} ({uid})"


def get_contexts() -> str:
    """The storage contexts that the node proposes as the SCU of C-GET."""
    contexts: dict[str, list[tuple[str, ...]]] = {}
    for proposal in fetch.proposals():
        contexts.setdefault(proposal.sop_class, []).append(proposal.syntaxes)
    alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for sop_class, syntaxes_of in contexts.items():
        alike.setdefault(tuple(syntaxes_of), []).append(sop_class)
    rows = []
    for each, classes in alike.items():
        listed = "; ".join(map(name_of, classes))
        if len(classes) > 30:
            listed = f"{len(classes)} further ones of table 1-1, from its beginning by UID order"
        rows += [[listed, " ; ".join(map(name_of, one))] for one in each[:1]]
        rows += [["the same, another context", "; ".join(map(name_of, one))] for one in each[1:]]
    return table(["abstract syntaxes", "transfer syntaxes of the context"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "current storage": lambda: _classes(offers.CURRENT_STORAGE),
    "retired storage": lambda: _classes(offers.RETIRED_STORAGE),
    "non-patient storage": lambda: _classes(offers.NON_PATIENT_STORAGE, "no", "where allowed"),
    "query classes": lambda: _classes([*offers.FIND, *offers.RETRIEVE]),
    "syntaxes": syntaxes,
    "transcodings": transcodings,
    "accepted contexts": accepted_contexts,
    "get contexts": get_contexts,
}
