"""Other roles over HTTP: are they there, ready, by the same clock; and do they believe tickets."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from pacs_common.doctor.finding import Finding, ok, one_line, problem, warning
from pacs_common.errors import ArgensError, NotAuthenticated, PeerUnreachable, Refused
from pacs_common.measures.asked import skew_s
from pacs_common.tickets import LEEWAY_S

WAIT_S = 5.0
OFF_S = 5.0  # of a clock, which somebody should look at
SET_CLOCK = "let both machines take their time from one NTP server"


def role(about: str, url: str) -> Iterator[Finding]:
    """Ask a role's /readyz; its Date header tells its clock."""
    begun = time.perf_counter()
    try:
        answer = httpx.get(f"{url.rstrip('/')}/readyz", timeout=WAIT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        told = f"{url} does not answer: {one_line(error)}"
        yield problem(about, told, "start it, or correct its address or the firewall")
        return
    yield clock(about, skew_s(answer.headers.get("Date"), time.perf_counter() - begun))
    if answer.status_code == 200:
        yield ok(about, f"{url} is ready")
    else:
        told = f"{url} is not ready: {_reasons(answer)}"
        yield warning(about, told, "run the doctor there")


def trusting_role(
    about: str, url: str, status: Callable[[], Any], key_file: str
) -> Iterator[Finding]:
    """Ask as `role` does; where it answered, ask too whether it believes our tickets."""
    found = list(role(about, url))
    yield from found
    if len(found) > 1:
        yield believes(about, status, key_file)


def clock(about: str, ahead_s: float | None) -> Finding:
    """Say by how much a clock differs from this machine's."""
    if ahead_s is None:
        return warning(about, "it does not tell the time", "ask it by its own address")
    told = f"its clock is {abs(ahead_s):g} s {'ahead of' if ahead_s > 0 else 'behind'} this one"
    if abs(ahead_s) >= LEEWAY_S:
        return problem(about, f"{told}: tickets are refused from {LEEWAY_S} s on", SET_CLOCK)
    if abs(ahead_s) >= OFF_S:
        return warning(about, told, SET_CLOCK)
    return ok(about, "its clock agrees with this one")


def believes(about: str, ask: Callable[[], Any], key: str) -> Finding:
    """Say whether a role takes a ticket of ours; `key` is our public key's file."""
    try:
        ask()
    except NotAuthenticated as error:
        todo = f"copy {key} into its PACS_TRUST_DIR, and compare names and clocks"
        return problem(about, f"our tickets are refused: {one_line(error)}", todo)
    except Refused as error:
        return problem(about, f"our tickets are refused: {one_line(error)}", "update both roles")
    except PeerUnreachable as error:
        return problem(about, one_line(error), "start it, or correct its address")
    except ArgensError as error:
        return warning(about, f"a ticket was taken, but: {one_line(error)}", "run the doctor there")
    return ok(about, "our tickets are believed")


def _reasons(answer: httpx.Response) -> str:
    try:
        told = answer.json().get("reasons") or answer.status_code
    except (ValueError, AttributeError):
        told = f"status {answer.status_code}"
    return one_line(told)
