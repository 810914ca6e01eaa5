"""What waits outside of HTTP. The asynchronous twin is written by hand."""

from __future__ import annotations

import time
from typing import BinaryIO


def read(file: BinaryIO, size: int) -> bytes:
    return file.read(size)


def write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def sleep(seconds: float) -> None:
    time.sleep(seconds)
