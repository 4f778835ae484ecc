"""A server with people on it and a card of every kind, for tests and pictures of the client."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.media.sound import SAMPLE_RATE_HZ, Signal, decode
from tests.product.town import Person, Town
from tests.product.voices import iso, speak

DEMO = Path(__file__).parent.parent.parent.parent / "api" / "demo"
PASSWORD = "correct horse"


@cache
def conversation() -> Signal:
    """The demo conversation, all three voices at once."""
    voices = [decode(DEMO / f"{name}.opus") for name in ("host", "cohost", "speaker")]
    length = min(map(len, voices))
    return sum((voice[:length] for voice in voices[1:]), voices[0][:length])


async def resident(town: Town, handle: str, name: str) -> Person:
    """Somebody with a name of their own."""
    fields = {"handle": handle, "name": name, "password": PASSWORD}
    made = await town.anyone.do("signUp", "token user { id }", **fields)
    return Person(town, token=made["token"], id=made["user"]["id"], handle=handle)


async def recorded(town: Town, host: Person, title: str, *, seconds: float = 12.0) -> tuple[str, str]:
    """An ended Space of theirs with real speech; its id and its recording's."""
    space = await host.new_space(title=title, record=True)
    await host.do("startSpace", spaceId=space["id"])
    await speak(town, space["id"], seconds, signal=conversation()[: round(seconds * SAMPLE_RATE_HZ)])
    await host.do("endSpace", spaceId=space["id"])
    return space["id"], (await host.recording(space["id"], "id"))["id"]


@dataclass(frozen=True)
class Scene:
    """Who is there, and what they have made."""

    mira: Person
    jonas: Person
    tess: Person
    noor: Person
    mod: Person
    live_id: str
    coming_id: str
    ended_id: str
    recording_id: str
    gone_id: str
    card_url: str

    async def gather(self) -> None:
        """Who listens to the live Space is there, and Jonas asks to speak: pages that are not open are forgotten."""
        for person in (self.mira, self.jonas, self.noor):
            await person.do("joinSpace", spaceId=self.live_id)
        await self.jonas.do("raiseHand", spaceId=self.live_id, raised=True)

    def pages(self) -> "list[tuple[str, str, Person | None]]":
        """Every page of the client: a name for it, its path, and who looks."""
        return [
            ("timeline", "/", self.noor),
            ("signed-out", "/", None),
            ("space-live", f"/spaces/{self.live_id}", self.noor),
            ("space-host", f"/spaces/{self.live_id}", self.tess),
            ("space-coming", f"/spaces/{self.coming_id}", self.jonas),
            ("space-over", f"/spaces/{self.ended_id}", self.mira),
            ("new", "/new", self.mira),
            ("recordings", "/recordings", self.mira),
            ("notices", "/notices", self.noor),
            ("person", "/people/mira", self.noor),
            ("people", "/people", self.noor),
            ("sign-up", "/sign-up", None),
            ("sign-in", "/sign-in", None),
            ("moderation", "/moderation", self.mod),
            ("case", f"/moderation/case/{self.gone_id}", self.mod),
            ("log", "/moderation/log", self.mod),
            ("missing", "/spaces/none", None),
            ("malformed", "/spaces/%E0%A4%A", None),
            ("nowhere", "/no/such/page", None),
            ("card", urlsplit(self.card_url).path, None),
            ("embed", urlsplit(self.card_url).path.replace("/cards/", "/embed/"), None),
        ]


@contextlib.asynccontextmanager
async def furnished(town: Town) -> AsyncIterator[Scene]:
    """Noor follows Mira, Jonas and Tess, of whom one is live, one will be and one was."""
    town.clock.move(timedelta(days=-26))
    mira = await resident(town, "mira", "Mira Okafor")
    jonas = await resident(town, "jonas", "Jonas Lind")
    tess = await resident(town, "tess", "Tess Moreau")
    noor = await resident(town, "noor", "Noor Haddad")
    mod = await town.moderator()
    for person in (mira, jonas, tess):
        await noor.do("follow", userId=person.id)
    await recorded(town, jonas, "What the tide tables do not tell", seconds=3)
    town.clock.move(timedelta(days=9))
    _, gone = await recorded(town, jonas, "Things I said too early", seconds=2)
    await jonas.do("deleteRecording", recordingId=gone)
    ended, recording = await recorded(
        town, mira, "How a choir of strangers learned to sing in time", seconds=33
    )
    _, other = await recorded(town, mira, "Bread, salt and other first dates", seconds=4)
    await mira.do("deleteRecording", recordingId=other)
    await noor.do(
        "report", subjectId=gone, category="ABUSE", reason="He shouts at a guest, from the first minute on."
    )
    await tess.do("report", subjectId=gone, category="PRIVACY", reason="Somebody's address is read out.")
    await mod.do("setLegalHold", recordingId=other, held=True, reason="A court asks for it.")
    town.clock.move(timedelta(days=17))
    await town.round()
    ended, recording = await recorded(
        town, mira, "How a choir of strangers learned to sing in time", seconds=33
    )
    coming = await jonas.new_space(
        title="Ask me anything about building radios",
        scheduledStart=iso(town.clock.now() + timedelta(hours=26)),
    )
    await jonas.do("invite", spaceId=coming["id"], userId=noor.id, role="COHOST")
    await noor.do("setReminder", spaceId=coming["id"], enabled=True)
    words = "The story about the broken metronome is worth the whole half hour."
    shared = await tess.do(
        "shareRecording", "item { url }", recordingId=recording, comment=words, startMs=9_000
    )
    space = await tess.new_space(title="Night shift: sounds of the harbour", record=True)
    await tess.do("startSpace", spaceId=space["id"])
    live = space["id"]
    await mira.do("joinSpace", spaceId=live)
    await mira.speak_in(live, tess)
    scene = Scene(
        mira, jonas, tess, noor, mod, live, coming["id"], ended, recording, gone, shared["item"]["url"]
    )
    await scene.gather()
    async with contextlib.AsyncExitStack() as stack:
        for person, name in ((tess, "speaker"), (mira, "host")):
            publisher = await (await person.join(live)).publish(decode(DEMO / f"{name}.opus"), repeat=True)
            stack.push_async_callback(publisher.close)
        yield scene
