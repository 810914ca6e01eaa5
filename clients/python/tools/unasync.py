"""Makes the synchronous client of the asynchronous one. `--check` fails if it is not up to date."""

import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src/juststorage"
WORDS = {
    "AsyncBaseTransport": "BaseTransport",
    "AsyncCalls": "Calls",
    "AsyncClient": "Client",
    "AsyncDownload": "Download",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncStore": "Store",
    "AsyncUploads": "Uploads",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}
FILES = ("calls.py", "uploads.py", "client.py")


def synchronous(name: str, text: str) -> str:
    text = re.sub(r"\b(?:async|await) ", "", text)
    text = re.sub(r"\b(" + "|".join(WORDS) + r")\b", lambda found: WORDS[found.group()], text)
    notice = f'"""Made of `_async/{name}` by `tools/unasync.py`: change that one."""'
    return notice + text[text.index('"""', 3) + 3 :]


def main() -> int:
    stale = 0
    for name in FILES:
        made = synchronous(name, (SOURCE / "_async" / name).read_text())
        target = SOURCE / "_sync" / name
        if "--check" not in sys.argv:
            target.write_text(made)
        elif not target.exists() or target.read_text() != made:
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
