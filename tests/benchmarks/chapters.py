"""What the book tells, measure by measure: the programs side by side, and how plots are divided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """One measure: what was done, whose columns its table has, and how it is plotted."""

    measure: str
    title: str
    about: str
    programs: tuple[str, ...] = ("argens",)
    """Each has a column, measured or not; whoever else was measured has one after these."""
    plot_of: int | None = None
    """The part of a workload's words, between commas, that has a plot of its own."""


NODES = ("argens-sqlite", "argens-postgresql")
SERVERS = ("orthanc", "orthanc-postgresql")
CHAPTERS = (
    Chapter(
        "ingest",
        "Ingest",
        "DCMTK's `storescu` sends over loopback, a process for each association, to a receiver with"
        " an empty store; afterwards it must hold every object. Argens and Orthanc answer when an"
        " object is synced and indexed, `storescp` neither syncs nor indexes. A Fréjus day comes"
        " from its three sources at once; of ten days in turn, all of which the node keeps, the"
        " median day is told.",
        (*NODES, *SERVERS, "storescp"),
    ),
    Chapter(
        "query",
        "Query",
        "Five usual searches at study level, by C-FIND over one association and by QIDO-RS over one"
        " connection. All programs hold the same studies, are asked the same by the same client,"
        " and must give as many answers.",
        (*NODES, *SERVERS),
        plot_of=0,
    ),
    Chapter(
        "retrieve",
        "Retrieve",
        "A CT study of 500 images and a multi-frame object of 200 MB, taken by one client and by"
        " eight at once, which count what comes and keep nothing.",
        ("argens", "orthanc", "dcmqrscp"),
        plot_of=1,
    ),
    Chapter(
        "metadata",
        "Metadata",
        "WADO-RS metadata of a whole series, asked for by one client: the first time, and again.",
        ("argens", "orthanc"),
    ),
    Chapter(
        "renditions",
        "Renditions",
        "Frames and pictures by WADO-RS, each asked for once (cold) and once more (warm), over one"
        " and over eight kept connections. Orthanc has no thumbnails: it renders as small.",
        ("argens", "orthanc"),
    ),
    Chapter(
        "first image",
        "First image",
        "From the log-in to the first picture of a CT of 500 images, in Chromium.",
        ("argens", "orthanc"),
    ),
    Chapter(
        "federation",
        "Federation",
        "The portal searches all nodes, each with an index of its own. Beside it stands the slowest"
        " node: all are asked the same, at once, directly, and the last answer is waited for. In"
        " the end one node is dead and one answers late.",
        ("argens", "slowest node"),
        plot_of=1,
    ),
    Chapter(
        "archive",
        "Archive",
        "One worker of the archive beside `tar`, `sync` and `sha256sum` with the same files on the"
        " same disk, which is read and not the memory.",
        ("argens", "tar"),
    ),
    Chapter(
        "footprint",
        "Footprint",
        "Memory is the proportional set size of all of a server's processes; disk is what files and"
        " database take, as `du` counts; a start lasts from the first process to the first answer.",
        ("argens", "orthanc"),
    ),
    Chapter(
        "pages",
        "Pages",
        "Each page of the portal with one node behind it, from the request to the last byte.",
    ),
)
