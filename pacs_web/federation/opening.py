"""Opens one study: its attributes and series, from the nodes that hold it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from pacs_common.availability import least
from pacs_common.errors import NotFound, PeerUnreachable
from pacs_common.resources import resource_path
from pacs_web.federation import locate
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.fan_out import Failure, Gathered, fan_out
from pacs_web.federation.overlaps import best_of_each
from pacs_web.federation.search import merge
from pacs_web.federation.server import Server, all_shown
from pacs_web.federation.study import Series, Study, series_of, study_of

Clients = Callable[[Collection[str] | None], list[Server]]
SERIES_LIMIT = 1000
INSTANCES_LIMIT = 1000


@dataclass(frozen=True)
class OpenStudy:
    """A study with its series, each from its best node, and the nodes that did not answer."""

    study: Study
    series: list[Series]
    failures: list[Failure]

    def one_series(self, uid: str) -> Series:
        """Return a series of the study; NotFound where no node that answered has it."""
        for series in self.series:
            if series.uid == uid:
                return series
        raise NotFound("no server that answers has this series")


def holders(clients: Clients, study_uid: str, deadline_s: float) -> list[Server]:
    """Return clients of the nodes that hold the study, the best copy first.

    Raises NotFound where all answered and none has it, PeerUnreachable where one that did
    not answer may have it.
    """
    names = locate.known_holders(study_uid)
    if names and (known := clients(names)):
        return known
    opened = open_study(clients, study_uid, deadline_s)
    return sorted(
        clients(opened.study.nodes), key=lambda client: opened.study.nodes.index(client.name)
    )


def open_study(clients: Clients, study_uid: str, deadline_s: float) -> OpenStudy:
    """Ask the nodes that hold the study where all are known, else every node; errors as `holders`.

    What only some nodes said is not enough: a silent one may hold the missing series, and must
    be named.
    """
    names = locate.all_holders(study_uid)
    asked = clients(names or None)
    gathered = _ask(asked, study_uid, deadline_s)
    if names and not any(gathered.answers.values()) and not gathered.failures:
        locate.forget(study_uid)
        names = set()
        asked = clients(None)
        gathered = _ask(asked, study_uid, deadline_s)
    found = merge([study] for answer in gathered.answers.values() for study, _ in answer)
    if not found:
        raise _not_found(gathered)
    study = found[0]
    if not names:
        complete = not gathered.failures and all_shown(asked)
        locate.remember({study_uid: study.nodes}, complete=complete)
    series = best_of_each(
        series for answer in gathered.answers.values() for _, held in answer for series in held
    )
    return OpenStudy(_summed(study, series), series, gathered.failures)


def instances(node: Server, study_uid: str, series_uid: str) -> list[Attributes]:
    """Return the QIDO-RS answers of a series' instances, all pages of them, each once."""
    path = f"{resource_path(study_uid, series_uid)}/instances"
    found: dict[str, Attributes] = {}
    while True:
        page = node.qido(path, {"limit": INSTANCES_LIMIT, "offset": len(found)})
        known = len(found)
        found.update((text(one, "SOPInstanceUID"), one) for one in page)
        if len(page) < INSTANCES_LIMIT or len(found) == known:  # or it keeps to no offset
            return list(found.values())


def _ask(
    nodes: list[Server], study_uid: str, deadline_s: float
) -> Gathered[list[tuple[Study, list[Series]]]]:
    return fan_out(nodes, lambda node: _study_at(node, study_uid), deadline_s)


def _study_at(node: Server, study_uid: str) -> list[tuple[Study, list[Series]]]:
    answers = node.qido("studies", {"StudyInstanceUID": study_uid})
    if not answers:
        return []
    series = node.qido(f"{resource_path(study_uid)}/series", {"limit": SERIES_LIMIT})
    return [(study_of(node.name, answers[0]), [series_of(node.name, one) for one in series])]


def _not_found(gathered: Gathered[object]) -> NotFound | PeerUnreachable:
    if gathered.failures:
        names = ", ".join(failure.node for failure in gathered.failures)
        return PeerUnreachable(f"the exam may lie on {names}, which cannot be asked now")
    return NotFound("no server has this exam")


def _summed(study: Study, series: list[Series]) -> Study:
    """Count what is shown: the series of all nodes, each once."""
    if not series:
        return study
    return replace(
        study,
        series=len(series),
        instances=sum(one.instances for one in series),
        availability=least(one.availability for one in series),
    )
