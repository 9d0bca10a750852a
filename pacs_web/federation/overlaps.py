"""Studies that lie on several servers: what they hold together, by their series, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pacs_common.availability import Availability, least
from pacs_common.resources import resource_path
from pacs_web.federation.dicom_json import TAGS, Attributes, text, values
from pacs_web.federation.fan_out import fan_out
from pacs_web.federation.merging import Row
from pacs_web.federation.server import Server
from pacs_web.federation.study import Series, better, series_of, study_of

MOST_SERIES = 1000
Held = dict[str, list[Series]]  # by study


def resolved(rows: Sequence[Row], servers: Mapping[str, Server], left_s: float) -> list[Row]:
    """Return the rows; where a study has several copies, each copy tells what all hold together.

    Only for such studies the servers are asked for series, all at once. Where one does not answer
    in the time that is left, the best copy's own counts stand. The best copy comes first.
    """
    split = [row for row in rows if len(row.copies) > 1]
    if not split:
        return list(rows)
    asked = {name: [row.place.uid for row in split if name in row.copies] for name in servers}
    told = (
        fan_out(
            [servers[name] for name, uids in asked.items() if uids],
            lambda server: _held(server, asked[server.name]),
            left_s,
        )
        if left_s > 0
        else None
    )
    answers = told.answers if told else {}
    return [_resolved(row, answers) if len(row.copies) > 1 else row for row in rows]


def _held(server: Server, uids: list[str]) -> Held | None:
    """Return the series of studies on one server; None where it has more than it can tell."""
    if server.abilities.keyset_order:
        params = {"StudyInstanceUID": ",".join(uids), "limit": MOST_SERIES}
        found = server.qido("series", params)
        is_cut = len(found) >= MOST_SERIES
    else:
        found, is_cut = [], False
        for uid in uids:
            path, params = f"{resource_path(uid)}/series", {"limit": MOST_SERIES}
            found += [
                {TAGS["StudyInstanceUID"]: _ui(uid), **one} for one in server.qido(path, params)
            ]
    held: Held = {uid: [] for uid in uids}
    for one in found:
        held.setdefault(text(one, "StudyInstanceUID"), []).append(series_of(server.name, one))
    return None if is_cut else held


def _resolved(row: Row, answers: Mapping[str, Held | None]) -> Row:
    names = _best_first(row.copies)
    held = [told.get(row.place.uid) for name in names if (told := answers.get(name))]
    copies = {name: row.copies[name] for name in names}
    series = best_of_each(one for each in held if each for one in each)
    known = [name for name in names if answers.get(name)]
    if known != names or not series:
        return Row(row.place, _united(copies, {}))
    return Row(row.place, _united(copies, _summed(series)))


def _best_first(copies: Mapping[str, Attributes]) -> list[str]:
    names = list(copies)
    studies = {name: study_of(name, copies[name]) for name in names}
    first = names[0]
    for name in names[1:]:
        first = better(studies[first], studies[name]).nodes[0]
    return [first, *(name for name in names if name != first)]


def best_of_each(found: Iterable[Series]) -> list[Series]:
    """Return each series once, as the server with most of it tells it, in their numbers' order."""
    best: dict[str, Series] = {}
    for series in found:
        known = best.get(series.uid)
        if known is None or _worth(series) > _worth(known):
            best[series.uid] = series
    return sorted(best.values(), key=lambda one: (one.number is None, one.number or 0, one.uid))


def _worth(series: Series) -> tuple[int, int]:
    """How good a copy is: by its images first, then by how soon they can be shown."""
    return series.instances, -list(Availability).index(series.availability)


def _united(copies: dict[str, Attributes], summed: dict[str, Any]) -> dict[str, Attributes]:
    """Give the first copy the modalities of all, and what they hold together."""
    first, *_ = copies
    told = [one for copy in copies.values() for one in values(copy, "ModalitiesInStudy")]
    united = {**copies[first], **summed}
    if told:
        united[TAGS["ModalitiesInStudy"]] = {"vr": "CS", "Value": list(dict.fromkeys(told))}
    return {**copies, first: united}


def _summed(series: Sequence[Series]) -> dict[str, Any]:
    counts = {
        "NumberOfStudyRelatedSeries": len(series),
        "NumberOfStudyRelatedInstances": sum(one.instances for one in series),
    }
    summed: dict[str, Any] = {
        TAGS[keyword]: {"vr": "IS", "Value": [count]} for keyword, count in counts.items()
    }
    state = least(one.availability for one in series)
    summed[TAGS["InstanceAvailability"]] = {"vr": "CS", "Value": [str(state)]}
    return summed


def _ui(uid: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [uid]}
