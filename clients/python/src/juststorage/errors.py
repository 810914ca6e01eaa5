"""What can go wrong, by what the caller should do about it."""

from __future__ import annotations

import json
from typing import Any


class JustStorageError(Exception):
    """Of everything that this package raises by itself. Failures of the network are `httpx.TransportError`."""

    #: Of an upload in parts that failed: `upload_file` takes it as `resume`.
    upload_id: str | None = None


class IntegrityError(JustStorageError):
    """Bytes that arrived are not those that were sent. Nothing is kept of them: transfer again."""


class ApiError(JustStorageError):
    """An answer other than success: a problem document (RFC 9457).

    `code` is stable, for programs; `detail` is for people; `field` names the wrong header, parameter or field;
    `request_id` identifies the request in the server's log; `retry_after` is in seconds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        passes = self.status in (408, 429, 502, 503, 504) or self.code == "request_in_progress"
        return passes and self.code != "quota_exceeded"


class InvalidRequest(ApiError):
    """400 and others of their kind: mend the request; `field` says what."""


class Unauthenticated(ApiError):
    """401: the token is missing, wrong, revoked or expired."""


class Forbidden(ApiError):
    """403: the token lacks a right, or a policy or a lock forbids it."""


class NotFound(ApiError):
    """404: it does not exist, or the token may not see it."""


class Conflict(ApiError):
    """409: a concurrent request won, or the state does not allow it."""


class PreconditionFailed(ApiError):
    """412: `if_match` or `if_none_match` does not hold."""


class Limited(ApiError):
    """429: the tenant exceeds a limit (`rate_limited`) or its quota (`quota_exceeded`)."""


class Damaged(ApiError):
    """500 `data_corrupt` or `data_unreadable`: the stored bytes cannot be read, and were not sent."""


class Unavailable(ApiError):
    """503: busy or not ready; try again after `retry_after`."""


class StorageFull(ApiError):
    """507: the store has no room."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    429: Limited,
    503: Unavailable,
    507: StorageFull,
}


def from_answer(status: int, headers: Any, body: bytes) -> ApiError:
    """The error that an answer stands for, also where a proxy answered in words of its own."""
    problem: dict[str, Any] = {}
    if "json" in headers.get("content-type", ""):
        try:
            decoded = json.loads(body)
            problem = decoded if isinstance(decoded, dict) else {}
        except ValueError:
            pass
    code = str(problem.get("code", f"http_{status}"))
    kind = _BY_STATUS.get(status, InvalidRequest if 400 <= status < 500 else ApiError)
    if code in ("data_corrupt", "data_unreadable"):
        kind = Damaged
    after = headers.get("retry-after")
    return kind(
        status,
        code,
        str(problem.get("detail", problem.get("title", "the answer is no problem document"))),
        field=problem.get("field"),
        request_id=problem.get("request_id", headers.get("x-request-id")),
        retry_after=float(after) if after is not None and after.isdigit() else None,
    )
