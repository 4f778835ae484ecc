"""Whatever people do in a live Space, in whatever order, it is where a small model says, and tells so completely."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.product.room_model import Being, RoomModel
from tests.product.test_invitations import invitations
from tests.product.town import Person, Town, open_town
from tests.product.voices import present, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

# So few that a handful of people reaches them.
COHOSTS, SPEAKERS, PEOPLE = 1, 2, 6
SILENCE = timedelta(seconds=61)
PLAIN = {
    "join": [""], "leave": [""], "hand": ["up", "up", "down"], "approve": [""], "back": [""],
    "invite": ["COHOST", "SPEAKER"], "answer": ["yes", "yes", "no"], "mute": ["on", "off"], "remove": [""],
    "policy": ["RAISED_HAND", "FOLLOWED", "INVITED"], "silence": [""], "connect": [""], "disconnect": [""],
    "block": [""], "unblock": [""], "end": [""],
}  # fmt: skip
OFTEN = ["join", "join", "hand", "approve", "invite", "answer", "answer", "connect"]
SEEN = """state cohosts { id } participantCount peakListenerCount totalListenerCount
  participants(first: 100) { edges { node { role handRaised isMuted leftAt user { id } } } }"""
EVENTS = """query($id: ID!, $after: String) { spaceEvents(spaceId: $id, first: 100, after: $after) {
  edges { cursor node { kind } } } }"""

Step = tuple[str, int, int, str]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """An action, by whom, on whom, and how."""
    action = draw(st.sampled_from([*OFTEN, *PLAIN]))
    person = st.integers(0, PEOPLE - 1)
    who, whom = draw(st.one_of(person, st.just(0))), draw(person)
    return action, who, whom, draw(st.sampled_from(PLAIN[action]))


@dataclass
class Stage:
    """A town and its people, who play one Space after the other."""

    town: Town
    people: list[Person]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One for all examples."""
    data: Path = tmp_path_factory.mktemp("stage") / "data"
    async with open_town(data, quiet=True, cohosts=COHOSTS, speakers=SPEAKERS) as town:
        yield Stage(town, [await town.person() for _ in range(PEOPLE)])


@dataclass
class Play:
    """One Space on the server, beside the model of it."""

    stage: Stage
    model: RoomModel
    space_id: str
    presence: contextlib.ExitStack
    open_ones: dict[int, contextlib.ExitStack]
    cursor: str | None = None

    async def step(self, action: str, who: int, whom: int, word: str) -> None:
        """The same on both, and then a look."""
        model, people = self.model, self.stage.people
        if action == "answer" and not model.people[who].invited:
            return
        if action in {"silence", "connect", "disconnect"}:
            await self._presence(action, whom)
            allowed = model.act(action, who, whom, word)
        else:
            if action == "block" and whom != 0:
                await self._presence("disconnect", whom)
            refused = await self._do(people[who], action, people[whom], word)
            allowed = model.act(action, who, whom, word)
            assert (refused is None) == allowed or action in {"block", "unblock"}, (refused, allowed)
        await present(self.stage.town, self.space_id)
        await self.look()

    async def _presence(self, action: str, whom: int) -> None:
        town, person = self.stage.town, self.stage.people[whom]
        if action == "silence":
            town.clock.stand_at(town.clock.now() + SILENCE)
        elif action == "disconnect" and whom in self.open_ones:
            self.open_ones.pop(whom).close()
        elif action == "connect" and whom not in self.open_ones and not self.model.people[whom].blocked:
            self.open_ones[whom] = self.presence.enter_context(contextlib.ExitStack())
            self.open_ones[whom].enter_context(self._subscription(uuid_of(person.id)))

    def _subscription(self, account_id: Any) -> Any:
        presence = self.stage.town.built.house.presence
        return presence.subscribed(uuid_of(self.space_id), account_id=account_id, address="192.0.2.1")

    async def _do(self, me: Person, action: str, other: Person, word: str) -> str | None:
        """The code with which the server refuses, or None."""
        here: dict[str, Any] = {"spaceId": self.space_id}
        them = {**here, "userId": other.id}
        calls: dict[str, tuple[str, dict[str, Any]]] = {
            "join": ("joinSpace", here),
            "leave": ("leaveSpace", here),
            "hand": ("raiseHand", {**here, "raised": word != "down"}),
            "approve": ("setParticipantRole", {**them, "role": "SPEAKER"}),
            "back": ("setParticipantRole", {**them, "role": "LISTENER"}),
            "invite": ("invite", {**them, "role": word}),
            "mute": ("setMuted", {**them, "muted": word != "off"}),
            "remove": ("removeParticipant", them),
            "policy": ("updateSpace", {**here, "speakerPolicy": word}),
            "end": ("endSpace", here),
            "block": ("block", {"userId": other.id}),
            "unblock": ("unblock", {"userId": other.id}),
        }
        if action == "answer":
            role = self.model.people[self.stage.people.index(me)].invited[-1]
            asked = [one for one in await invitations(me) if one["role"] == role]
            calls["answer"] = (
                "respondToInvitation",
                {"invitationId": asked[0]["id"], "accept": word != "no"},
            )
        mutation, fields = calls[action]
        if action in {"block", "unblock"}:
            me = self.stage.people[0]
        errors = (await me.try_(mutation, **fields))["errors"]
        return str(errors[0]["code"]) if errors else None

    async def look(self) -> None:
        """Everything that the host sees is as the model has it."""
        model, people = self.model, self.stage.people
        seen = await people[0].space(self.space_id, SEEN)
        assert seen["state"] == ("LIVE" if model.live else "ENDED")
        counts = (seen["participantCount"], seen["peakListenerCount"], seen["totalListenerCount"])
        assert counts == (model.present, model.peak, model.total)
        rows = {edge["node"]["user"]["id"]: edge["node"] for edge in seen["participants"]["edges"]}
        assert len(rows) == len(seen["participants"]["edges"])
        shown = {
            person.id: (one.role, one.hand, one.muted, one.inside)
            for person, one in zip(people, model.people, strict=True)
            if one.row and not one.blocked
        }
        assert shown == {
            key: (row["role"], row["handRaised"], row["isMuted"], row["leftAt"] is None)
            for key, row in rows.items()
        }
        roles = Counter(row["role"] for row in rows.values() if row["leftAt"] is None)
        assert roles["COHOST"] <= COHOSTS
        assert roles["SPEAKER"] <= SPEAKERS
        cohosts = [
            person.id for person, one in zip(people, model.people, strict=True) if one.role == "COHOST"
        ]
        assert [one["id"] for one in seen["cohosts"]] == cohosts
        await self._hear()

    async def _hear(self) -> None:
        """What was told since the last look is what the model tells, and the cursors join up."""
        # The host does not hear of people whom they have blocked.
        found = (await self.stage.town.anyone.read(EVENTS, id=self.space_id, after=self.cursor))[
            "spaceEvents"
        ]["edges"]
        assert sorted(edge["node"]["kind"] for edge in found) == sorted(self.model.told)
        self.cursor = found[-1]["cursor"] if found else self.cursor
        self.model.told.clear()


