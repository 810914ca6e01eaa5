"""Made of `_async/client.py` by `tools/unasync.py`: change that one."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Callable, Iterable, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, BinaryIO

import httpx

from .. import _wire
from ..errors import ApiError, IntegrityError, JustStorageError, NotFound, from_answer
from ..types import (
    Deletion,
    Head,
    Object,
    Part,
    Prefix,
    PrefixDeletion,
    Progress,
    SignedUrl,
    Upload,
    read_deletion,
    read_head,
    read_object,
    read_part,
    read_signed,
    read_upload,
)
from . import _io


class Download:
    """An object on its way: iterate over its bytes. The last step raises `IntegrityError` unless they are those stored."""

    def __init__(self, response: httpx.Response, progress: Progress | None) -> None:
        self.head: Head = read_head(response.headers)
        self._response = response
        self._progress = progress
        self.is_whole = response.status_code == 200

    def __iter__(self) -> Iterator[bytes]:
        check = _wire.Verifier(self.head.content_hash, self.head.size, self.head.metadata) if self.is_whole else None
        done = 0
        total = int(self._response.headers["content-length"])
        for chunk in self._response.iter_raw(_wire.CHUNK_BYTES):
            if check is not None:
                check.update(chunk)
            done += len(chunk)
            if self._progress is not None:
                self._progress(done, total)
            yield chunk
        if check is not None:
            check.finish()
        elif done != total:
            raise IntegrityError(f"{done} bytes came of {total}")


class Store:
    """A store, by its native API.

    `tenant` is the default of every call. A request that fails for a passing reason (no connection, 429, 503) is
    repeated up to `retries` times if its body can be sent again. `transport` is for tests and proxies.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tenant: str = "default",
        retries: int = 4,
        timeout: float = 60.0,
        verify: Any = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.tenant = tenant
        self._retries = retries
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers["Accept-Encoding"] = "identity"
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout, verify=verify, transport=transport
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Write

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
        headers += _tenant(tenant or self.tenant)
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
                document = (self._call("GET", f"/v1/uploads/{resume}", headers=_tenant(tenant))).json()
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
        headers = _tenant(tenant or self.tenant)
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
                "GET", f"/v1/uploads/{upload}", headers=_tenant(tenant or self.tenant), params=query
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
        given = [*_tenant(tenant or self.tenant), *(headers or [])]
        document = {"parts": parts} if parts is not None else None
        answer = self._call("POST", f"/v1/uploads/{upload}/complete", headers=given, json=document)
        return read_object(answer.json())

    def abort_upload(self, upload: str, *, tenant: str | None = None) -> None:
        self._call("DELETE", f"/v1/uploads/{upload}", headers=_tenant(tenant or self.tenant))

    # Read

    @contextmanager
    def open(
        self,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Download]:
        """An object, or its bytes from `start` up to but not including `end`, as a stream."""
        headers = _wire.write_headers(None, None, None, if_match, None)
        if start is not None or end is not None:
            headers.append((b"Range", f"bytes={start or 0}-{'' if end is None else end - 1}".encode()))
        path = _wire.object_path(namespace, tenant or self.tenant, key)
        response = self._call("GET", path, headers=headers, stream=True)
        try:
            yield Download(response, progress)
        finally:
            response.close()

    def get(
        self,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """The bytes of an object, or of a range of it, in memory."""
        found = bytearray()
        with self.open(
            namespace, key, tenant=tenant, start=start, end=end, if_match=if_match, progress=progress
        ) as download:
            for chunk in download:
                found += chunk
        return bytes(found)

    def download_file(
        self,
        namespace: str,
        key: str,
        path: str | os.PathLike[str],
        *,
        tenant: str | None = None,
        progress: Progress | None = None,
    ) -> Head:
        """Reads an object into a file, which appears once it is whole and verified. A broken connection is taken up
        where it broke, as long as the object is still the same."""
        target = os.fspath(path)
        partial = f"{target}.part"
        head: Head | None = None
        check = _wire.Verifier("", 0, {})
        done = 0
        attempt = 0
        try:
            with open(partial, "wb") as file:
                while True:
                    try:
                        begin = done if head is not None else None
                        tag = head.etag if head is not None else None
                        with self.open(namespace, key, tenant=tenant, start=begin, if_match=tag) as download:
                            if begin is not None and download.is_whole:
                                raise IntegrityError("the server sent the whole object, not the rest that was asked for")
                            if head is None:
                                head = download.head
                                check = _wire.Verifier(head.content_hash, head.size, head.metadata)
                            for chunk in download._response.iter_raw(_wire.CHUNK_BYTES):
                                _io.write(file, chunk)
                                check.update(chunk)
                                done += len(chunk)
                                attempt = 0
                                if progress is not None:
                                    progress(done, head.size)
                        break
                    except httpx.TransportError:
                        if head is None or attempt >= self._retries:
                            raise
                        if done == head.size:
                            break
                        _io.sleep(_wire.pause(attempt, None))
                        attempt += 1
                file.flush()
                os.fsync(file.fileno())
            check.finish()
            os.replace(partial, target)
            return head
        except BaseException:
            if os.path.exists(partial):
                os.unlink(partial)
            raise

    def head(self, namespace: str, key: str, *, tenant: str | None = None) -> Head:
        path = _wire.object_path(namespace, tenant or self.tenant, key)
        return read_head((self._call("HEAD", path)).headers)

    def exists(self, namespace: str, key: str, *, tenant: str | None = None) -> bool:
        try:
            self.head(namespace, key, tenant=tenant)
        except NotFound:
            return False
        return True

    def objects(
        self,
        namespace: str,
        prefix: str = "",
        *,
        tenant: str | None = None,
        delimiter: str | None = None,
        versions: bool = False,
        tags: Mapping[str, str] | None = None,
        page: int = 1000,
    ) -> Iterator[Object | Prefix]:
        """Objects in the order of their keys, with all of these `tags`. `delimiter` rolls keys up into a `Prefix`, after
        the objects of a page; not together with `tags`."""
        query = _wire.listing(namespace, tenant or self.tenant, prefix, delimiter, versions, page, tags)
        while True:
            answer = (self._call("GET", "/v1/objects", params=query)).json()
            for document in answer["objects"]:
                yield read_object(document)
            for name in answer["prefixes"]:
                yield Prefix(name)
            if answer["next_cursor"] is None:
                return
            query["cursor"] = answer["next_cursor"]

    def namespaces(self, *, tenant: str | None = None) -> list[str]:
        """The namespaces in which the tenant keeps anything."""
        answer = self._call("GET", "/v1/usage", params={"tenant": tenant or self.tenant})
        return sorted({space["namespace"] for space in answer.json()["spaces"]})

    # Change

    def delete(
        self, namespace: str, key: str, *, tenant: str | None = None, if_match: str | None = None
    ) -> None:
        """Deletes a key; it is no error if there is none."""
        headers = _wire.write_headers(None, None, None, if_match, None)
        self._call("DELETE", _wire.object_path(namespace, tenant or self.tenant, key), headers=headers)

    def delete_version(self, id: str, *, tenant: str | None = None) -> None:
        """Deletes one version by its id."""
        self._call("DELETE", f"/v1/objects/{id}", headers=_tenant(tenant or self.tenant))

    def delete_many(
        self, namespace: str, keys: Iterable[str], *, tenant: str | None = None
    ) -> list[Deletion]:
        """Deletes keys, a thousand in one request, and tells of each, in their order. After a lost answer, what was
        deleted by it is told as not found."""
        where = {"namespace": namespace, "tenant": tenant or self.tenant}
        found: list[Deletion] = []
        for portion in _wire.portions(keys):
            document = {**where, "keys": portion}
            answer = (self._call("POST", "/v1/objects/delete", json=document)).json()
            found += [read_deletion(result) for result in answer["results"]]
        return found

    def delete_versions(self, ids: Iterable[str], *, tenant: str | None = None) -> list[Deletion]:
        """The same of single versions, by their ids."""
        found: list[Deletion] = []
        for portion in _wire.portions(ids):
            answer = self._call(
                "POST", "/v1/objects/delete", headers=_tenant(tenant or self.tenant), json={"ids": portion}
            )
            found += [read_deletion(result) for result in answer.json()["results"]]
        return found

    def delete_prefix(
        self, namespace: str, prefix: str, *, tenant: str | None = None, dry_run: bool = False
    ) -> PrefixDeletion:
        """Deletes every key that begins with `prefix`, in as many requests as it takes; `dry_run` only counts. With an
        empty prefix that is every key."""
        document: dict[str, Any] = {
            "namespace": namespace,
            "tenant": tenant or self.tenant,
            "prefix": prefix,
            "dry_run": dry_run,
        }
        whole = PrefixDeletion(0, 0, 0, [])
        while True:
            answer = (self._call("POST", "/v1/objects/delete", json=document)).json()
            whole = whole.and_then(answer)
            if answer["next"] is None:
                return whole
            document["cursor"] = answer["next"]

    def move(
        self,
        source: tuple[str, str],
        destination: tuple[str, str],
        *,
        tenant: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Object:
        """Renames (namespace, key) to (namespace, key) of one tenant in one step; no bytes move. `if_match` is about the
        source, `if_none_match` about the destination. A request whose answer is lost is not repeated."""
        ends = {"source": source, "destination": destination}
        document: dict[str, dict[str, str]] = {
            name: {"namespace": end[0], "tenant": tenant or self.tenant, "key": end[1]} for name, end in ends.items()
        }
        if if_match is not None:
            document["source"]["if_match"] = if_match
        headers = _wire.write_headers(None, None, None, None, if_none_match)
        answer = self._call("POST", "/v1/objects/move", headers=headers, json=document, lost=True)
        return read_object(answer.json())

    def tags(self, id: str, *, tenant: str | None = None) -> dict[str, str]:
        """The tags of a version."""
        answer = self._call("GET", f"/v1/objects/{id}/tags", headers=_tenant(tenant or self.tenant))
        return dict(answer.json()["tags"])

    def set_tags(self, id: str, tags: Mapping[str, str], *, tenant: str | None = None) -> None:
        """Sets the tags of a version as a whole, at most 10; none removes all."""
        headers = _tenant(tenant or self.tenant)
        self._call("PUT", f"/v1/objects/{id}/tags", headers=headers, json={"tags": dict(tags)})

    def copy(
        self,
        source: tuple[str, str],
        destination: tuple[str, str],
        *,
        tenant: str | None = None,
        if_none_match: str | None = None,
    ) -> Object:
        """Copies (namespace, key) to (namespace, key) of one tenant; no bytes move."""
        ends = {"source": source, "destination": destination}
        document = {
            name: {"namespace": end[0], "tenant": tenant or self.tenant, "key": end[1]} for name, end in ends.items()
        }
        headers = _wire.write_headers(None, None, None, None, if_none_match)
        return read_object((self._call("POST", "/v1/objects/copy", headers=headers, json=document)).json())

    def update(self, id: str, changes: Mapping[str, Any], *, tenant: str | None = None) -> Object:
        """Changes metadata, class or headers of a version in place: a JSON merge patch (RFC 7396)."""
        answer = self._call(
            "PATCH", f"/v1/objects/{id}", headers=_tenant(tenant or self.tenant), json=dict(changes)
        )
        return read_object(answer.json())

    def presign(
        self,
        method: str,
        namespace: str,
        key: str,
        *,
        tenant: str | None = None,
        expires_in: int = 3600,
        content_type: str | None = None,
        size_max: int | None = None,
        if_none_match: bool = False,
    ) -> SignedUrl:
        """A URL with which everyone may GET, PUT or DELETE this key for so many seconds. A PUT can be bound to a content
        type, to a size, and to a key that is free."""
        document: dict[str, Any] = {
            "method": method,
            "namespace": namespace,
            "tenant": tenant or self.tenant,
            "key": key,
            "expires_in": expires_in,
        }
        bounds = {"content_type": content_type, "size_max": size_max, "if_none_match": if_none_match or None}
        document |= {name: bound for name, bound in bounds.items() if bound is not None}
        return read_signed((self._call("POST", "/v1/presign", json=document)).json())

    # Requests

    def _call(
        self,
        method: str,
        path: str,
        *,
        headers: list[tuple[bytes, bytes]] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        once: bool = False,
        lost: bool = False,
        stream: bool = False,
    ) -> httpx.Response:
        """A good answer, after as many repetitions as it takes; anything else is raised. `body` makes a stream for each
        of them. A conditional request whose answer is lost is not repeated: its own effect could fail the condition;
        nor is one that says so (`lost`)."""
        conditional = lost or (any(name.startswith(b"If-") for name, _ in headers or []) and method != "GET")
        attempt = 0
        while True:
            request = self._http.build_request(
                method, path, headers=headers, params=params, json=json, content=body() if body else content
            )
            after: float | None = None
            try:
                response = self._http.send(request, stream=stream)
                if response.is_success:
                    return response
                error = from_answer(response.status_code, response.headers, response.read())
                response.close()
                if once or attempt >= self._retries or not error.is_temporary:
                    raise error
                after = error.retry_after
            except httpx.TransportError as failure:
                unknown = conditional and not isinstance(failure, httpx.ConnectError)
                if once or unknown or attempt >= self._retries:
                    raise
            _io.sleep(_wire.pause(attempt, after))
            attempt += 1


def _tenant(tenant: str) -> list[tuple[bytes, bytes]]:
    return [(b"X-Tenant", tenant.encode())]


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


__all__ = ["ApiError", "Download", "Store"]
