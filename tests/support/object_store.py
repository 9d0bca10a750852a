"""An S3-compatible store for tests: moto's server, in a process of its own on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.config import Config

ACCESS = {"AWS_ACCESS_KEY_ID": "archive", "AWS_SECRET_ACCESS_KEY": "not a secret"}  # moto asks none
SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until the tests end, or die
"""


class ObjectStore:
    """A running store; `client` speaks to it as its owner would."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self, name: str) -> str:
        """Make a bucket where there is none, and return its name."""
        self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the keys of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self, bucket: str) -> list[dict[str, str]]:
        """Return the uploads that have not ended."""
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@contextmanager
def serving() -> Iterator[ObjectStore]:
    """Run a store until the `with` ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": ""},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        store = ObjectStore(f"http://127.0.0.1:{int(process.stdout.readline())}")
        try:
            yield store
        finally:
            store.client.close()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
