"""Redis as the portal's cache: what cannot be kept there is asked for again."""

from __future__ import annotations

import logging
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

LOG = logging.getLogger(__name__)
WAIT_S = 1.0


class ForgivingRedis(RedisCache):
    """A cache that forgets while Redis is away: no page fails or hangs for it."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        patience = {"socket_connect_timeout": WAIT_S, "socket_timeout": WAIT_S}
        super().__init__(server, {**params, "OPTIONS": {**patience, **params.get("OPTIONS", {})}})

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept, `default` where Redis does not answer."""
        try:
            return super().get(key, default, version)
        except RedisError as error:
            _told(error)
            return default

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Keep a value, if Redis answers."""
        try:
            super().set(key, value, *args, **kwargs)
        except RedisError as error:
            _told(error)

    def add(self, key: str, value: Any, *args: Any, **kwargs: Any) -> bool:
        """Keep a value that is not kept yet; False where it is, or Redis does not answer."""
        try:
            return bool(super().add(key, value, *args, **kwargs))
        except RedisError as error:
            _told(error)
            return False


def _told(error: RedisError) -> None:
    LOG.warning("the cache does not answer", extra={"why": type(error).__name__})
