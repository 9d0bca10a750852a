"""One modality's store: association -> ingest -> store -> index -> render -> web."""

import os
import sys

# numpy's linear algebra, which nothing here uses, would start a thread in each process as it is
# imported; the SCP processes are forked from one that must have none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _import_without(unused: tuple[str, ...]) -> None:
    """Import libraries as if what they only would use, where it is there, were not there."""
    aside = {name: sys.modules.get(name) for name in unused}
    sys.modules.update(dict.fromkeys(unused))  # type: ignore[arg-type]  # None: import says no
    try:
        import httpx  # noqa: F401
        import pydicom  # noqa: F401
    finally:
        for name, module in aside.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


# pydicom downloads example files by requests, and httpx has a command line: memory and start-up
# time of every node, for nothing.
_import_without(("requests", "httpx._main"))
