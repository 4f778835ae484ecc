"""A town in which everybody of the permission table has their part, and what each of them is told."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from media import journal
from media.journal import JOURNAL
from models.appeal import Appeal
from models.block import Block
from models.recording import Recording, RecordingStatus
from models.review_opening import ReviewOpening
from models.space import Space, SpaceState
from schema import ids
from services import accounts
from services.changes import new_id
from tests.product.quiet_engine import write_recording
from tests.product.test_profiles import picture
from tests.product.town import Person, Town, open_town
from tests.product.voices import iso, uuid_of

PEOPLE = (
    "anonymous", "listener", "speaker", "cohost", "host", "another host", "blocked", "ticket holder", "moderator",
    "deleted",
)  # fmt: skip
PASSWORD = "correct horse"
# Nobody listens there, and nothing leaves this machine.
NOWHERE = "http://127.0.0.1:9/hook"


@dataclass
class World:
    """The people, and the things that they look at and act on, by name."""

    town: Town
    people: dict[str, Person]
    things: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> Person:
        """Whose things they are."""
        return self.people["host"]

    async def scheduled(self, **fields: Any) -> str:
        """A coming Space of the host, of which nothing has happened yet."""
        return str((await self.host.new_space(**fields))["id"])

    async def recording(self) -> str:
        """A recording of the host that can be played, which nobody has touched."""
        return await _recorded(self.people["another host"], self.town, owner=self.host)

    async def taken_down(self) -> str:
        """A recording of the host that a moderator took down."""
        recording_id = await self.recording()
        given = {"recordingId": recording_id, "decision": "VIOLATION", "note": "Heard it."}
        await self.people["moderator"].do("reviewRecording", **given)
        return recording_id

    async def deleted(self) -> str:
        """A recording of the host that the host deleted."""
        recording_id = await self.recording()
        await self.host.do("deleteRecording", recordingId=recording_id)
        return recording_id

    async def share_of(self, who: str) -> str:
        """A share of somebody; of the host for who cannot share."""
        author = self.people[who] if who not in {"anonymous", "blocked", "deleted"} else self.host
        made = await author.do("shareSpace", "item { id }", spaceId=self.things["ended"])
        return str(made["item"]["id"])

    async def clip_of(self, who: str) -> str:
        """A clip that somebody cut of the host's recording; of the host for who can cut none."""
        author = self.people[who] if who not in {"anonymous", "blocked", "deleted"} else self.host
        wish = {"recordingId": self.things["ended recording"], "startMs": 0, "endMs": 500, "title": "Tea"}
        return str((await author.do("createClip", "clip { id }", **wish))["clip"]["id"])

    async def token_of(self, who: str) -> str:
        """An access token of somebody; of the host for who can have none."""
        owner = self.people[who] if who not in {"anonymous", "deleted"} else self.host
        made = await owner.do("createAccessToken", "accessToken { id }", name="One", scopes=["READ"])
        return str(made["accessToken"]["id"])

    async def webhook_of(self, who: str) -> str:
        """A webhook of somebody, for what does not happen here; of the host for who can have none."""
        owner = self.people[who] if who not in {"anonymous", "deleted"} else self.host
        wish = {"url": NOWHERE, "events": ["RECORDING_FAILED"]}
        return str((await owner.do("createWebhook", "webhook { id }", **wish))["webhook"]["id"])

    async def running(self, who: str) -> str:
        """The live Space; for the moderator one of another host, which is none of theirs either."""
        if who != "moderator":
            return self.things["live"]
        return await (await self.newcomer()).live_space()

    async def guest(self) -> str:
        """Somebody who has just come into the live Space to listen."""
        person = await self.newcomer()
        await person.do("joinSpace", spaceId=self.things["live"])
        return person.id

    async def again(self, who: str) -> Person:
        """Somebody at another device, to whose session nothing else is tied."""
        person = self.people[who]
        if who in {"anonymous", "deleted"}:
            return person
        made = await self.town.anyone.do("signIn", "token", handle=person.handle, password=PASSWORD)
        return replace(person, token=made["token"])

    async def newcomer(self) -> Person:
        """Somebody who has just signed up."""
        return await self.town.person()


