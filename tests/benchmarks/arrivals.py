"""How much an arrival costs without a network: `Ingest` alone, CT objects of 512 KB.

    python -m tests.benchmarks.arrivals [--images N] [--threads N] [--profile]

Writes below a temporary folder (`TMPDIR`); PACS_DATABASE_URL chooses the database.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

CHUNK_BYTES = 128 << 10


def main() -> None:
    """Take images in and print images a second and CPU a piece."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.arrivals", description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argens-arrivals-") as folder:
        os.environ["PACS_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "dicom_node.settings"
        _measure(asked.images, asked.threads, asked.profile)


def _measure(images: int, threads: int, profile: bool) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from dicom_node.config import CONFIG
    from dicom_node.index.writer import IndexWriter
    from dicom_node.ingest.ingest import Ingest
    from dicom_node.store.layout import Layout

    index = IndexWriter()
    ingest = Ingest(Layout(CONFIG.data_dir), index, 1 << 20)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    if profile:
        profiler = cProfile.Profile()
        profiler.runcall(_send, ingest, images, 0)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda n: _send(ingest, images // threads, n), range(threads)))
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    index.close()
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(
        f"{threads} threads: {images / took:.0f} images/s; a piece: {took / images * 1e3:.2f} ms, "
        f"user {user / images * 1e3:.2f} ms, system {system / images * 1e3:.2f} ms; "
        f"peak {after.ru_maxrss >> 10} MB"
    )


def _send(ingest: object, images: int, series: int) -> None:
    from dicom_node.ingest.arrival import Origin

    head, tail = _object(series)
    pixels = memoryview(bytes(512 * 512 * 2))
    for number in range(images):
        uid = f"1.2.826.0.1.3680043.10.1361.9.{series}.{number:06}"
        incoming = ingest.begin(
            Origin("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", uid, "BENCH", "ARGENS")
        )
        whole = memoryview(head.replace(b"NUMBER", b"%06d" % number) + tail + pixels)
        for start in range(0, len(whole), CHUNK_BYTES):
            incoming.write(whole[start : start + CHUNK_BYTES])
        incoming.finish()


def _object(series: int) -> tuple[bytes, bytes]:
    from tests.support.data_sets import ct, encoded

    study = f"1.2.826.0.1.3680043.10.1361.9.{series}"
    ds = ct(study=study, series=f"{study}.0", PatientID=f"B-{series}")
    ds.SOPInstanceUID = f"{study}.NUMBER"
    ds.InstanceNumber = 1
    ds.Rows = ds.Columns = 512
    for element in range(60):  # about as many elements as a scanner sends
        ds.add_new((0x0021, 0x1000 + element), "LO", f"private value {element}")
    ds.PixelData = b""
    content = encoded(ds)
    at = content.rindex(b"\xe0\x7f\x10\x00")
    return content[:at], b"\xe0\x7f\x10\x00OW\0\0" + (512 * 512 * 2).to_bytes(4, "little")


if __name__ == "__main__":
    main()