async def _play(stage: Stage, chosen: list[Step]) -> None:
    town, people = stage.town, stage.people
    town.clock.stand_at(town.clock.now())
    space_id = await people[0].live_space()
    await people[0].do("follow", userId=people[1].id)
    beings = [Being(role="HOST", row=True, inside=True, entered=True), *(Being() for _ in people[1:])]
    model = RoomModel(people=beings, cohosts=COHOSTS, speakers=SPEAKERS, followed={1})
    model.told = ["CREATED", "STARTED"]
    with contextlib.ExitStack() as presence:
        play = Play(stage, model, space_id, presence, {})
        presence.enter_context(play._subscription(None))
        try:
            await present(town, space_id)
            await play.look()
            for step in chosen:
                await play.step(*step)
        finally:
            await people[0].try_("endSpace", spaceId=space_id)
            for person, one in zip(people, model.people, strict=True):
                if one.blocked:
                    await people[0].do("unblock", userId=person.id)


@given(chosen=st.lists(steps(), min_size=15, max_size=30))
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
async def test_a_room_goes_where_the_model_goes(stage: Stage, chosen: list[Step]) -> None:
    await _play(stage, chosen)


@pytest.mark.long
@given(chosen=st.lists(steps(), min_size=10, max_size=80))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_long_evening_goes_where_the_model_goes(stage: Stage, chosen: list[Step]) -> None:
    await _play(stage, chosen)


async def test_an_evening_with_everything_goes_where_the_model_goes(stage: Stage) -> None:
    await _play(
        stage,
        [
            ("leave", 0, 0, ""), ("join", 0, 0, ""), ("connect", 0, 0, ""), ("silence", 0, 0, ""),
            ("join", 2, 0, ""), ("hand", 2, 0, "up"), ("leave", 2, 0, ""),
            ("join", 1, 0, ""), ("join", 2, 0, ""), ("hand", 1, 0, "up"), ("hand", 2, 0, "up"),
            ("approve", 0, 1, ""), ("invite", 0, 3, "COHOST"), ("answer", 3, 0, "yes"), ("approve", 3, 2, ""),
            ("invite", 3, 4, "SPEAKER"), ("mute", 3, 1, "on"), ("mute", 1, 1, "off"), ("connect", 0, 3, ""),
            ("connect", 0, 5, ""), ("silence", 0, 0, ""), ("connect", 0, 1, ""), ("invite", 0, 4, "SPEAKER"),
            ("answer", 4, 0, "yes"), ("join", 2, 0, ""), ("leave", 0, 0, ""), ("silence", 0, 0, ""),
            ("remove", 3, 4, ""), ("join", 4, 0, ""), ("block", 0, 1, ""), ("unblock", 0, 1, ""), ("join", 1, 0, ""),
            ("policy", 0, 0, "INVITED"), ("hand", 5, 0, "up"), ("join", 5, 0, ""), ("leave", 3, 0, ""),
            ("silence", 0, 0, ""),
        ],
    )  # fmt: skip
