"""Makes the synchronous client of the asynchronous one. `--check` fails if it is not up to date."""

import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src/juststorage"
WORDS = {
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncDownload": "Download",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncStore": "Store",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}
NOTICE = '"""Made of `_async/client.py` by `tools/unasync.py`: change that one."""'


def synchronous(text: str) -> str:
    text = re.sub(r"\b(?:async|await) ", "", text)
    text = re.sub(r"\b(" + "|".join(WORDS) + r")\b", lambda found: WORDS[found.group()], text)
    return NOTICE + text[text.index('"""', 3) + 3 :]


def main() -> int:
    made = synchronous((SOURCE / "_async/client.py").read_text())
    target = SOURCE / "_sync/client.py"
    if "--check" in sys.argv:
        return 0 if target.exists() and target.read_text() == made else 1
    target.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