async def _recorded(runner: Person, town: Town, *, owner: Person) -> str:
    """A recording without a Space being run: the host of the table is live all the time."""
    space_id = str((await owner.new_space(record=True))["id"])
    recording = await Recording.get(space_id=uuid_of(space_id))
    now = town.clock.now()
    facts = write_recording(town.built.house.recording_dir(recording.id), at_ms=int(now.timestamp() * 1000))
    await Space.filter(id=uuid_of(space_id)).update(state=SpaceState.ENDED, started_at=now, ended_at=now)
    await Recording.filter(id=recording.id).update(
        status=RecordingStatus.AVAILABLE,
        started_at=now,
        ended_at=now,
        expires_at=now + timedelta(days=30),
        duration_ms=facts.duration_ms,
        size_bytes=facts.size_bytes,
    )
    return str(ids.pack("Recording", recording.id))


@contextlib.asynccontextmanager
async def open_world(data_dir: Path) -> AsyncIterator[World]:
    """Everybody in place: a live Space, an ended one, a ticketed one, one whose recording is gone."""
    async with open_town(data_dir, quiet=True, webhook_private_addresses=True) as town:
        people = {
            name: await town.person(name.replace(" ", "_").replace("deleted", "who_left"))
            for name in PEOPLE
            if name != "anonymous"
        }
        await accounts.promote(town.built.house, "moderator")
        people["anonymous"] = town.anyone
        world = World(town=town, people=people)
        await _furnish(world)
        await people["deleted"].do("deleteAccount", password=PASSWORD)
        yield world


async def _furnish(world: World) -> None:
    host, things = world.host, world.things
    await host.do("updateAccount", bio="Hosts.")
    await host.do("follow", userId=world.people["cohost"].id)
    await world.people["speaker"].do("follow", userId=host.id)
    await world.town.http.put("/account/avatar", content=picture(), headers=host.headers)
    things["ended"] = await _ended(world)
    things["ticketed"] = await _ended(world, ticketing={"priceMinor": 0, "capacity": 9})
    things["on sale"] = str((await host.new_space(ticketing={"priceMinor": 0, "capacity": 99}))["id"])
    things["gone"] = await _ended(world)
    for name in ("ended", "ticketed", "gone"):
        things[f"{name} recording"] = (await host.recording(things[name], "id"))["id"]
    await _tell_of_the_ended(world)
    await _take_away(world)
    await _hook(world)
    things["live"] = await _live(world)
    await _attend(world, things["live"], "listener", "speaker", "cohost", "moderator", "another host")
    things["live recording"] = (await host.recording(things["live"], "id"))["id"]
    made = await host.do(
        "invite",
        "invitation { id }",
        spaceId=things["live"],
        userId=world.people["another host"].id,
        role="SPEAKER",
    )
    things["invitation"] = made["invitation"]["id"]
    things["listening"] = (
        await world.people["listener"].space(things["live"], "viewerParticipation { id }")
    )["viewerParticipation"]["id"]
    things["speaking"] = (await world.people["speaker"].space(things["live"], "viewerParticipation { id }"))[
        "viewerParticipation"
    ]["id"]
    things["card"] = (await host.read("{ timeline(first: 1) { edges { node { id } } } }"))["timeline"][
        "edges"
    ][0]["node"]["id"]
    made = await host.do(
        "shareRecording", "item { id }", recordingId=things["ended recording"], comment="Hear"
    )
    things["share"] = made["item"]["id"]
    cut = {"startMs": 0, "endMs": 500, "title": "Tea"}
    for name in ("ended", "ticketed"):
        made = await world.people["cohost"].do(
            "createClip", "clip { id } item { id }", recordingId=things[f"{name} recording"], **cut
        )
        things[f"{name} clip"], things[f"{name} clip card"] = made["clip"]["id"], made["item"]["id"]
    made = await world.people["listener"].do(
        "report", "report { id }", subjectId=things["live"], category="SPAM", reason="Soap."
    )
    things["report"] = made["report"]["id"]
    log = "{ moderation { auditLog { edges { node { id } } } } }"
    found = (await world.people["moderator"].read(log))["moderation"]["auditLog"]["edges"]
    things["audit entry"] = found[0]["node"]["id"]
    for name, person in world.people.items():
        if name not in {"anonymous", "deleted"}:
            await person.do("createAccessToken", name="A program", scopes=["READ"])
    things["left"] = world.people["deleted"].id
    things["lone"] = (await world.people["host"].new_space())["id"]
    things["toggled"] = await world.scheduled()
    await host.do("toggleRecording", spaceId=things["toggled"], enabled=True)
    tokens = (await host.read("{ viewer { accessTokens { id } } }"))["viewer"]["accessTokens"]
    things["token"] = tokens[0]["id"]
    await Block.create(
        id=new_id(),
        blocker_id=uuid_of(host.id),
        blocked_id=uuid_of(world.people["blocked"].id),
        created_at=world.town.clock.now(),
    )
    await world.people["moderator"].do("updateRollout", percentage=50)


