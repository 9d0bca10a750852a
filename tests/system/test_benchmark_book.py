"""The book of the benchmarks: ratios first, who is missing, missed goals, plots, and real runs."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import book, measured, page
from tests.benchmarks.measured import Measured

SVG = "{http://www.w3.org/2000/svg}"
FOUR, DAY = "800 CT of 512 KB, 4 associations", "Fréjus day of 765 files (2.1 GB), 3 associations"


def rate(workload: str, who: str, value: float, *span: float) -> Measured:
    least, most = span or (value, value)
    return Measured(
        measure="ingest",
        workload=workload,
        who=who,
        value=value,
        unit="images/s",
        is_more_better=True,
        rounds=5,
        least=least,
        most=most,
    )


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder of two runs, one of which could not run."""
    found = [
        rate(FOUR, "argens-sqlite", 400, 380.4, 1234),
        rate(FOUR, "orthanc", 100),
        rate(FOUR, "storescp", 500),
        rate(DAY, "argens-sqlite", 80),
    ]
    search = {"measure": "query", "unit": "ms", "is_more_better": False}
    asked = [
        Measured(workload="QIDO-RS, date, 10,000 instances", who=who, value=value, **search)
        for who, value in (("argens-sqlite", 1), ("orthanc", 900))
    ]
    folder = tmp_path / "kept"
    folder.mkdir()
    measured.write(folder / "ingest.json", found)
    measured.write(folder / "query.json", asked)
    run = {"began": "2026-01-05 20:00", "seconds": 90, "commit": "0123abc"}
    runs = {
        "retrieve": run | {"command": "python -m tests.benchmarks.retrieve", "status": 1},
        "ingest": run | {"command": "python -m tests.benchmarks.ingest --days 10", "status": 0},
    }
    about = {"machine": {"Processor": "a loom"}, "programs": {"Orthanc": "1.2"}, "runs": runs}
    (folder / book.ABOUT).write_text(json.dumps(about))
    return folder


def rendered(kept: Path, notes: Path) -> tuple[str, dict[str, str]]:
    drawn: dict[str, str] = {}
    return page.render(book.read(kept, notes), drawn), drawn


def test_ratios_come_first_and_then_medians_with_their_rounds(kept, tmp_path):
    text, _ = rendered(kept, tmp_path)
    goals, chapter = text.index("## Goals"), text.index("## Ingest")
    assert goals < text.index("4.00 x orthanc") < chapter
    assert "| 400 images/s (380..1,234) |" in text[chapter:]
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    measures = ["Ingest", "Query", "Retrieve", "Metadata", "Renditions", "First image"]
    measures += ["Federation", "Archive", "Footprint", "Pages"]
    last = ["Machine", "Programs", "Commands"]
    assert headings == [f"## {name}" for name in ("Goals", *measures, *last)]


def test_the_machine_the_programs_and_the_commands_are_told(kept, tmp_path):
    text, _ = rendered(kept, tmp_path)
    assert "| Processor | a loom |" in text and "| Orthanc | 1.2 |" in text
    ran = text.index("| `python -m tests.benchmarks.ingest --days 10` | 2026-01-05 20:00 | 1.5 min")
    failed = text.index("could not run (status 1)")
    assert text.index("## Commands") < ran < failed  # in the order in which they run


def test_who_was_not_measured_is_named(kept, tmp_path):
    text, _ = rendered(kept, tmp_path)
    assert "| orthanc-postgresql (not measured) |" in text
    assert (
        f"| {DAY} | argens-sqlite | at least 3 x Orthanc for a whole day | not measured: orthanc"
        in text
    )
    assert "Not measured." in text[text.index("## Footprint") :]


def test_a_missed_goal_wants_a_note_under_its_own_words(kept, tmp_path):
    text, _ = rendered(kept, tmp_path)
    row = "| ingest | at least as fast as storescp | argens-sqlite | **missed**, 1 without a peer |"
    assert f"{row} 0.80 x storescp ({FOUR}) |" in text
    assert "| query | faster than Orthanc, at the same door | argens-sqlite | met |" in text
    told = "These goals are missed, and no note below says why:\n\n- ingest: at least as fast as s"
    assert told in text
    notes = tmp_path / "notes"
    notes.mkdir()
    for heading, is_bare in (
        ("at least 3 x Orthanc", True),
        ("at least as fast as storescp", False),
    ):
        (notes / "ingest.md").write_text(f"#### {heading}\n\nThe disk is slow.\n")
        text, _ = rendered(kept, notes)
        assert ("no note below says why" in text) is is_bare
        assert text.index("## Ingest") < text.index("The disk is slow.") < text.index("## Query")


