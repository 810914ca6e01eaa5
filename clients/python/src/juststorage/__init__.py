"""Client of JustStorage's native API: `Store` for threads, `AsyncStore` for asyncio."""

from ._async.client import AsyncDownload, AsyncStore
from ._sync.client import Download, Store
from .errors import (
    ApiError,
    Conflict,
    Damaged,
    Forbidden,
    IntegrityError,
    InvalidRequest,
    JustStorageError,
    Limited,
    NotFound,
    PreconditionFailed,
    StorageFull,
    Unauthenticated,
    Unavailable,
)
from .types import Head, Object, Part, Prefix, Progress, SignedUrl

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "AsyncDownload",
    "AsyncStore",
    "Conflict",
    "Damaged",
    "Download",
    "Forbidden",
    "Head",
    "IntegrityError",
    "InvalidRequest",
    "JustStorageError",
    "Limited",
    "NotFound",
    "Object",
    "Part",
    "PreconditionFailed",
    "Prefix",
    "Progress",
    "SignedUrl",
    "StorageFull",
    "Store",
    "Unauthenticated",
    "Unavailable",
]
