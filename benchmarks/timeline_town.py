"""The rows of the timeline benchmark, and the document that everybody answers.

`python -m benchmarks.timeline_town FOLDER [URL]` fills a new database and prints the viewer's token.
"""

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from api.settings import Settings
from api.work import opened
from models.account import Account
from models.follow import Follow
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from models.timeline_item import TimelineItem, TimelineItemKind
from services import accounts
from services.changes import new_id
from services.viewers import Viewer

HOSTS, SPACES_EACH, CARDS = 12, 5, 20
DOCUMENT = """query Timeline($first: Int) {
  timeline(first: $first) {
    edges {
      node {
        id kind createdAt activityAt comment startMs url viewerCanDelete
        author { id handle name avatarUrl }
        space {
          id title state startedAt endedAt participantCount totalListenerCount
          host { id handle name avatarUrl }
        }
        recording {
          id status durationMs expiresAt startOffsetMs playCount viewerCanPlay
          playback { url mimeType expiresAt }
        }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""
PUBLIC = "http://127.0.0.1:8000"
VARIABLES = {"first": CARDS}


def settings_of(folder: Path, url: str, **changes: object) -> Settings:
    """As a server runs, but for limits and waiting for passwords and disks."""
    values: dict[str, object] = {
        "data_dir": folder, "database_url": url, "rate_limit_enabled": False, "password_hash_mib": 1,
        "worker_interval_s": 3600, "public_url": PUBLIC, "log_level": "ERROR", **changes,
    }  # fmt: skip
    return Settings(**values)  # type: ignore[arg-type]


async def fill(folder: Path, url: str) -> str:
    """Hosts whose Spaces are over and can be replayed, and somebody who follows them; their token."""
    async with opened(settings_of(folder, url)) as house:
        await house.policies.adopt(house.clock.now())
        me = await accounts.sign_up(
            house, Viewer(address="127.0.0.1"), handle="reader", name="A reader", password="correct horse"
        )
        now = house.clock.now()
        hosts = [
            Account(id=new_id(), handle=f"host_{n}", handle_key=f"host_{n}", name=f"The host {n}",
                    password_hash="", created_at=now, avatar_digest="ab" * 32)
            for n in range(HOSTS)
        ]  # fmt: skip
        await Account.bulk_create(hosts)
        await Follow.bulk_create(
            Follow(id=new_id(), follower_id=me.account.id, followee_id=host.id, created_at=now)
            for host in hosts
        )
        for number in range(HOSTS * SPACES_EACH):
            await _replayable(hosts[number % HOSTS], number, now - timedelta(hours=number + 2))
        return me.token


async def _replayable(host: Account, number: int, at: datetime) -> None:
    ended = at + timedelta(hours=1)
    space = await Space.create(
        id=new_id(), host_id=host.id, title=f"A talk about “everything”, part {number}", created_at=at,
        state=SpaceState.ENDED, started_at=at, ended_at=ended, total_listener_count=number,
        recording_enabled=True,
    )  # fmt: skip
    # Of no bytes, so that none are missed in the store.
    recording = await Recording.create(
        id=new_id(), space_id=space.id, host_id=host.id, status=RecordingStatus.AVAILABLE, created_at=at,
        started_at=at, ended_at=ended, expires_at=ended + timedelta(days=30), duration_ms=3_600_000,
        policy_version=1,
    )  # fmt: skip
    await TimelineItem.create(
        id=new_id(), kind=TimelineItemKind.SPACE_ENDED, author_id=host.id, host_id=host.id, space_id=space.id,
        recording_id=recording.id, is_public=True, created_at=at, activity_at=ended,
    )  # fmt: skip


if __name__ == "__main__":
    print(asyncio.run(fill(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")))
