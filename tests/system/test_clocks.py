"""Two machines whose clocks are five minutes apart: named for it, wherever somebody would look."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support import roles
from tests.system.observed import until, value

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
ANOTHER_CLOCK = """
import time
_time = time.time
time.time = lambda: _time() - 300
"""


def test_a_node_by_another_clock_refuses_and_the_clock_is_named(tmp_path: Path):
    """The portal's clock is moved: it dates its tickets by it, and reads the node's Date by it."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(ANOTHER_CLOCK)
    node = roles.node(tmp_path)
    portal = roles.portal(tmp_path, {"CT": node}, "", PYTHONPATH=str(tmp_path / "clock"))
    with roles.running(node, portal):
        token = roles.accounts(tmp_path)["clinician"]["token"]
        answer = httpx.get(
            f"{portal.url}/dicom-web/studies",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        assert answer.status_code >= 400
        until(lambda: value(portal, "argens_peer_clock_skew_seconds", peer="CT") > 290)
        examined = json.loads(portal.command("doctor", "--json").stdout)
        problems = [one for one in examined if one["level"] == "problem"]
        assert {one["about"] for one in problems} == {"node CT"}
        assert any("NTP" in one["todo"] for one in problems)
        assert any("compare the clocks of both machines" in one["told"] for one in problems)
