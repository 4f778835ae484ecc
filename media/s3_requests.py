"""Calls of S3 that obstore does not know: old versions, delete markers and unfinished uploads.

Signed by AWS Signature Version 4, as its documentation describes it; docs/decisions/0012 says why.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from media.plain import StoreAway

_EMPTY = hashlib.sha256(b"").hexdigest()
_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_MOST_ANSWER_BYTES = 16_000_000
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
# What stores say that keep no versions: then there are none.
_NOT_IMPLEMENTED = frozenset({405, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAddress:
    """A bucket of a store that speaks S3, the folder in it (empty, or ending in a slash), and who asks."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    key_id: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that takes room under a key: a version, a delete marker (without bytes), an unfinished upload."""

    key: str
    changed_at: datetime
    size_bytes: int = 0
    version: str | None = None
    upload: str | None = None
    is_latest: bool = False
    is_marker: bool = False

    @property
    def name(self) -> str:
        """Its key; what nobody can read says what it is."""
        if self.upload is not None:
            return f"{self.key}?uploadId={self.upload}"
        if self.is_marker or not self.is_latest:
            return f"{self.key}?versionId={self.version}"
        return self.key


def signed(
    method: str, url: str, query: Mapping[str, str], *, address: BucketAddress, at: datetime
) -> tuple[str, dict[str, str]]:
    """The URL and headers of a request without a body."""
    parsed = httpx.URL(url)
    host = parsed.netloc.decode("ascii")
    path = quote(parsed.path, safe="/-_.~")
    asked = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items())
    )
    stamp, day = f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y%m%d}"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = [method, path, asked, *(f"{name}:{value}" for name, value in headers.items()), "", names, _EMPTY]
    scope = f"{day}/{address.region}/s3/aws4_request"
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}"
    key = f"AWS4{address.secret}".encode()
    for part in (day, address.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={address.key_id}/{scope},SignedHeaders={names},Signature={signature}"
    )
    return f"{parsed.scheme}://{host}{path}?{asked}", headers


class S3Requests:
    """Those calls. Every one blocks, and raises StoreAway."""

    def __init__(self, address: BucketAddress, *, now: Callable[[], datetime]) -> None:
        self._address = address
        self._now = now
        self._http = httpx.Client(timeout=_TIMEOUT, trust_env=False)

    def versions(self, prefix: str) -> Iterator[Kept] | None:
        """Every version and delete marker under a prefix; None where the store keeps no versions."""
        first = self._listed("versions", {"prefix": prefix}, may_lack=True)
        return None if first is None else self._versions(first, prefix)

    def _versions(self, page: ElementTree.Element, prefix: str) -> Iterator[Kept]:
        while True:
            for found in page:
                tag = _bare(found.tag)
                if tag in {"Version", "DeleteMarker"}:
                    yield Kept(
                        key=_text(found, "Key"),
                        changed_at=_moment(_text(found, "LastModified")),
                        size_bytes=int(_text(found, "Size") or 0),
                        version=_text(found, "VersionId") or "null",
                        is_latest=_text(found, "IsLatest") == "true",
                        is_marker=tag == "DeleteMarker",
                    )
            if _text(page, "IsTruncated") != "true":
                return
            page = self._page(
                "versions",
                {
                    "prefix": prefix,
                    "key-marker": _text(page, "NextKeyMarker"),
                    "version-id-marker": _text(page, "NextVersionIdMarker"),
                },
            )

    def uploads(self, prefix: str) -> Iterator[Kept]:
        """Every upload under a prefix that was begun and neither completed nor called off."""
        page = self._listed("uploads", {"prefix": prefix}, may_lack=True)
        while page is not None:
            for found in page:
                key = _text(found, "Key")
                if _bare(found.tag) == "Upload" and key.startswith(prefix):
                    yield Kept(
                        key=key,
                        changed_at=_moment(_text(found, "Initiated")),
                        upload=_text(found, "UploadId"),
                    )
            if _text(page, "IsTruncated") != "true":
                return
            page = self._page(
                "uploads",
                {
                    "prefix": prefix,
                    "key-marker": _text(page, "NextKeyMarker"),
                    "upload-id-marker": _text(page, "NextUploadIdMarker"),
                },
            )

    def remove(self, kept: Kept) -> None:
        """For good: a version by its id, so that no marker takes its place. What is gone already is no error."""
        query = {"uploadId": kept.upload} if kept.upload else {"versionId": kept.version or "null"}
        self._call("DELETE", f"/{kept.key}", query, fine=frozenset({404}))

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps what is overwritten or deleted."""
        page = self._listed("versioning", {}, may_lack=True)
        return page is not None and _text(page, "Status") in {"Enabled", "Suspended"}

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def _page(self, what: str, query: Mapping[str, str]) -> ElementTree.Element:
        page = self._listed(what, query)
        assert page is not None
        return page

    def _listed(
        self, what: str, query: Mapping[str, str], *, may_lack: bool = False
    ) -> ElementTree.Element | None:
        wanted = {name: value for name, value in query.items() if value}
        fine = _NOT_IMPLEMENTED if may_lack else frozenset[int]()
        answer = self._call("GET", "/", {what: "", **wanted}, fine=fine)
        if answer.status_code in _NOT_IMPLEMENTED:
            return None
        if len(answer.content) > _MOST_ANSWER_BYTES:
            raise StoreAway("expected a list from the store, got more than 16 MB")
        try:
            # The operator's own store; expat bounds what entities may grow to.
            return ElementTree.fromstring(answer.content)  # noqa: S314
        except ElementTree.ParseError as error:
            raise StoreAway("expected XML from the store, got something else") from error

    def _call(
        self, method: str, path: str, query: Mapping[str, str], *, fine: frozenset[int]
    ) -> httpx.Response:
        url = f"{self._address.endpoint}/{self._address.bucket}{path.rstrip('/')}"
        url, headers = signed(method, url, query, address=self._address, at=self._now())
        try:
            answer = self._http.request(method, url, headers=headers)
        except httpx.HTTPError as error:
            raise StoreAway(f"the store does not answer: {type(error).__name__}") from error
        # A bucket that is not there proves nothing of what was in it.
        missing = answer.status_code == 404 and b"NoSuchBucket" in answer.content[:2000]
        if (answer.is_success or answer.status_code in fine) and not missing:
            return answer
        said = _CODE.search(answer.content[:2000])
        reason = f" ({said[1].decode()})" if said else ""
        raise StoreAway(f"the store answers {answer.status_code}{reason} to {method} of {next(iter(query))}")


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in element if _bare(child.tag) == name), "")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise StoreAway(f"expected a time from the store, got {text[:40]!r}") from error
    if found.tzinfo is None:
        raise StoreAway("expected a time with its zone from the store, got one without")
    return found
