"""Made of `_async/uploads.py` by `tools/unasync.py`: change that one."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import httpx

from .. import _wire
from ..errors import IntegrityError, JustStorageError
from ..types import Object, Part, Progress, Upload, read_object, read_part, read_upload
from . import _io
from .calls import Calls, tenant_header


class Uploads(Calls):
    """Writing objects: whole, as files, and in parts."""

    def put(
        self,
        namespace: str,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        tenant: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        progress: Progress | None = None,
    ) -> Object:
        """Writes an object in one request, of at most 5 GiB. Bytes are hashed first, so that the server stores nothing
        else; what is read or iterated is hashed on its way, and `IntegrityError` says that the server stored other
        bytes. Bytes and files that can be rewound are sent again after a passing failure."""
        seen = hashlib.sha256()
        sha256 = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else None
        headers = _wire.write_headers(content_type, metadata, storage_class, if_match, if_none_match, sha256)
        file = _wire.as_file(data)
        start = file.tell() if file is not None and file.seekable() else None
        total: int | None = len(data) if isinstance(data, bytes) else None
        if file is not None and start is not None:
            total = _wire.file_size(file)
        if total is not None:
            headers.append((b"Content-Length", str(total).encode()))

        def body() -> Iterator[bytes]:
            nonlocal seen
            seen = hashlib.sha256()
            if file is not None and start is not None:
                file.seek(start)
            done = 0
            for chunk in _chunks(data):
                seen.update(chunk)
                yield chunk
                done += len(chunk)
                if progress is not None:
                    progress(done, total)

        path = _wire.object_path(namespace, tenant or self.tenant, key)
        answer = self._call("PUT", path, headers=headers, body=body, once=total is None)
        stored = read_object(answer.json())
        expected = f"sha256:{sha256 or seen.hexdigest()}"
        if stored.content_hash != expected:
            raise IntegrityError(f"the server stored {stored.content_hash}, not {expected}")
        return stored

    def create(
        self,
        namespace: str,
        data: bytes,
        *,
        tenant: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        idempotency_key: str | None = None,
    ) -> Object:
        """Writes an object without a key, which is addressed by its id. However often the request is repeated under one
        `idempotency_key`, there is one object; without one the call makes one for its own repetitions."""
        sha256 = hashlib.sha256(data).hexdigest()
        headers = _wire.write_headers(content_type, metadata, storage_class, None, None, sha256)
        headers += tenant_header(tenant or self.tenant)
        headers.append((b"X-Namespace", namespace.encode()))
        headers.append((b"Idempotency-Key", f'"{idempotency_key or uuid.uuid4()}"'.encode()))
        return read_object((self._call("POST", "/v1/objects", headers=headers, content=data)).json())

    def upload_file(
        self,
        namespace: str,
        key: str,
        path: str | os.PathLike[str],
        *,
        tenant: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        resume: str | None = None,
        progress: Progress | None = None,
    ) -> Object:
        """Writes a file of up to 5 TiB: a small one in one request, another in parts.

        Each part is verified by the server and repeated if it fails. If the upload fails for good, the error has its
        id as `upload_id`: `resume` takes it, and sends only the parts that the server has not, or has otherwise.
        """
        tenant = tenant or self.tenant
        with open(path, "rb") as file:
            size = _wire.file_size(file)
            step = _wire.part_bytes(size, part_size)
            if size <= step and resume is None:
                data = _io.read(file, size)
                return self.put(
                    namespace,
                    key,
                    data,
                    tenant=tenant,
                    content_type=content_type,
                    metadata=metadata,
                    storage_class=storage_class,
                    if_match=if_match,
                    if_none_match=if_none_match,
                    progress=progress,
                )
            if resume is None:
                noted = {**(metadata or {}), _wire.PART_BYTES_NAME: str(step)}
                resume = self.begin_upload(
                    namespace, key, tenant=tenant, content_type=content_type, metadata=noted, storage_class=storage_class
                )
                there: dict[int, Part] = {}
            else:
                document = (self._call("GET", f"/v1/uploads/{resume}", headers=tenant_header(tenant))).json()
                step = int(document["metadata"].get(_wire.PART_BYTES_NAME, step))
                there = {part.number: part for part in self.parts(resume, tenant=tenant)}
            try:
                return self._send_parts(resume, tenant, file, size, step, there, if_match, if_none_match, progress)
            except (JustStorageError, httpx.HTTPError) as error:
                # Those of httpx too, which declare no such attribute.
                setattr(error, "upload_id", resume)
                raise

    def _send_parts(
        self,
        upload: str,
        tenant: str,
        file: BinaryIO,
        size: int,
        step: int,
        there: dict[int, Part],
        if_match: str | None,
        if_none_match: str | None,
        progress: Progress | None,
    ) -> Object:
        parts: list[dict[str, Any]] = []
        digests: list[bytes] = []
        done = 0
        for number in range(1, max(1, -(-size // step)) + 1):
            data = _io.read(file, step)
            digest = hashlib.sha256(data)
            digests.append(digest.digest())
            part = there.get(number)
            if part is None or part.content_hash != f"sha256:{digest.hexdigest()}":
                part = self.put_part(upload, number, data, tenant=tenant)
            parts.append({"part_number": number, "etag": part.etag})
            done += len(data)
            if progress is not None:
                progress(done, size)
        headers = _wire.write_headers(None, None, None, if_match, if_none_match)
        stored = self.complete_upload(upload, parts, tenant=tenant, headers=headers)
        if stored.content_hash != _wire.hash_of_parts(digests) or stored.size != size:
            raise IntegrityError(f"the server stored {stored.content_hash} of {stored.size} bytes, not the file")
        return stored

    # Uploads in parts, one call each

    def begin_upload(
        self,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
    ) -> str:
        """Begins an upload in parts; its id."""
        document: dict[str, Any] = {"namespace": namespace, "tenant": tenant or self.tenant, "key": key}
        further = {"content_type": content_type, "metadata": dict(metadata or {}), "storage_class": storage_class}
        document |= {name: value for name, value in further.items() if value}
        return str((self._call("POST", "/v1/uploads", json=document)).json()["id"])

    def put_part(self, upload: str, number: int, data: bytes, *, tenant: str | None = None) -> Part:
        """Sends a part; the server stores it only if it has the same SHA-256."""
        headers = tenant_header(tenant or self.tenant)
        headers.append((b"X-Content-SHA256", hashlib.sha256(data).hexdigest().encode()))
        answer = self._call("PUT", f"/v1/uploads/{upload}/parts/{number}", headers=headers, content=data)
        return read_part(answer.json())

    def uploads(self, namespace: str, prefix: str = "", *, tenant: str | None = None) -> Iterator[Upload]:
        """Uploads under way, in the order of their keys, with the bytes that have arrived."""
        query = {"namespace": namespace, "tenant": tenant or self.tenant, "prefix": prefix}
        while True:
            page = (self._call("GET", "/v1/uploads", params=query)).json()
            for document in page["uploads"]:
                yield read_upload(document)
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def parts(self, upload: str, *, tenant: str | None = None) -> list[Part]:
        """The parts that the server has."""
        found: list[Part] = []
        query: dict[str, Any] = {"limit": 1000}
        while True:
            answer = self._call(
                "GET", f"/v1/uploads/{upload}", headers=tenant_header(tenant or self.tenant), params=query
            )
            page = answer.json()
            found += [read_part(part) for part in page["parts"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def complete_upload(
        self,
        upload: str,
        parts: list[dict[str, Any]] | None = None,
        *,
        tenant: str | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> Object:
        """Makes the object of the parts named, or of all. A repetition gets the same answer."""
        given = [*tenant_header(tenant or self.tenant), *(headers or [])]
        document = {"parts": parts} if parts is not None else None
        answer = self._call("POST", f"/v1/uploads/{upload}/complete", headers=given, json=document)
        return read_object(answer.json())

    def abort_upload(self, upload: str, *, tenant: str | None = None) -> None:
        self._call("DELETE", f"/v1/uploads/{upload}", headers=tenant_header(tenant or self.tenant))


def _chunks(data: bytes | BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    file = _wire.as_file(data)
    if file is not None:
        while chunk := _io.read(file, _wire.CHUNK_BYTES):
            yield chunk
    elif isinstance(data, bytes):
        for begin in range(0, len(data), _wire.CHUNK_BYTES):
            yield data[begin : begin + _wire.CHUNK_BYTES]
    elif isinstance(data, Iterable):
        for chunk in data:
            yield chunk
    else:
        raise TypeError(f"data must be bytes, a binary file or an iterable of bytes, not {type(data).__name__}")
