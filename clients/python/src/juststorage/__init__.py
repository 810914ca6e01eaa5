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
from .types import Deletion, Head, Object, Part, Prefix, PrefixDeletion, Progress, SignedUrl, Upload

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "AsyncDownload",
    "AsyncStore",
    "Conflict",
    "Damaged",
    "Deletion",
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
    "PrefixDeletion",
    "Progress",
    "SignedUrl",
    "StorageFull",
    "Store",
    "Unauthenticated",
    "Unavailable",
    "Upload",
]
