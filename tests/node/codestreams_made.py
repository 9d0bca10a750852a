"""Codestreams of every transfer syntax that the node decodes, and damage done to them.

`python -m tests.node.codestreams_made UID FIRST COUNT` decodes damaged ones and prints, as JSON,
how many were decoded or refused, what else was raised, and the most memory that it took.
"""

import functools
import json
import random
import resource
import sys
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np

from dicom_node.render import pixels, transcode
from pacs_common.errors import ArgensError, NotAcceptable
from tests.node.render_images import compressed, image

JPEG = "1.2.840.10008.1.2.4."
SYNTAXES = [f"{JPEG}{last}" for last in (50, 51, 57, 70, 80, 81, 90, 91, 201, 203)]
SYNTAXES += ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"]
KINDS = [
    ((64, 48), np.uint16, 12, "MONOCHROME2"),
    ((64, 48), np.int16, 16, "MONOCHROME2"),
    ((64, 48), np.uint8, 8, "MONOCHROME2"),
    ((40, 32, 3), np.uint8, 8, "RGB"),
]
_ENCODERS = {
    f"{JPEG}50": lambda a, _bits: imagecodecs.jpeg8_encode(a, 90),
    f"{JPEG}51": lambda a, bits: imagecodecs.jpeg8_encode(a, 90, bitspersample=bits),
    f"{JPEG}57": lambda a, _bits: imagecodecs.ljpeg_encode(a),
    f"{JPEG}81": lambda a, _bits: imagecodecs.jpegls_encode(a, level=2),
    f"{JPEG}91": lambda a, _bits: imagecodecs.jpeg2k_encode(a, level=70, codecformat="j2k"),
    f"{JPEG}203": lambda a, _bits: imagecodecs.htj2k_encode(a, level=1e-4, reversible=False),
    "1.2.840.10008.1.2.8.1": lambda a, _bits: zlib.compress(a.tobytes())[2:-4],
}


def smooth(shape, dtype, bits):
    """Return an image with a little noise that every codec shrinks, run lengths included."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    values = (np.sin(rows / 7) + np.cos(columns / 9) + 2) / 4 * ((1 << bits) - 1) * 0.9
    plane = (values.astype(np.int64) >> 4 << 4) - ((1 << bits - 1) if dtype is np.int16 else 0)
    plane = plane.astype(dtype)
    return np.dstack([plane, plane[::-1], plane[:, ::-1]]) if len(shape) == 3 else plane


@functools.cache
def made(syntax):
    """Return (data set, codestream) for each kind of pixels that the syntax holds."""
    found = []
    for shape, dtype, bits, photometric in KINDS:
        frame = smooth(shape, dtype, bits)
        ds = image(frame[None], bits_stored=bits, photometric=photometric)
        if _fits(syntax, frame, bits):
            encode = _ENCODERS.get(syntax)
            cells = frame.view(f"u{frame.itemsize}")
            stream = encode(cells, bits) if encode else _encoded(ds, syntax)
            if stream is not None:
                found.append((ds, bytes(stream)))
    return found


def _fits(syntax, frame, bits):
    if syntax == f"{JPEG}50":
        return bits == 8
    if syntax == f"{JPEG}51":
        return bits == 12
    return not (syntax == f"{JPEG}57" and frame.ndim == 3)


def _encoded(ds, syntax):
    try:
        return transcode.frame_as(ds, 0, syntax)
    except NotAcceptable:
        return None


def damaged(stream, seed):
    """Return a codestream cut, with bits or bytes changed, with bytes lost or put in."""
    chance = random.Random(seed)
    data, place = bytearray(stream), 0
    kind = chance.randrange(6)
    if kind == 0:
        return bytes(data[: chance.randrange(2, len(data))])
    if kind == 1:
        for _ in range(chance.choice((1, 1, 2, 4, 20))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    if kind == 2:  # what the headers say
        for _ in range(chance.choice((1, 2, 3))):
            data[chance.randrange(min(len(data), 120))] = chance.choice((0, 1, 127, 128, 254, 255))
        return bytes(data)
    place = chance.randrange(len(data) - 2)
    lost = 0 if kind == 4 else chance.randrange(1, 60)
    put = b"" if kind == 3 else bytes([chance.randrange(256)]) * chance.randrange(1, 60)
    data[place : place + lost] = put
    return bytes(data).ljust(2, b"\0")


def tried(syntax, first, count):
    """Return what came of decoding damaged codestreams."""
    said = {"decoded": 0, "refused": 0, "raised": []}
    for seed in range(first, first + count):
        ds, stream = made(syntax)[seed % len(made(syntax))]
        try:
            frame = pixels.stored_frame(compressed(ds, syntax, [damaged(stream, seed)]), 0)
            said["decoded"] += frame.samples.shape == frame.form.shape
        except ArgensError:
            said["refused"] += 1
        except BaseException as fault:
            said["raised"].append(f"{seed}: {type(fault).__name__}: {fault}")
    return {**said, "peak_bytes": _peak_bytes()}


def _peak_bytes():
    """Return the most memory that this program held: ru_maxrss knows that of its parent too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    print(json.dumps(tried(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
