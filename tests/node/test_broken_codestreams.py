"""Damaged codestreams end in a refusal or in a frame, never in a crash, a hang or much memory."""

import json
import subprocess
import sys

import numpy as np
import pytest

from dicom_node.render import pixels
from pacs_common.errors import CannotRender
from tests.node.codestreams_made import SYNTAXES, made, tried
from tests.node.render_images import compressed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
FEW, MANY = 40, 1500


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_codestream_that_is_cut_off_is_refused(syntax):
    for ds, stream in made(syntax):
        whole = pixels.stored_frame(compressed(ds, syntax, [stream]), 0)
        for share in (0.1, 0.5, 0.9, 0.97):
            cut = compressed(ds, syntax, [stream[: int(len(stream) * share)]])
            with pytest.raises(CannotRender):
                pixels.stored_frame(cut, 0)
        assert whole.samples.shape == whole.form.shape


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_has_sound_codestreams_to_damage(syntax):
    kinds = made(syntax)
    assert kinds
    for ds, stream in kinds:
        frame = pixels.stored_frame(compressed(ds, syntax, [stream]), 0)
        wanted = pixels.stored_frame(ds, 0).samples.astype(np.int64)
        errors = np.abs(frame.samples.astype(np.int64) - wanted)
        assert np.median(errors) < frame.samples.max() / 16


def outcome(syntax, first, count):
    command = [sys.executable, "-m", "tests.node.codestreams_made", syntax, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"signal or fault {done.returncode}: {done.stderr[-500:]}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_damage_is_refused_or_decoded_to_a_frame(syntax):
    assert tried(syntax, 0, FEW)["raised"] == []


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_much_damage_never_crashes_a_decoder_nor_takes_much_memory(syntax):
    said = outcome(syntax, FEW, MANY)
    assert said["raised"] == []
    assert said["decoded"] + said["refused"] == MANY
    assert said["peak_bytes"] < 400e6
