"""One modality's store: association -> ingest -> store -> index -> render -> web."""

import os

# numpy's linear algebra, which nothing here uses, would start a thread in each process as it is
# imported; the SCP processes are forked from one that must have none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
