"""What the stand-in of a node does with STOW-RS, DELETE and OPTIONS, as docs/interfaces.md says."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlsplit

from pydicom import Dataset, dcmread

from pacs_common.errors import ArgensError, NotFound, problem


class StoringHandler:
    """The methods that change something; mixed into the stand-in's handler."""

    node: Any
    verifier: Any

    def do_POST(self) -> None:
        path = urlsplit(self.path).path.strip("/").split("/")
        self.node.asked.append(f"POST {self.path}")
        self.node.told.append(dict(self.headers.items()))
        body = self._body()
        try:
            if (address := "POST " + urlsplit(self.path).path) in self.node.api:
                self.node.bodies.append(json.loads(body or b"{}"))
                return self._from_api(address)
            ticket = self.verifier.verify(self._token())
            ticket.require("dicomweb.store", path[2] if len(path) > 2 else None)
            stored = [dcmread(io.BytesIO(part)) for part in self._parts(body)]
            self.node.instances += stored
            self._json(_stored(stored), kind="application/dicom+json")
        except ArgensError as error:
            self._json(problem(error), error.http_status, "application/problem+json")

    def do_DELETE(self) -> None:
        url = urlsplit(self.path)
        self.node.asked.append(f"DELETE {self.path}")
        try:
            self.verifier.verify(self._token()).require("dicomweb.delete")
            held = self._at(url.path.strip("/").split("/")[1:])
            if not held:
                raise NotFound("not here")
            self.node.instances[:] = [one for one in self.node.instances if one not in held]
            self._json({"rejection": {"instances": len(held)}})
        except ArgensError as error:
            self._json(problem(error), error.http_status, "application/problem+json")

    def do_OPTIONS(self) -> None:
        self.node.asked.append(f"OPTIONS {self.path}")
        base = f"{self.node.url}/dicom-web/"
        body = {"application": {"resources": {"base": base, "resource": []}}}
        self._json(body, headers={"Allow": "GET, HEAD, OPTIONS"})

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        taken = b""
        while size := int(self.rfile.readline(), 16):
            taken += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return taken

    def _parts(self, body: bytes) -> list[bytes]:
        if not body.startswith(b"--"):
            return [body]
        boundary = body.split(b"\r\n", 1)[0]
        parts = body.split(boundary)[1:-1]
        return [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts]


def _stored(stored: list[Dataset]) -> dict[str, Any]:
    items = [{"00081155": {"vr": "UI", "Value": [str(one.SOPInstanceUID)]}} for one in stored]
    return json.loads(json.dumps({"00081199": {"vr": "SQ", "Value": items}}))
