"""AWS Signature Version 4, so that a load generator can be given ready-made URLs.

Rules: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import datetime
import hashlib
import hmac
import http.client
import urllib.parse
from dataclasses import dataclass

REGION = "us-east-1"


@dataclass(frozen=True)
class Account:
    """Where a server listens and who may speak to it."""

    host: str
    access_key: str
    secret_key: str
    region: str = REGION


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(account: Account, day: str) -> bytes:
    """The key of one day; derived once for a list of URLs."""
    key = _hmac(b"AWS4" + account.secret_key.encode(), day)
    for step in (account.region, "s3", "aws4_request"):
        key = _hmac(key, step)
    return key


class Presigner:
    """Signs many URLs of one account, all made at one moment and good for a day."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.now[:8]}/{account.region}/s3/aws4_request"
        self.key = signing_key(account, self.now[:8])

    def target(self, method: str, path: str, query: dict[str, str] | None = None) -> str:
        """Path and query of a presigned request, without scheme and host."""
        fields = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.account.access_key}/{self.scope}",
            "X-Amz-Date": self.now,
            "X-Amz-Expires": "86400",
            "X-Amz-SignedHeaders": "host",
        } | (query or {})
        encoded = "&".join(
            f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}"
            for name, value in sorted(fields.items())
        )
        path = urllib.parse.quote(path)
        canonical = f"{method}\n{path}\n{encoded}\nhost:{self.account.host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.now}\n{self.scope}\n{digest}"
        signature = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return f"{path}?{encoded}&X-Amz-Signature={signature}"

    def url(self, method: str, path: str, query: dict[str, str] | None = None) -> str:
        """The whole URL."""
        return f"http://{self.account.host}{self.target(method, path, query)}"


class Failed(Exception):
    """A server refused what a benchmark needs, with this status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One connection for the few requests around a measurement. Everything is presigned."""

    def __init__(self, account: Account) -> None:
        self.signer = Presigner(account)
        self.connection = http.client.HTTPConnection(account.host, timeout=600)

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[bytes, http.client.HTTPMessage]:
        """One request; raises on anything but a 2xx."""
        if headers:
            return self._signed_headers(method, path, query, body, headers)
        self.connection.request(method, self.signer.target(method, path, query), body)
        return self._answer(method, path)

    def _signed_headers(self, method, path, query, body, headers):
        """As `call`, with headers of S3's own, which have to be signed: by Authorization header."""
        signer, account = self.signer, self.signer.account
        payload = hashlib.sha256(body or b"").hexdigest()
        sent = {"host": account.host, "x-amz-content-sha256": payload, "x-amz-date": signer.now}
        sent |= {name.lower(): value for name, value in headers.items()}
        names = ";".join(sorted(sent))
        listed = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
        encoded = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote)
        path = urllib.parse.quote(path)
        canonical = f"{method}\n{path}\n{encoded}\n{listed}\n{names}\n{payload}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{signer.now}\n{signer.scope}\n{digest}"
        signature = hmac.new(signer.key, text.encode(), hashlib.sha256).hexdigest()
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={account.access_key}/{signer.scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        self.connection.request(method, path + (f"?{encoded}" if encoded else ""), body, sent)
        return self._answer(method, path)

    def _answer(self, method: str, path: str) -> tuple[bytes, http.client.HTTPMessage]:
        answer = self.connection.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise Failed(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}", answer.status)
        return content, answer.headers
