"""Our own calls of S3 are signed as Amazon's library signs them."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from media.s3_requests import BucketAddress, signed

ADDRESS = BucketAddress(
    bucket="talks",
    prefix="",
    endpoint="http://s3.example:9000",
    region="eu-central-1",
    key_id="AKIA",
    secret="s/c+ret",
)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/talks", {"versions": "", "prefix": "a folder/ü", "key-marker": "a+b&c=d"}),
        ("GET", "/talks", {"uploads": ""}),
        ("DELETE", "/talks/f/programme.mp4", {"versionId": "3sL4kq_.tJlcpXroDTDmJ+rmSpXd3dIb/rHY+"}),
        ("DELETE", "/talks/f/a name~(1).opus", {"uploadId": "null"}),
    ],
    ids=["versions", "uploads", "a version", "an upload"],
)
def test_a_call_has_the_signature_that_amazons_library_gives_it(
    method: str, path: str, query: dict[str, str]
) -> None:
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    request = AWSRequest(method, f"http://s3.example:9000{quote(path)}?{asked}")
    S3SigV4Auth(Credentials("AKIA", "s/c+ret"), "s3", "eu-central-1").add_auth(request)
    at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    _, headers = signed(method, f"http://s3.example:9000{path}", query, address=ADDRESS, at=at)

    theirs = request.headers["Authorization"].replace(", ", ",")
    assert headers["authorization"] == theirs
