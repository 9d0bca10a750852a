"""Which image, frame and presentation state an address of a picture names."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_node.dicomweb.frames import frame_numbers
from dicom_node.dicomweb.selection import selected
from dicom_node.models import Instance
from dicom_node.prepared.objects import object_of
from dicom_node.render.presentation import is_state, references
from pacs_common.errors import BadInput, NotFound
from pacs_common.uids import Uid


@dataclass(frozen=True)
class Target:
    """A frame (number from 1, None where none was named) of an image, seen through a state."""

    instance: Instance
    number: int | None = None
    state: Instance | None = None


def targets(
    study_uid: str, series_uid: str, sop_uid: str, numbers: str, state_uid: str
) -> list[Target]:
    """Return what an address asks for: one target, or one for each frame of a list.

    A study or a series is represented by the middle image of the first series that has images. A
    presentation state stands for the images that it is for: its frames count them in its order.
    """
    asked: list[int | None] = [*frame_numbers(numbers)] if numbers else [None]
    state = Uid.parse(state_uid, "presentation") if state_uid else ""
    instance = _instance_at(study_uid, series_uid, sop_uid)
    if is_state(instance.sop_class):
        if state:
            raise BadInput("a presentation state is not seen through another one")
        return [_referenced(instance, number or 1) for number in asked]
    through = _state(study_uid, state) if state else None
    return [Target(instance, number, through) for number in asked]


def _instance_at(study_uid: str, series_uid: str, sop_uid: str) -> Instance:
    found = selected(study_uid, series_uid, sop_uid)
    return found[0] if sop_uid else _representative(found)


def _representative(found: list[Instance]) -> Instance:
    """Return the middle image of the first series that has images."""
    pictured = [instance for instance in found if instance.rows] or found
    first = [instance for instance in pictured if instance.series_id == pictured[0].series_id]
    return first[len(first) // 2]


def _state(study_uid: str, state_uid: str) -> Instance:
    state = _instance(study_uid, state_uid)
    if state is None:
        raise NotFound(f"the presentation state {state_uid} is not in this study")
    if not is_state(state.sop_class):
        raise BadInput(f"{state_uid} is not a presentation state")
    return state


def _referenced(state: Instance, number: int) -> Target:
    """Return the image of a state whose place in it is `number`, from 1, frame by frame."""
    left = number
    for reference in references(object_of(state)):
        image = _instance(state.series.study.uid, reference.sop_uid)
        frames = reference.frames or range(1, ((image.frames if image else None) or 1) + 1)
        if left <= len(frames):
            if image is None:
                raise NotFound("the image of this presentation state is not here")
            return Target(image, frames[left - 1], state)
        left -= len(frames)
    raise NotFound(f"the presentation state shows {number - left} frames, not {number}")


def _instance(study_uid: str, uid: str) -> Instance | None:
    found = Instance.objects.filter(uid=uid, series__study__uid=study_uid)
    return found.select_related("series__study").first()