async def _hook(world: World) -> None:
    """A webhook of everybody, and what that of the host is called with; nobody answers there."""
    for name, person in world.people.items():
        if name != "anonymous":
            wish = {"url": NOWHERE, "events": ["SPACE_STARTED"]}
            made = await person.do("createWebhook", "webhook { id }", **wish)
            world.things[f"webhook of {name}"] = made["webhook"]["id"]
    await _ended(world)
    query = "{ viewer { webhooks { deliveries { edges { node { id } } } } } }"
    (hook,) = (await world.host.read(query))["viewer"]["webhooks"]
    world.things["delivery"] = hook["deliveries"]["edges"][0]["node"]["id"]
    world.things["webhook"] = world.things["webhook of host"]


async def _live(world: World, **fields: Any) -> str:
    start = iso(world.town.clock.now() + timedelta(minutes=5))
    wish = {
        "description": "About it.",
        "language": "en",
        "topics": ["tea"],
        "scheduledStart": start,
        **fields,
    }
    space_id = await world.scheduled(record=True, **wish)
    await world.host.do("startSpace", spaceId=space_id)
    return space_id


async def _attend(world: World, space_id: str, *names: str) -> None:
    """Come in; speaker and co-host in their roles, by invitation."""
    for name, role in (("speaker", "SPEAKER"), ("cohost", "COHOST")):
        wish = {"spaceId": space_id, "userId": world.people[name].id, "role": role}
        made = await world.host.do("invite", "invitation { id }", **wish)
        given = {"invitationId": made["invitation"]["id"], "accept": True}
        await world.people[name].do("respondToInvitation", **given)
    for name in names:
        await world.people[name].do("joinSpace", spaceId=space_id)
        consent = (await world.host.space(space_id, "consent { version }"))["consent"]
        await world.people[name].do(
            "acknowledgeRecording", spaceId=space_id, consentVersion=consent["version"]
        )


async def _ended(world: World, **fields: Any) -> str:
    """A recorded Space of the host that is over."""
    space_id = await _live(world, **fields)
    if "ticketing" in fields:
        await world.people["ticket holder"].do("purchaseTicket", spaceId=space_id)
        await _attend(world, space_id, "speaker", "cohost", "ticket holder")
    else:
        await _attend(world, space_id, "listener", "speaker", "cohost")
    await world.host.do("endSpace", spaceId=space_id)
    return space_id


async def _tell_of_the_ended(world: World) -> None:
    """Give the ended recording a gap, a turn, and everybody's position in it."""
    recording_id = world.things["ended recording"]
    directory = world.town.data_dir / "recordings" / str(uuid_of(recording_id))
    turn = journal.Spoke(participant_id=str(uuid_of(world.host.id)), start_ms=0, end_ms=500)
    with (directory / JOURNAL).open("ab") as file:
        file.write(journal.spoke(turn))
    gaps = [{"start_ms": 600, "end_ms": 700, "cause": "RESTART"}]
    await Recording.filter(id=uuid_of(recording_id)).update(gaps=gaps)
    for name, person in world.people.items():
        if name not in {"anonymous", "deleted"}:
            await person.do("savePlaybackPosition", recordingId=recording_id, positionMs=5)


async def _take_away(world: World) -> None:
    """A recording that was deleted, looked into and purged."""
    recording_id = world.things["gone recording"]
    await world.host.do("deleteRecording", recordingId=recording_id)
    row = uuid_of(recording_id)
    now = world.town.clock.now()
    await ReviewOpening.create(
        id=new_id(),
        recording_id=row,
        moderator_id=uuid_of(world.people["moderator"].id),
        reason="A report.",
        at=now,
        disclosed_at=now,
    )
    await Appeal.create(
        id=new_id(),
        recording_id=row,
        account_id=uuid_of(world.host.id),
        statement="It was no soap.",
        created_at=now,
        closed_at=now,
    )
    await Recording.filter(id=row).update(gone_at=now - timedelta(days=31), purge_at=now - timedelta(days=1))
    await world.town.round()
    assert (await world.host.recording(world.things["gone"], "status"))["status"] == "PURGED"
