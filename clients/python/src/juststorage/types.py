"""Values that the calls take and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

#: Is told how many bytes of the transfer are done, and how many there are (`None`: not known).
Progress = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Object:
    """One version of a key. `content_hash` is `sha256:HEX`; of an upload in parts `sha256:HEX-N`, the SHA-256 of the
    parts' SHA-256s."""

    id: str
    namespace: str
    tenant: str
    key: str | None
    size: int
    etag: str
    content_hash: str
    content_type: str
    storage_class: str
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    is_latest: bool = True
    is_delete_marker: bool = False


@dataclass(frozen=True)
class Head:
    """What HEAD says of an object."""

    id: str
    size: int
    etag: str
    content_hash: str
    content_type: str
    storage_class: str
    last_modified: datetime
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A part of an upload that the server has."""

    number: int
    size: int
    etag: str
    content_hash: str


@dataclass(frozen=True)
class Upload:
    """An upload under way: `size` bytes of parts have arrived in `age` seconds."""

    id: str
    namespace: str
    tenant: str
    key: str | None
    size: int
    age: int
    content_type: str
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deletion:
    """What became of a key or id: `outcome` is `deleted`, `not_found` or `refused`, with the server's `code`."""

    outcome: str
    key: str | None = None
    id: str | None = None
    delete_marker: str | None = None
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class PrefixDeletion:
    """What became of the keys below a prefix; those that were refused are named."""

    deleted: int
    bytes: int
    delete_markers: int
    refused: list[Deletion]

    def and_then(self, document: Mapping[str, Any]) -> PrefixDeletion:
        """The same with what a further answer says."""
        return PrefixDeletion(
            self.deleted + document["deleted"],
            self.bytes + document["bytes"],
            self.delete_markers + document["delete_markers"],
            self.refused + [read_deletion(result) for result in document["results"]],
        )


@dataclass(frozen=True)
class Prefix:
    """A line of a listing that stands for every key below it."""

    name: str


@dataclass(frozen=True)
class SignedUrl:
    """A URL for one call, which everyone who has it may make until it expires."""

    method: str
    url: str
    path: str
    expires_at: datetime


def _time(text: str) -> datetime:
    # Python 3.10 does not read the letter.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def read_object(document: Mapping[str, Any]) -> Object:
    return Object(
        id=document["id"],
        namespace=document["namespace"],
        tenant=document["tenant_id"],
        key=document.get("key"),
        size=document.get("size_bytes") or 0,
        etag=document.get("etag") or "",
        content_hash=document.get("content_hash") or "",
        content_type=document.get("content_type") or "",
        storage_class=document.get("storage_class") or "",
        created_at=_time(document["created_at"]),
        metadata=dict(document.get("metadata") or {}),
        tags=dict(document.get("tags") or {}),
        is_latest=document.get("is_latest", True),
        is_delete_marker=document.get("is_delete_marker", False),
    )


def read_part(document: Mapping[str, Any]) -> Part:
    return Part(document["part_number"], document["size_bytes"], document["etag"], document["content_hash"])


def read_upload(document: Mapping[str, Any]) -> Upload:
    return Upload(
        id=document["id"],
        namespace=document["namespace"],
        tenant=document["tenant_id"],
        key=document["key"],
        size=document["size_bytes"],
        age=document["age_seconds"],
        content_type=document["content_type"],
        created_at=_time(document["created_at"]),
        metadata=dict(document["metadata"]),
    )


def read_deletion(document: Mapping[str, Any]) -> Deletion:
    names = ("outcome", "key", "id", "delete_marker", "code", "detail")
    return Deletion(**{name: document[name] for name in names if name in document})


def read_signed(document: Mapping[str, Any]) -> SignedUrl:
    return SignedUrl(document["method"], document["url"], document["path"], _time(document["expires_at"]))


def read_head(headers: Any) -> Head:
    """From the header of an answer to GET or HEAD. A part of an object says in `Content-Range` how long the whole is."""
    whole = headers.get("content-range", "").rpartition("/")[2]
    # httpx decodes header fields by guess; the server sends UTF-8.
    raw = {name.decode("ascii").lower(): value.decode("utf-8", "replace") for name, value in headers.raw}
    return Head(
        id=headers["x-object-id"],
        size=int(whole if whole.isdigit() else headers["content-length"]),
        etag=headers["etag"],
        content_hash=headers["x-content-hash"],
        content_type=headers.get("content-type", ""),
        storage_class=headers.get("x-storage-class", ""),
        last_modified=parsedate_to_datetime(headers["last-modified"]),
        metadata={name.removeprefix("x-meta-"): value for name, value in raw.items() if name.startswith("x-meta-")},
    )
