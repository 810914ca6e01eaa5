"""What both clients send and check, without any input or output."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import quote

from .errors import IntegrityError

#: Bytes of a part unless the object would have too many; also up to which one request carries a file.
PART_BYTES = 16 * 1024 * 1024
#: A part but the last has at least as many bytes.
PART_BYTES_MIN = 5 * 1024 * 1024
PARTS_MAX = 10_000
#: Keys or ids of one request.
ENTRIES_MAX = 1000
CHUNK_BYTES = 256 * 1024
#: Of an upload in parts by this package: the size of its parts, by which a download is verified.
PART_BYTES_NAME = "part-bytes"


def object_path(namespace: str, tenant: str, key: str) -> str:
    """The path of a key. Segments of dots are escaped, because URLs drop them and keys do not."""
    segments = [quote(segment, safe="") for segment in key.split("/")]
    segments = [segment.replace(".", "%2E") if segment in (".", "..") else segment for segment in segments]
    return f"/v1/objects/by-key/{quote(namespace, safe='')}/{quote(tenant, safe='')}/{'/'.join(segments)}"


def write_headers(
    content_type: str | None,
    metadata: Mapping[str, str] | None,
    storage_class: str | None,
    if_match: str | None,
    if_none_match: str | None,
    sha256: str | None = None,
) -> list[tuple[bytes, bytes]]:
    given = {
        "Content-Type": content_type,
        "X-Storage-Class": storage_class,
        "If-Match": if_match,
        "If-None-Match": if_none_match,
        "X-Content-SHA256": sha256,
        **{f"X-Meta-{name}": value for name, value in (metadata or {}).items()},
    }
    return [(name.encode("ascii"), value.encode()) for name, value in given.items() if value is not None]


def part_bytes(size: int, asked: int | None) -> int:
    """The size of parts: as asked, else as large as it must be for 10,000 of them."""
    if asked is not None:
        if asked < PART_BYTES_MIN or -(-size // asked) > PARTS_MAX:
            raise ValueError(f"part_size must be at least {PART_BYTES_MIN}, and make at most {PARTS_MAX} parts")
        return asked
    chosen = PART_BYTES
    while -(-size // chosen) > PARTS_MAX:
        chosen *= 2
    return chosen


def as_file(data: object) -> BinaryIO | None:
    """`data` if it is a file; a file can be iterated too, but by lines."""
    return cast(BinaryIO, data) if hasattr(data, "read") else None


def file_size(file: BinaryIO) -> int:
    """Bytes from here to the end; the position stays."""
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here


def hash_of_parts(digests: list[bytes]) -> str:
    return f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}-{len(digests)}"


def pause(attempt: int, after: float | None) -> float:
    """Seconds before the next try: as the server says, else doubling from a quarter of a second, and never in step."""
    return after if after is not None else min(0.25 * 2**attempt, 10.0) * random.uniform(0.5, 1.0)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Verifier:
    """Holds the bytes of a whole object against its `content_hash`.

    The hash of an upload in parts is over the parts' hashes: it can be checked only where the size of the parts is
    known, as of uploads by this package. Otherwise only the length is; the server checks each stored byte itself.
    """

    def __init__(self, content_hash: str, size: int, metadata: Mapping[str, str]) -> None:
        self._expected = content_hash
        self._size = size
        self._seen = 0
        in_parts = "-" in content_hash
        step = metadata.get(PART_BYTES_NAME, "") if in_parts else ""
        self._step = int(step) if step.isascii() and step.isdigit() and int(step) > 0 else None
        self._digests: list[bytes] = []
        self._hash: _Hash = hashlib.sha256()
        #: Whether the bytes were held against a hash, and not only counted.
        self.by_hash = not in_parts or self._step is not None

    def update(self, data: bytes) -> None:
        self._seen += len(data)
        if self._step is None:
            self._hash.update(data)
            return
        view = memoryview(data)
        before = self._seen - len(data)
        while view:
            room = self._step - before % self._step
            self._hash.update(bytes(view[:room]))
            before += min(room, len(view))
            view = view[room:]
            if before % self._step == 0:
                self._digests.append(self._hash.digest())
                self._hash = hashlib.sha256()

    def finish(self) -> None:
        """Raises `IntegrityError` unless everything came as it was stored."""
        if self._seen != self._size:
            raise IntegrityError(f"{self._seen} bytes came of {self._size}")
        if not self.by_hash:
            return
        if self._step is None:
            found = f"sha256:{self._hash.digest().hex()}"
        else:
            if self._seen % self._step:
                self._digests.append(self._hash.digest())
            found = hash_of_parts(self._digests)
        if found != self._expected:
            raise IntegrityError(f"the bytes have {found}, the object {self._expected}")


def portions(entries: Iterable[str]) -> Iterator[list[str]]:
    """What one request for many may name at a time."""
    portion: list[str] = []
    for entry in entries:
        portion.append(entry)
        if len(portion) == ENTRIES_MAX:
            yield portion
            portion = []
    if portion:
        yield portion


def listing(
    namespace: str,
    tenant: str,
    prefix: str,
    delimiter: str | None,
    versions: bool,
    page: int,
    tags: Mapping[str, str] | None,
) -> dict[str, Any]:
    query = {"namespace": namespace, "tenant": tenant, "prefix": prefix or None, "delimiter": delimiter, "limit": page}
    if tags:
        query["tag"] = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in tags.items())
    if versions:
        query["versions"] = "true"
    return {name: value for name, value in query.items() if value is not None}
