"""A town in which recordings are reported, held, opened and purged; its recordings need no audio."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from schema import ids
from tests.product.databases import databases
from tests.product.town import Person, Town, open_town

ROOT = Path(__file__).parent.parent.parent
MILLISECOND = timedelta(milliseconds=1)
RETENTION = "retention { publicUntil reviewUntil isHeld policyVersion receipt { purgedAt sizeBytes sha256 document } }"


def moment(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


@dataclass
class Court:
    """A town with the three who meet over a recording."""

    town: Town
    host: Person
    listener: Person
    moderator: Person

    async def recorded(self) -> str:
        """An AVAILABLE recording of the host."""
        space_id = await self.host.live_space(record=True)
        await self.host.do("endSpace", spaceId=space_id)
        recording = await self.host.recording(space_id, "id status")
        assert recording["status"] == "AVAILABLE"
        return str(recording["id"])

    async def deleted(self) -> tuple[str, datetime]:
        """A recording that its host has deleted, and when: the clock stands still there."""
        recording_id = await self.recorded()
        gone_at = self.town.clock.now()
        self.town.clock.stand_at(gone_at)
        await self.host.do("deleteRecording", recordingId=recording_id)
        return recording_id, gone_at

    async def of(self, recording_id: str, want: str, *, by: Person | None = None) -> Any:
        """Fields of a recording."""
        query = f"query($id: ID!) {{ recording(id: $id) {{ {want} }} }}"
        return (await (by or self.moderator).read(query, id=recording_id))["recording"]

    async def status(self, recording_id: str) -> str:
        """A recording's status."""
        return str((await self.of(recording_id, "status"))["status"])

    async def report(self, subject_id: str, *, by: Person | None = None, category: str = "ABUSE") -> str:
        """A report; its id."""
        made = await (by or self.listener).do(
            "report", "report { id }", subjectId=subject_id, category=category, reason="Listen to minute 3."
        )
        return str(made["report"]["id"])

    async def decide(self, recording_id: str, decision: str) -> None:
        """A moderator's decision."""
        await self.moderator.do(
            "reviewRecording", recordingId=recording_id, decision=decision, note="Heard it."
        )

    async def hold(self, recording_id: str, *, held: bool = True) -> None:
        """Set or release a hold."""
        await self.moderator.do(
            "setLegalHold", recordingId=recording_id, held=held, reason="Case 12 of 2026."
        )

    async def open_copy(self, recording_id: str) -> str:
        """The URL of the review copy's playlist."""
        opened = await self.moderator.do(
            "openReviewCopy",
            "playback { url expiresAt }",
            recordingId=recording_id,
            reason="Report of today.",
        )
        return str(opened["playback"]["url"])

    async def at(self, instant: datetime) -> None:
        """Stop the clock at an instant, and let the clockwork do its round."""
        self.town.clock.stand_at(instant)
        await self.town.round()

    async def log(self, subject_id: str | None = None) -> list[dict[str, Any]]:
        """The audit log, the oldest first."""
        query = """query($id: ID) { moderation { auditLog(subjectId: $id, first: 100) {
            edges { node { id at actorId action subjectId outcome hash } } } } }"""
        data = await self.moderator.read(query, id=subject_id)
        return [edge["node"] for edge in reversed(data["moderation"]["auditLog"]["edges"])]

    def folder(self, recording_id: str) -> Path:
        """Where a recording lies."""
        return self.town.data_dir / "recordings" / str(ids.read(recording_id, "Recording", path="id"))


@contextlib.asynccontextmanager
async def open_court(data_dir: Path, **changes: Any) -> AsyncIterator[Court]:
    """A court of a fresh town."""
    async with open_town(data_dir, quiet=True, **changes) as town:
        host, listener = await town.person(), await town.person()
        yield Court(town=town, host=host, listener=listener, moderator=await town.moderator())


async def spaces(data_dir: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command line in a process of its own: its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.cli",
        *arguments,
        cwd=ROOT,
        env={
            **os.environ,
            "SPACES_DATA_DIR": str(data_dir),
            "SPACES_DATABASE_URL": databases.url(data_dir),
            "COLUMNS": "200",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()
