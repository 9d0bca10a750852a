"""A member on its way: a file that goes to the store part by part, and is nothing until it ends."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from archive_node.vault.s3.store import Store, ThereAlready
from pacs_common import errors

_MOST_PARTS = 9_000  # S3 takes 10,000


class Upload(io.RawIOBase):
    """A multipart upload to write into; at most `uploads` + 1 parts are in memory at once."""

    def __init__(self, store: Store, key: str, size_bytes: int) -> None:
        super().__init__()
        options = store.options
        self._store, self._key = store, key
        self._part_bytes = max(options.part_bytes, -(-size_bytes // _MOST_PARTS))
        self._token = uuid.uuid4().hex  # tells this upload's object from any other of its name
        self._buffer = bytearray()
        self._written = 0
        self._sent: deque[Future[dict[str, Any]]] = deque()
        self._parts: list[dict[str, Any]] = []
        self._in_flight = options.uploads
        about: dict[str, Any] = {"Metadata": {"argens-upload": self._token}}
        if options.storage_class:
            about["StorageClass"] = options.storage_class
        if options.checksum == "sha256":
            about["ChecksumAlgorithm"] = "SHA256"
        with store.translated():
            begun = store.client.create_multipart_upload(**store.named(key), **about)
        self._id = begun["UploadId"]
        self._pool = ThreadPoolExecutor(self._in_flight, thread_name_prefix="upload")

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._written

    def write(self, content: Any, /) -> int:
        """Take bytes, and send what makes a part; raises VaultUnavailable."""
        view = memoryview(content).cast("B")
        for start in range(0, len(view), self._part_bytes):
            self._buffer += view[start : start + self._part_bytes]
            while len(self._buffer) >= self._part_bytes:
                self._send(bytes(self._buffer[: self._part_bytes]))
                del self._buffer[: self._part_bytes]
        self._written += len(view)
        return len(view)

    def send_rest(self) -> None:
        """Send what is left; every byte is with the store then, and the member not yet there."""
        if self._buffer or (not self._parts and not self._sent):
            self._send(bytes(self._buffer))
            self._buffer.clear()
        while self._sent:
            self._parts.append(self._sent.popleft().result())

    def complete(self) -> None:
        """Make it the member; raises ThereAlready where one of this name is there."""
        store = self._store
        about = {"UploadId": self._id, "MultipartUpload": {"Parts": self._parts}}
        try:
            store.conditionally(
                store.client.complete_multipart_upload,
                {"IfNoneMatch": "*"}, **store.named(self._key), **about,
            )  # fmt: skip
        except (errors.Unavailable, errors.NotFound, ThereAlready):
            # the answer to an earlier attempt may have been lost: then it is there, and ours
            there = store.head(self._key)
            if there is None or there.get("Metadata", {}).get("argens-upload") != self._token:
                raise
        self._pool.shutdown()

    def abort(self) -> None:
        """Leave nothing of it; what the store refuses now, the next writer sweeps."""
        self._pool.shutdown(wait=True, cancel_futures=True)  # a part sent later would be left
        with contextlib.suppress(errors.ArgensError):
            abort(self._store, self._key, self._id)

    def _send(self, part: bytes) -> None:
        if len(self._sent) >= self._in_flight:
            self._parts.append(self._sent.popleft().result())
        number = len(self._parts) + len(self._sent) + 1
        self._sent.append(self._pool.submit(self._send_part, number, part))

    def _send_part(self, number: int, part: bytes) -> dict[str, Any]:
        checksum = _checksum(self._store.options.checksum, part)
        about = {"UploadId": self._id, "PartNumber": number, "Body": part}
        with self._store.translated():
            answer = self._store.client.upload_part(
                **self._store.named(self._key), **about, **checksum
            )
        done = {"PartNumber": number, "ETag": answer["ETag"]}
        return done | {name: sum_ for name, sum_ in checksum.items() if name != "ContentMD5"}


def sweep(store: Store, prefix: str) -> None:
    """Abort the uploads below a prefix that their writers did not end: no writer lives now."""
    asked = {"Bucket": store.options.bucket, "Prefix": store.options.prefix + prefix}
    while True:
        with store.translated():
            page = store.client.list_multipart_uploads(**asked)
        for upload in page.get("Uploads", []):
            abort(store, upload["Key"][len(store.options.prefix) :], upload["UploadId"])
        if not page.get("IsTruncated"):
            return
        asked["KeyMarker"] = page["NextKeyMarker"]
        asked["UploadIdMarker"] = page["NextUploadIdMarker"]


def abort(store: Store, key: str, upload_id: str) -> None:
    """Abort one upload; one that has ended already is no trouble."""
    try:
        with store.translated():
            store.client.abort_multipart_upload(**store.named(key), UploadId=upload_id)
    except errors.Unavailable as error:
        if "NoSuchUpload" not in str(error):
            raise


def _checksum(kind: str, part: bytes) -> dict[str, str]:
    if kind == "md5":
        digest = hashlib.md5(part, usedforsecurity=False).digest()
        return {"ContentMD5": base64.b64encode(digest).decode()}
    return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(part).digest()).decode()}
