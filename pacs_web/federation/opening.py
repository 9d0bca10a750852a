"""Opens one study: its attributes and series, from the nodes that hold it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from pacs_common.availability import least
from pacs_common.errors import NotFound, PeerUnreachable
from pacs_common.node_client import NodeClient
from pacs_web.federation import locate
from pacs_web.federation.dicom_json import Attributes
from pacs_web.federation.fan_out import Failure, Gathered, fan_out
from pacs_web.federation.search import merge
from pacs_web.federation.study import Series, Study, series_of, study_of

Clients = Callable[[Collection[str] | None], list[NodeClient]]
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


def holders(clients: Clients, study_uid: str, deadline_s: float) -> list[NodeClient]:
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
    gathered = _ask(clients(names or None), study_uid, deadline_s)
    if names and not any(gathered.answers.values()) and not gathered.failures:
        locate.forget(study_uid)
        names = set()
        gathered = _ask(clients(None), study_uid, deadline_s)
    found = merge([study] for answer in gathered.answers.values() for study, _ in answer)
    if not found:
        raise _not_found(gathered)
    study = found[0]
    if not names:
        locate.remember({study_uid: study.nodes}, complete=not gathered.failures)
    series = _best_of_each(
        series for answer in gathered.answers.values() for _, held in answer for series in held
    )
    return OpenStudy(_summed(study, series), series, gathered.failures)


def instances(node: NodeClient, study_uid: str, series_uid: str) -> list[Attributes]:
    """Return the QIDO-RS answers of a series' instances, all pages of them."""
    path = f"studies/{study_uid}/series/{series_uid}/instances"
    found: list[Attributes] = []
    while True:
        page = node.qido(path, {"limit": INSTANCES_LIMIT, "offset": len(found)})
        found += page
        if len(page) < INSTANCES_LIMIT:
            return found


def _ask(
    nodes: list[NodeClient], study_uid: str, deadline_s: float
) -> Gathered[list[tuple[Study, list[Series]]]]:
    return fan_out(nodes, lambda node: _study_at(node, study_uid), deadline_s)


def _study_at(node: NodeClient, study_uid: str) -> list[tuple[Study, list[Series]]]:
    answers = node.qido("studies", {"StudyInstanceUID": study_uid})
    if not answers:
        return []
    series = node.qido(f"studies/{study_uid}/series", {"limit": SERIES_LIMIT})
    return [(study_of(node.name, answers[0]), [series_of(node.name, one) for one in series])]


def _not_found(gathered: Gathered[object]) -> NotFound | PeerUnreachable:
    if gathered.failures:
        names = ", ".join(failure.node for failure in gathered.failures)
        return PeerUnreachable(f"the exam may lie on {names}, which cannot be asked now")
    return NotFound("no server has this exam")


def _best_of_each(found: Iterable[Series]) -> list[Series]:
    best: dict[str, Series] = {}
    for series in found:
        known = best.get(series.uid)
        if known is None or series.instances > known.instances:
            best[series.uid] = series
    return sorted(best.values(), key=lambda one: (one.number is None, one.number or 0, one.uid))


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
