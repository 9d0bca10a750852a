"""People who use the portal without a browser: they log in, open pages and send forms."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support import roles


class Browser:
    """A person of the demo who has logged in."""

    def __init__(
        self, portal: roles.Role, folder: Path, stack: contextlib.ExitStack, name: str = "clinician"
    ) -> None:
        self.http = stack.enter_context(httpx.Client(base_url=portal.url, timeout=60))
        self._token = _token_of(self.http.get("/login/"))
        password = roles.accounts(folder)[name]["password"]
        landing = self.post("/login/", {"username": name, "password": password})
        self._token = _token_of(self.http.get(landing, follow_redirects=True))

    def post(self, address: str, form: Mapping[str, str]) -> str:
        """Send a form and return where its answer is."""
        data = {**form, "csrfmiddlewaretoken": self._token}
        headers = {"Referer": str(self.http.base_url.join(address))}
        answer = self.http.post(address, data=data, headers=headers)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def address(self, page: str, pattern: str) -> str:
        """Return the first address on a page that a pattern finds."""
        answer = self.http.get(page)
        found = re.search(pattern, answer.text)
        assert found is not None, answer.text[:2000]
        return html.unescape(found[1])


def _token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found is not None, page.text[:500]
    return found[1]
