"""An object store for tests: moto's, over HTTP on 127.0.0.1, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3

from tests.product.court import ROOT


@dataclass
class ObjectStore:
    """The running store, and what an operator of it can see and do."""

    process: "subprocess.Popen[str]"
    url: str
    client: Any = field(repr=False)

    def tell(self, command: str) -> str:
        """Have it `down`, `up`, `fail STATUS`, be `slow SECONDS`, `odd` or `fine`; count `puts`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def bucket(self, *, versions: bool = False) -> str:
        """A new bucket; its name."""
        name = f"spaces-{uuid4()}"
        self.client.create_bucket(Bucket=name)
        if versions:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def settings(self, bucket: str, *, folder: str = "talks") -> dict[str, Any]:
        """What a server is told that keeps recordings there."""
        return {
            "store_url": f"s3://{bucket}/{folder}",
            "store_endpoint": self.url,
            "store_key_id": "test",
            "store_secret": "secret",
        }

    def keys(self, bucket: str) -> list[str]:
        """The keys that can be read."""
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def everything(self, bucket: str) -> list[str]:
        """All that takes room: versions, delete markers and unfinished uploads."""
        found = self.client.list_object_versions(Bucket=bucket)
        uploads = self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [one["Key"] for one in [*found.get("Versions", []), *found.get("DeleteMarkers", []), *uploads]]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store that is up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.product.s3_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="secret",
        )
        yield ObjectStore(process, url, client)
        client.close()
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # All that was stored lies in its memory, and giving back gigabytes takes its time.
            process.kill()
            process.wait()
        process.stdout.close()
