"""Whatever people do in whatever order, the server is where a small pure model says."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.product.town import Person, Town
from tests.product.voices import speak

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIONS = (
    "toggle on", "toggle off", "start", "speak", "end", "cancel", "delete", "update",
    "join", "leave", "raise hand", "make speaker", "step back", "host leaves", "host joins",
)  # fmt: skip
GONE = {"DELETED", "FAILED"}


@dataclass
class Model:
    """One Space with its recording, its host and one guest. Each action answers a code, or None."""

    state: str = "SCHEDULED"
    recording: str | None = None
    ever_spoken: bool = False
    host_in: bool = False
    guest_in: bool = False
    guest_role: str = "LISTENER"
    hand: bool = False
    renamed: bool = False
    ever_in: set[str] = field(default_factory=set)
    events: int = 1

    def act(self, action: str) -> str | None:
        """What becomes of it."""
        before = self.events
        refused: str | None = getattr(self, "_" + action.replace(" ", "_"))()
        assert refused is None or self.events == before
        return refused

    @property
    def is_recording(self) -> bool:
        return self.state == "LIVE" and self.recording in {"STARTING", "RECORDING"}

    @property
    def participants(self) -> int:
        return self.host_in + self.guest_in

    def _before_launch(self) -> str | None:
        return {"SCHEDULED": None, "LIVE": "ALREADY_LIVE"}.get(self.state, "ALREADY_ENDED")

    def _while_live(self) -> str | None:
        return {"SCHEDULED": "NOT_LIVE", "LIVE": None}.get(self.state, "ALREADY_ENDED")

    def _toggle_on(self) -> str | None:
        if (refused := self._before_launch()) is None and self.recording is None:
            self.recording, self.events = "ARMED", self.events + 1
        return refused

    def _toggle_off(self) -> str | None:
        if (refused := self._before_launch()) is None and self.recording is not None:
            self.recording, self.events = None, self.events + 1
        return refused

    def _start(self) -> str | None:
        if (refused := self._before_launch()) is None:
            self.state, self.host_in, self.events = "LIVE", True, self.events + 1
            self.ever_in.add("host")
            self.recording = "STARTING" if self.recording else None
        return refused

    def _speak(self) -> str | None:
        if self.is_recording and self.recording == "STARTING":
            self.recording, self.events = "RECORDING", self.events + 1
        return None

    def _end(self) -> str | None:
        if (refused := self._while_live()) is None:
            self.events += 1
            if self.is_recording:
                self.recording = "AVAILABLE" if self.recording == "RECORDING" else "FAILED"
                self.events += 1
            self.state, self.host_in, self.guest_in, self.hand = "ENDED", False, False, False
        return refused

    def _cancel(self) -> str | None:
        if (refused := self._before_launch()) is None:
            self.state, self.recording, self.events = "CANCELED", None, self.events + 1
        return refused

    def _delete(self) -> str | None:
        if self.recording is None:
            return "NOT_FOUND"
        if self.recording in GONE:
            return "RECORDING_NOT_AVAILABLE"
        self.recording = None if self.recording == "ARMED" else "DELETED"
        self.events += 1
        return None

    def _update(self) -> str | None:
        if self.state in {"ENDED", "CANCELED"}:
            return "ALREADY_ENDED"
        if not self.renamed:
            self.renamed, self.events = True, self.events + 1
        return None

    def _join(self) -> str | None:
        if (refused := self._while_live()) is None and not self.guest_in:
            self.guest_in, self.events = True, self.events + 1
            self.ever_in.add("guest")
        return refused

    def _leave(self) -> str | None:
        if (refused := self._while_live()) is None and self.guest_in:
            self.guest_in, self.hand, self.events = False, False, self.events + 1
        return refused

    def _raise_hand(self) -> str | None:
        if (refused := self._while_live()) is not None:
            return refused
        if not self.guest_in or self.guest_role == "SPEAKER":
            return "CONFLICT"
        if not self.hand:
            self.hand, self.events = True, self.events + 1
        return None

    def _make_speaker(self) -> str | None:
        if (refused := self._while_live()) is not None:
            return refused
        if not self.guest_in:
            return "NOT_FOUND"
        if self.guest_role == "SPEAKER":
            return None
        if not self.hand:
            return "CONFLICT"
        self.guest_role, self.hand, self.events = "SPEAKER", False, self.events + 1
        return None

    def _step_back(self) -> str | None:
        if (refused := self._while_live()) is not None:
            return refused
        if not self.guest_in:
            return "FORBIDDEN"
        if self.guest_role == "SPEAKER":
            self.guest_role, self.events = "LISTENER", self.events + 1
        return None

    def _host_leaves(self) -> str | None:
        if (refused := self._while_live()) is None and self.host_in:
            self.host_in, self.events = False, self.events + 1
        return refused

    def _host_joins(self) -> str | None:
        if (refused := self._while_live()) is None and not self.host_in:
            self.host_in, self.events = True, self.events + 1
        return refused


@dataclass
class Real:
    """The same on the server."""

    town: Town
    host: Person
    guest: Person
    space_id: str
    recording_id: str | None = None

    async def act(self, action: str, model: Model) -> str | None:
        """The code with which the server refuses, or None."""
        here = {"spaceId": self.space_id}
        if action == "speak":
            if model.recording == "STARTING":
                await speak(self.town, self.space_id, 0.2)
            return None
        recording = await self.host.recording(self.space_id, "id")
        calls: dict[str, tuple[Person, str, dict[str, Any]]] = {
            "toggle on": (self.host, "toggleRecording", {**here, "enabled": True}),
            "toggle off": (self.host, "toggleRecording", {**here, "enabled": False}),
            "start": (self.host, "startSpace", here),
            "end": (self.host, "endSpace", here),
            "cancel": (self.host, "cancelSpace", here),
            "delete": (
                self.host,
                "deleteRecording",
                {"recordingId": recording["id"] if recording else "none"},
            ),
            "update": (self.host, "updateSpace", {**here, "title": "New"}),
            "join": (self.guest, "joinSpace", here),
            "leave": (self.guest, "leaveSpace", here),
            "raise hand": (self.guest, "raiseHand", {**here, "raised": True}),
            "make speaker": (
                self.host,
                "setParticipantRole",
                {**here, "userId": self.guest.id, "role": "SPEAKER"},
            ),
            "step back": (
                self.guest,
                "setParticipantRole",
                {**here, "userId": self.guest.id, "role": "LISTENER"},
            ),
            "host leaves": (self.host, "leaveSpace", here),
            "host joins": (self.host, "joinSpace", here),
        }
        actor, mutation, given_ = calls[action]
        errors = (await actor.try_(mutation, **given_))["errors"]
        return str(errors[0]["code"]) if errors else None

    async def check(self, model: Model) -> None:
        """Everything that can be seen is as the model has it."""
        seen = await self.guest.space(
            self.space_id,
            """state isRecording recordingEnabled participantCount totalListenerCount startedAt endedAt
            recording { status viewerCanPlay } viewerParticipation { role handRaised leftAt }
            live { url } consent { version }""",
        )
        assert seen["state"] == model.state
        assert seen["isRecording"] == model.is_recording
        assert (seen["recording"] or {"status": None})["status"] == model.recording
        assert (seen["recording"] or {"viewerCanPlay": False})["viewerCanPlay"] == (
            model.recording == "AVAILABLE"
        )
        assert seen["participantCount"] == model.participants
        assert seen["totalListenerCount"] == len(model.ever_in)
        assert (seen["live"] is not None) == (model.state == "LIVE")
        assert (seen["startedAt"] is not None) == (model.state in {"LIVE", "ENDED"})
        assert (seen["endedAt"] is not None) == (model.state in {"ENDED", "CANCELED"})
        if mine := seen["viewerParticipation"]:
            assert (mine["role"], mine["handRaised"]) == (model.guest_role, model.hand)
            assert (mine["leftAt"] is None) == model.guest_in
        else:
            assert "guest" not in model.ever_in
        query = "query($id: ID!) { spaceEvents(spaceId: $id, first: 100) { edges { cursor } } }"
        events = (await self.guest.read(query, id=self.space_id))["spaceEvents"]["edges"]
        assert len(events) == model.events


async def _play(town: Town, actions: list[str], people: tuple[Person, Person]) -> None:
    host, guest = people
    model = Model()
    real = Real(town, host, guest, (await host.new_space())["id"])
    try:
        for action in actions:
            answer = await real.act(action, model)
            assert answer == model.act(action), action
            await real.check(model)
    finally:
        if model.state == "LIVE":
            await host.try_("endSpace", spaceId=real.space_id)


LIVES = st.lists(st.sampled_from(ACTIONS), min_size=3, max_size=14).map(
    lambda actions: ["toggle on", "start", *actions] if len(actions) % 2 else actions
)


async def _people(town: Town) -> tuple[Person, Person]:
    return await town.person(), await town.person()


@given(actions=LIVES)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_space_goes_where_the_model_goes(shared_town: Town, actions: list[str]) -> None:
    await _play(shared_town, actions, await _people(shared_town))


@pytest.mark.long
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=5, max_size=60))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_long_life_goes_where_the_model_goes(shared_town: Town, actions: list[str]) -> None:
    await _play(shared_town, actions, await _people(shared_town))


async def test_a_whole_recorded_life_goes_where_the_model_goes(shared_town: Town) -> None:
    whole = [
        "toggle on", "toggle off", "toggle on", "update", "start", "join", "raise hand", "make speaker", "speak",
        "host leaves", "host joins", "step back", "leave", "join", "end", "end", "delete", "delete", "update",
    ]  # fmt: skip
    await _play(shared_town, whole, await _people(shared_town))


async def test_many_lives_at_the_same_time_go_where_the_model_goes(shared_town: Town) -> None:
    lives = [
        ["toggle on", "start", "join", "delete", "end", "delete"],
        ["start", "join", "raise hand", "leave", "end", "cancel"],
        ["toggle on", "cancel", "start", "toggle off", "delete"],
        ["toggle on", "start", "speak", "delete", "join", "end"],
    ]
    people = [await _people(shared_town) for _ in lives]
    await asyncio.gather(*(_play(shared_town, life, pair) for life, pair in zip(lives, people, strict=True)))
