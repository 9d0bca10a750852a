"""`make bench-federation`: what the portal adds to a search over many nodes.

    python -m tests.benchmarks.federation [--quick] [--nodes N ...] [--studies N] [--rounds N]

Each node holds an index of its own of invented studies. The peer is the slowest node: all nodes
are asked the same at once, directly over kept connections, and the last answer is waited for.
Then the portal is asked, at its three doors: the page, the page as answers arrive (to its end),
and QIDO-RS. The difference is the portal's own: tickets, merging, rows, audit, the page. Last,
one of the most nodes is dead and one answers a second late.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from pacs_common.tickets import TicketIssuer
from tests.benchmarks import goals, rounds
from tests.benchmarks.late import Late
from tests.benchmarks.measured import Measured
from tests.benchmarks.people import Browser
from tests.support import roles

NODES, STUDIES, ROUNDS = (1, 4, 16), 100_000, 15
LATE_S = 1.0
LIMIT = 50  # a page of the portal
FILLING = 2  # indexes that are made at the same time


@dataclass(frozen=True)
class Row:
    """One question at one door: the seconds of each round."""

    nodes: str
    question: str
    door: str
    slowest_s: Sequence[float]
    portal_s: Sequence[float]

    @property
    def slowest_ms(self) -> float:
        """The median until the last node has answered."""
        return statistics.median(self.slowest_s) * 1000

    @property
    def portal_ms(self) -> float:
        """The median until the portal has."""
        return statistics.median(self.portal_s) * 1000

    @property
    def added_ms(self) -> float:
        """What the portal adds to the slowest node."""
        return self.portal_ms - self.slowest_ms


@dataclass(frozen=True)
class Question:
    """What is asked: by QIDO-RS keys, and as the search form has it."""

    name: str
    keys: Mapping[str, str]
    form: Mapping[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table and what the portal adds."""
    options = _options(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        nodes = filled(folder, max(options.nodes), options.studies)
        with serving(nodes):
            for count in sorted(options.nodes):  # the portal's registry grows
                rows += _measured(folder, nodes[:count], str(count), options.rounds)
            if max(options.nodes) > 2:
                rows += _in_trouble(folder, nodes, options.rounds, options.late)
    print("\n".join(report(rows)))
    rounds.keep(options.json, found(rows, options.studies))
    return 0


def found(rows: Sequence[Row], studies: int) -> Iterator[Measured]:
    """Yield the milliseconds of the slowest node and of the portal (argens)."""
    for row in rows:
        workload = f"{row.question}, {row.door}, {_several(row.nodes, studies)}"
        for who, seconds in (("slowest node", row.slowest_s), ("argens", row.portal_s)):
            yield rounds.median(
                [one * 1000 for one in seconds],
                measure="federation",
                workload=workload,
                who=who,
                unit="ms",
                is_more_better=False,
            )


def _several(nodes: str, studies: int) -> str:
    if not nodes.isdecimal():
        return f"{nodes}, {studies:,} studies each"
    return f"{'1 node' if nodes == '1' else f'{nodes} nodes'} of {studies:,} studies"


def report(rows: Sequence[Row]) -> list[str]:
    """Return the table and, last, the most that the portal added at each door."""
    lines = [
        "",
        f"{'nodes':<22} {'question':<12} {'door':<8}"
        f" {'slowest node':>13} {'portal':>9} {'adds':>9}",
    ]
    for row in rows:
        lines.append(
            f"{row.nodes:<22} {row.question:<12} {row.door:<8} {row.slowest_ms:>10.1f} ms"
            f" {row.portal_ms:>6.1f} ms {row.added_ms:>6.1f} ms"
        )
    lines.append("")
    for door in dict.fromkeys(row.door for row in rows):
        most = max((row for row in rows if row.door == door), key=lambda row: row.added_ms)
        lines.append(
            f"{door:<8} adds at most {most.added_ms:6.1f} ms to the slowest node"
            f" ({most.nodes}, {most.question}; goal {goals.ADDED_MS:.0f} ms)"
        )
    return lines


def filled(folder: Path, count: int, studies: int) -> list[roles.Role]:
    """Return nodes, not started, each with an index of its own."""
    nodes = [roles.node(folder, f"N{number:02d}", command="http") for number in range(1, count + 1)]

    def fill(number: int) -> None:
        for argv in (
            ("migrate", "--verbosity", "0"),
            ("sample-index", "--studies", str(studies), "--instances-per-study", "1",
             "--seed", str(number + 1)),
        ):  # fmt: skip
            done = nodes[number].command(*argv, timeout_s=1800)
            assert done.returncode == 0, done.stderr
        print(f"{nodes[number].name}: {studies} studies", flush=True)

    with ThreadPoolExecutor(FILLING) as pool:
        list(pool.map(fill, range(count)))
    return nodes


@contextlib.contextmanager
def serving(nodes: Sequence[roles.Role]) -> Iterator[None]:
    """Run the nodes' web servers; without a DICOM port they never say that they are ready."""
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            roles.wait_for_port(node.http_port)
        yield
    finally:
        for node in nodes:
            node.stop()


def _measured(
    folder: Path, nodes: Sequence[roles.Role], label: str, turns: int,
    elsewhere: Mapping[str, int] | None = None, dead: Sequence[str] = (),
) -> Iterator[Row]:  # fmt: skip
    """Ask the nodes and the portal in turns; `elsewhere` gives ports to be asked instead."""
    ports = {node.env["PACS_NODE_NAME"]: node.http_port for node in nodes} | dict(elsewhere or {})
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    portal = roles.portal(
        folder,
        {},
        "",
        PACS_NODES=",".join(f"{name}={url}" for name, url in urls.items()),
        PACS_NODE_TIMEOUT_S="5",
    )
    with roles.running(portal), contextlib.ExitStack() as stack:
        alive = {name: url for name, url in urls.items() if name not in dead}
        direct = Direct(folder, alive, stack)
        browser = Browser(portal, folder, stack)
        token = roles.accounts(folder)["clinician"]["token"]
        reader = stack.enter_context(
            httpx.Client(
                base_url=portal.url, headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
        )
        for question in _questions(direct):
            doors: dict[str, Callable[[], None]] = {
                "page": lambda q=question: _page(browser, q),
                "live": lambda q=question: _live(browser, q),
                "QIDO": lambda q=question: _qido(reader, q),
            }
            times: dict[str, list[float]] = {name: [] for name in ("", *doors)}
            for turn in range(turns + 1):
                for name, ask in {"": lambda q=question: direct.ask(q), **doors}.items():
                    began = time.perf_counter()
                    ask()
                    if turn:  # the first one warms
                        times[name].append(time.perf_counter() - began)
            for door in doors:
                yield Row(label, question.name, door, times[""], times[door])


def _in_trouble(folder: Path, nodes: list[roles.Role], turns: int, late_s: float) -> Iterator[Row]:
    """Measure with the last node dead and the one before it late."""
    *others, slow, dead = nodes
    dead.stop()
    late = Late(slow.http_port, late_s)
    name, gone = slow.env["PACS_NODE_NAME"], dead.env["PACS_NODE_NAME"]
    label = f"{len(nodes)} nodes, 1 dead, 1 late"
    try:
        yield from _measured(
            folder, [*others, slow, dead], label, turns, {name: late.port}, dead=[gone]
        )
    finally:
        late.close()


class Direct:
    """All nodes, asked at once over kept connections with the portal's tickets."""

    def __init__(self, folder: Path, urls: Mapping[str, str], stack: contextlib.ExitStack) -> None:
        self._issuer = TicketIssuer.at(
            "portal", folder / "portal" / "portal.key.pem", folder / "trust"
        )
        self._pool = stack.enter_context(ThreadPoolExecutor(len(urls)))
        self._clients = {
            name: stack.enter_context(httpx.Client(base_url=url, timeout=60))
            for name, url in urls.items()
        }

    def ask(self, question: Question) -> None:
        """Ask every node and wait for the last."""
        self._show_tickets()
        list(
            self._pool.map(lambda client: self._one(client, question.keys), self._clients.values())
        )

    def first(self) -> dict:
        """Return a study of the first node."""
        self._show_tickets()
        return self._one(next(iter(self._clients.values())), {})[0]

    def _show_tickets(self) -> None:
        """Renew what is shown to each node: a ticket lives shortly."""
        for name, client in self._clients.items():
            ticket = self._issuer.issue(name, ["dicomweb"], subject="clinician")
            client.headers["Authorization"] = f"Bearer {ticket}"

    @staticmethod
    def _one(client: httpx.Client, keys: Mapping[str, str]) -> list[dict]:
        answer = client.get("/dicom-web/studies", params={**keys, "limit": str(LIMIT)})
        answer.raise_for_status()
        return answer.json() if answer.content else []


def _questions(direct: Direct) -> list[Question]:
    study = direct.first()
    name = study["00100010"]["Value"][0]["Alphabetic"].partition("^")[0]
    day, patient = (study[tag]["Value"][0] for tag in ("00080020", "00100020"))
    dashed = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return [
        Question("everything", {}, {}),
        Question("name", {"PatientName": f"{name}*"}, {"name": name}),
        Question("patient ID", {"PatientID": patient}, {"patient_id": patient}),
        Question("a day", {"StudyDate": day}, {"date_from": dashed, "date_to": dashed}),
    ]


def _page(browser: Browser, question: Question) -> None:
    answer = browser.http.get(browser.post("/", question.form))
    assert "data-href" in answer.text, answer.text[:500]


def _live(browser: Browser, question: Question) -> None:
    address = browser.post("/", {**question.form, "live": "1"})
    events = address.replace("/?", "/search/live/?").removesuffix("&live=1")
    answer = browser.http.get(events)
    assert "event: done" in answer.text, answer.text[:500]


def _qido(reader: httpx.Client, question: Question) -> None:
    answer = reader.get("/dicom-web/studies", params={**question.keys, "limit": str(LIMIT)})
    assert answer.status_code == 200 and answer.json(), answer.text[:500]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.federation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 nodes of 500 studies")
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES))
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--late", type=float, default=LATE_S, help="seconds of the late node")
    parser.add_argument("--folder", help="where the indexes are made")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    if options.quick:
        options.nodes, options.studies, options.rounds = [3], 500, 2
        options.late = min(options.late, 0.2)
    return options


if __name__ == "__main__":
    sys.exit(main())
