"""Calls of S3 that obstore does not know: old versions, delete markers, unfinished uploads, keys as they are.

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
# A page of something else between us and the store proves nothing of what it keeps.
_ROOTS = {
    "list-type": "ListBucketResult",
    "versions": "ListVersionsResult",
    "uploads": "ListMultipartUploadsResult",
}


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
    return f"{parsed.scheme}://{host}{path}{'?' if asked else ''}{asked}", headers


class S3Requests:
    """Those calls. Every one blocks, and raises StoreAway."""

    def __init__(self, address: BucketAddress, *, now: Callable[[], datetime]) -> None:
        self._address = address
        self._now = now
        self._http = httpx.Client(timeout=_TIMEOUT, trust_env=False)

    def versions(self, prefix: str) -> Iterator[Kept] | None:
        """Every version and delete marker under a prefix; None where the store keeps no versions."""
        query = {"versions": "", "prefix": prefix}
        first = self._listed(query)
        return None if first is None else self._versions(first, query)

    def _versions(self, first: ElementTree.Element, query: Mapping[str, str]) -> Iterator[Kept]:
        markers = {"key-marker": "NextKeyMarker", "version-id-marker": "NextVersionIdMarker"}
        for found in self._entries(first, query, markers=markers):
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

    def objects(self, prefix: str, *, after: str = "") -> Iterator[Kept]:
        """Every object under a prefix that can be read, in the order of their keys, behind one of them."""
        query = {"list-type": "2", "prefix": prefix, "start-after": after}
        first = self._listed(query)
        if first is None:
            raise StoreAway("the store does not list what it has")
        for found in self._entries(first, query, markers={"continuation-token": "NextContinuationToken"}):
            if _bare(found.tag) == "Contents":
                yield Kept(
                    key=_text(found, "Key"),
                    changed_at=_moment(_text(found, "LastModified")),
                    size_bytes=int(_text(found, "Size") or 0),
                    is_latest=True,
                )

    def uploads(self, prefix: str) -> Iterator[Kept]:
        """Every upload under a prefix that was begun and neither completed nor called off."""
        query = {"uploads": "", "prefix": prefix}
        first = self._listed(query)
        if first is None:
            return
        markers = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
        for found in self._entries(first, query, markers=markers):
            key = _text(found, "Key")
            if _bare(found.tag) == "Upload" and key.startswith(prefix):
                yield Kept(
                    key=key, changed_at=_moment(_text(found, "Initiated")), upload=_text(found, "UploadId")
                )

    def remove(self, kept: Kept) -> None:
        """For good: a version by its id, so that no marker takes its place. What is gone already is no error."""
        query = {"uploadId": kept.upload, "versionId": kept.version}
        known = {name: value for name, value in query.items() if value}
        self._call("DELETE", f"/{kept.key}", known, fine=frozenset({404}))

    def digest(self, kept: Kept) -> tuple[int, str]:
        """Size and SHA-256 of a version, by reading it all."""
        found, size = hashlib.sha256(), 0
        query = {"versionId": kept.version} if kept.version else {}
        url, headers = self._addressed("GET", f"/{kept.key}", query)
        headers["accept-encoding"] = "identity"
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                if answer.status_code != 200:
                    raise StoreAway(f"the store answers {answer.status_code} to GET of a version")
                for chunk in answer.iter_raw():
                    found.update(chunk)
                    size += len(chunk)
        except httpx.HTTPError as error:
            raise StoreAway(f"the store does not answer: {type(error).__name__}") from error
        return size, found.hexdigest()

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps what is overwritten or deleted."""
        page = self._listed({"versioning": ""})
        return page is not None and _text(page, "Status") in {"Enabled", "Suspended"}

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def _entries(
        self, first: ElementTree.Element, query: Mapping[str, str], *, markers: Mapping[str, str]
    ) -> Iterator[ElementTree.Element]:
        """What is in a list, over all its pages. `markers` of the next one: how they are asked, and told."""
        page: ElementTree.Element | None = first
        last: dict[str, str] = {}
        while page is not None:
            yield from page
            if _text(page, "IsTruncated") != "true":
                return
            at = {asked: value for asked, told in markers.items() if (value := _text(page, told))}
            if at == last:
                raise StoreAway("expected the next page of a list, got the same one again")
            last = at
            page = self._listed({**query, **at})
        raise StoreAway("expected the next page of a list, got none")

    def _listed(self, query: Mapping[str, str]) -> ElementTree.Element | None:
        """One page of what the first word of a query names; None where the store does not know it."""
        what = next(iter(query))
        wanted = {name: value for name, value in query.items() if value or name == what}
        answer = self._call("GET", "/", wanted, fine=_NOT_IMPLEMENTED)
        if answer.status_code in _NOT_IMPLEMENTED:
            return None
        if len(answer.content) > _MOST_ANSWER_BYTES:
            raise StoreAway("expected a list from the store, got more than 16 MB")
        try:
            # The operator's own store; expat bounds what entities may grow to.
            page = ElementTree.fromstring(answer.content)  # noqa: S314
        except ElementTree.ParseError as error:
            raise StoreAway("expected XML from the store, got something else") from error
        if (found := _bare(page.tag)) != _ROOTS.get(what, found):
            raise StoreAway(f"expected {_ROOTS[what]} from the store, got {found[:40]}")
        return page

    def _call(
        self, method: str, path: str, query: Mapping[str, str], *, fine: frozenset[int]
    ) -> httpx.Response:
        url, headers = self._addressed(method, path, query)
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
        what = next(iter(query), "objects")
        raise StoreAway(f"the store answers {answer.status_code}{reason} to {method} of {what}")

    def _addressed(self, method: str, path: str, query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        # A key is named as it is, with a slash at its end too; the bucket has none.
        named = "" if path == "/" else quote(path, safe="/-_.~")
        url = f"{self._address.endpoint}/{self._address.bucket}{named}"
        return signed(method, url, query, address=self._address, at=self._now())


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
