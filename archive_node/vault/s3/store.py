"""One bucket's objects below a prefix; what goes wrong there in the archive's own words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from archive_node.vault.base import VaultUnavailable
from archive_node.vault.s3.options import Options
from pacs_common import errors

CONNECT_TIMEOUT_S = 10
_MISSING = {"404", "NoSuchKey", "NotFound"}
_THERE_ALREADY = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_CANNOT_CONDITION = {"501", "NotImplemented"}


class ThereAlready(errors.Conflict):
    """An object of that key is there, or changed meanwhile."""


@dataclass(frozen=True)
class Found:
    """One object of a listing; its key without the vault's prefix."""

    key: str
    size_bytes: int
    modified_at: datetime


class Store:
    """A bucket as the settings name it; every key is taken below the vault's prefix."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.place = f"s3://{options.bucket}/{options.prefix}"

    @property
    def client(self) -> Any:
        """Return this process's own client (its connections must not cross a fork)."""
        o = self.options
        with self.translated():
            return _client(
                os.getpid(), o.endpoint, o.region, o.profile, o.style, o.timeout_s, o.attempts
            )

    def named(self, key: str) -> dict[str, str]:
        """Return how a call names an object."""
        return {"Bucket": self.options.bucket, "Key": self.options.prefix + key}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Run a block; raises NotFound, ThereAlready or VaultUnavailable in botocore's place."""
        try:
            yield
        except ClientError as error:
            raise self._explained(error) from error
        except BotoCoreError as error:
            raise VaultUnavailable(f"{self.place}: {error}") from error

    def head(self, key: str) -> dict[str, Any] | None:
        """Return what the store says of an object, or None where there is none."""
        try:
            with self.translated():
                return self.client.head_object(**self.named(key))
        except errors.NotFound:
            return None

    def read_json(self, key: str) -> dict[str, Any] | None:
        """Return a small object's content, or None; raises VaultUnavailable where it is no JSON."""
        try:
            with self.translated():
                raw = self.client.get_object(**self.named(key))["Body"].read()
        except errors.NotFound:
            return None
        try:
            content = json.loads(raw)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise VaultUnavailable(f"{self.place}{key} cannot be read")
        return content

    def write_json(self, key: str, content: dict[str, Any], *, once: bool = False) -> None:
        """Write a small object; with `once` raises ThereAlready where there is one."""
        about = {"Body": json.dumps(content, ensure_ascii=False).encode()}
        about["ContentType"] = "application/json"
        if once and self.head(key) is not None:
            raise ThereAlready(f"{self.place}{key} is there already")
        condition = {"IfNoneMatch": "*"} if once else {}
        self.conditionally(self.client.put_object, condition, **self.named(key), **about)

    def conditionally(self, call: Any, condition: dict[str, str], **about: Any) -> Any:
        """Call with a condition, or without where this store knows none; it was looked at before.

        Raises ThereAlready where the condition does not hold.
        """
        try:
            with self.translated():
                return call(**about, **condition)
        except VaultUnavailable as error:
            if not condition or _code(error.__cause__) not in _CANNOT_CONDITION:
                raise
        with self.translated():
            return call(**about)

    def delete(self, key: str) -> None:
        """Delete a small object of the vault's own bookkeeping."""
        with self.translated():
            self.client.delete_object(**self.named(key))

    def listed(self, prefix: str, at_most: int | None = None) -> Iterator[Found]:
        """Yield the objects whose keys begin with `prefix`, in the order of their keys."""
        asked = {"Bucket": self.options.bucket, "Prefix": self.options.prefix + prefix}
        if at_most:
            asked["MaxKeys"] = at_most
        while True:
            with self.translated():
                page = self.client.list_objects_v2(**asked)
            for entry in page.get("Contents", []):
                key = entry["Key"][len(self.options.prefix) :]
                yield Found(key, entry["Size"], entry["LastModified"])
            if at_most or not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def folders(self) -> Iterator[str]:
        """Yield the first components of the keys below the vault's prefix."""
        asked = {
            "Bucket": self.options.bucket, "Prefix": self.options.prefix, "Delimiter": "/",
        }  # fmt: skip
        while True:
            with self.translated():
                page = self.client.list_objects_v2(**asked)
            for entry in page.get("CommonPrefixes", []):
                yield entry["Prefix"][len(self.options.prefix) : -1]
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _explained(self, error: ClientError) -> errors.ArgensError:
        code = _code(error)
        message = error.response.get("Error", {}).get("Message") or code
        if code in _MISSING:
            return errors.NotFound(f"{self.place}: {message}")
        if code in _THERE_ALREADY:
            return ThereAlready(f"{self.place}: {message}")
        return VaultUnavailable(f"{self.place}: {code}: {message}")


def _code(error: BaseException | None) -> str:
    response = error.response if isinstance(error, ClientError) else {}
    return str(response.get("Error", {}).get("Code", ""))


@lru_cache(maxsize=32)
def _client(
    pid: int, endpoint: str, region: str, profile: str, style: str, timeout_s: float, attempts: int
) -> Any:
    session = boto3.session.Session(profile_name=profile or None)
    return session.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=region or None,
        config=Config(
            connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
            read_timeout=timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": style},
            # we send the checksums that we choose: many stores do not take those of new clients
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