def test_each_plot_is_shown_well_formed_and_has_a_title_and_a_description(kept, tmp_path):
    text, drawn = rendered(kept, tmp_path)
    assert set(drawn) == {
        "ingest-goals.svg", "ingest-images-s.svg", "query-goals.svg", "query-qido-rs-ms.svg"
    }  # fmt: skip
    for name, svg in drawn.items():
        root = ElementTree.fromstring(svg)
        words = {
            root.find(f"{SVG}{tag}").get("id"): root.find(f"{SVG}{tag}").text
            for tag in ("title", "desc")
        }
        assert root.get("aria-labelledby").split() == list(words) and all(words.values())
        assert f"![{words['t']}](images/benchmarks/{name})" in text
        right = float(root.get("viewBox").split()[2])
        for bar in root.iter(f"{SVG}rect"):
            start, width = float(bar.get("x", 0)), float(bar.get("width"))
            assert 0 <= start <= start + width <= right
    bars = ElementTree.fromstring(drawn["ingest-images-s.svg"]).iter(f"{SVG}rect")
    widths = [float(bar.get("width")) for bar in bars if bar.get("class") in ("ours", "theirs")]
    assert [round(width / widths[0], 2) for width in widths] == [1, 0.25, 1.25, 0.2]
    spread = ElementTree.fromstring(drawn["query-qido-rs-ms.svg"])
    assert len(list(spread.iter(f"{SVG}circle"))) == 2  # 900 times apart: dots, no bars


def test_the_page_of_nothing_says_so_and_the_goals_are_there(tmp_path):
    text, drawn = rendered(tmp_path, tmp_path)
    assert not drawn and "Nothing has been measured yet." in text
    assert "| footprint | an idle node in 150 MB |  | not measured |  |" in text


def test_an_earlier_page_leaves_no_plot_behind(kept, tmp_path):
    docs = tmp_path / "docs"
    for _ in range(2):
        page.write(book.read(kept, tmp_path), docs)
        (docs / page.IMAGES / "old.svg").touch()
    page.write(book.read(kept, tmp_path), docs)
    shown = set(page.SHOWN.findall((docs / "benchmarks.md").read_text()))
    assert shown == {f"{page.IMAGES}/{path.name}" for path in (docs / page.IMAGES).iterdir()}


def test_one_that_cannot_run_is_named_and_the_others_go_on(tmp_path, monkeypatch, capfd):
    """A real quick run of the cheapest: the archive's rules over a catalogue."""
    quick = ("--only", "scan", "--studies", "200", "--rounds", "1")
    monkeypatch.setattr(book.Benchmark, "command", lambda self, _: [*self.module, *quick])
    monkeypatch.setattr(book, "KEPT", tmp_path)
    gone, there = book.Benchmark("gone"), book.Benchmark("archive")
    monkeypatch.setattr(book, "BENCHMARKS", (gone, there))
    (tmp_path / "quick").mkdir()
    stale = tmp_path / "quick" / "gone.json"
    measured.write(stale, [rate(FOUR, "argens-sqlite", 1)])
    assert book.main(["--quick"]) == 1
    told = capfd.readouterr()
    assert "No module named tests.benchmarks.gone" in told.err
    assert "scan: the rules over 200 studies" in told.out  # its output passes through
    assert told.out.endswith("could not run: gone (status 1)\n")
    assert not stale.exists()
    found = book.read(tmp_path / "quick", tmp_path)
    assert [one.workload for one in found.found] == ["the rules over 200 studies"]
    assert {name: run.status for name, run in found.runs.items()} == {"gone": 1, "archive": 0}
    assert {"Processor", "Memory"} < set(found.machine) and found.programs["Python"]
    assert book.main(["--quick", "--only", "archive"]) == 0


def test_a_page_written_from_kept_findings_runs_nothing(kept, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "DOCS", tmp_path / "docs")
    assert book.main(["--from", str(kept)]) == 0
    told = capsys.readouterr().out
    assert "at least 3 x Orthanc with 1 and 4 associations  argens-sqlite  met" in told
    assert "written: docs/benchmarks.md" in told
    assert (tmp_path / "docs" / "benchmarks.md").read_text().startswith("# Benchmarks\n")


def test_every_benchmark_of_the_issue_is_in_the_book():
    assert [one.name for one in book.BENCHMARKS] == [
        "ingest", "query", "retrieve", "web", "first_image", "federation", "archive", "footprint",
        "pages",
    ]  # fmt: skip
    assert "--days 10" in " ".join(book.BENCHMARKS[0].command(is_quick=False))
    assert book.BENCHMARKS[0].command(is_quick=True)[2:] == ["--quick"]
