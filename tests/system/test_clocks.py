"""A node whose clock is five minutes off is named for it, wherever somebody would look."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support import roles
from tests.support.services import require
from tests.system.observed import until, value

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@pytest.mark.parametrize("off", ["+300s", "-300s"])
def test_a_node_by_another_clock_is_refused_and_the_clock_is_named(tmp_path: Path, off: str):
    library = Path(require("faketime")).parents[1] / LIBRARY.relative_to("/usr")
    faked = {"LD_PRELOAD": str(library), "FAKETIME": off, "DONT_FAKE_MONOTONIC": "1"}
    node = roles.node(tmp_path, **faked)
    portal = roles.portal(tmp_path, {"CT": node}, "")
    with roles.running(node, portal):
        token = roles.accounts(tmp_path)["clinician"]["token"]
        answer = httpx.get(
            f"{portal.url}/dicom-web/studies",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        assert answer.status_code >= 400
        assert "compare the clocks of both machines" in answer.text
        until(lambda: abs(value(portal, "argens_peer_clock_skew_seconds", peer="CT")) > 290)
        skew = value(portal, "argens_peer_clock_skew_seconds", peer="CT")
        assert (skew > 0) == off.startswith("+")
        examined = json.loads(portal.command("doctor", "--json").stdout)
        problems = [one for one in examined if one["level"] == "problem"]
        assert {one["about"] for one in problems} == {"node CT"}
        assert any("NTP" in one["todo"] for one in problems)
        assert any("compare the clocks" in one["told"] for one in problems)
