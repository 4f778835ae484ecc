"""Who is counted as present: by media connection, subscription, or a live playlist of the last 60 s."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.media.publisher import tone
from tests.product.town import Person, Town
from tests.product.voices import MS, present

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(seconds=60)
COUNTS = "participantCount peakListenerCount totalListenerCount"


async def counts(town: Town, space_id: str) -> tuple[int, int, int]:
    """Now, at the peak, in all."""
    await present(town, space_id)
    seen = await town.anyone.space(space_id, COUNTS)
    return seen["participantCount"], seen["peakListenerCount"], seen["totalListenerCount"]


async def player(person: Person, space_id: str) -> str:
    """A live link that somebody has begun to listen by."""
    url = str((await person.space(space_id, "live { url }"))["live"]["url"])
    assert (await person.town.fetch(url)).status_code == 200
    return url


async def kinds(town: Town, space_id: str) -> list[str]:
    query = "query($id: ID!) { spaceEvents(spaceId: $id, first: 100) { edges { node { kind } } } }"
    found = (await town.anyone.read(query, id=space_id))["spaceEvents"]["edges"]
    return [edge["node"]["kind"] for edge in found]


@contextlib.asynccontextmanager
async def live(town: Town) -> AsyncIterator[tuple[Person, str]]:
    """A live Space whose host is connected by a subscription, with the clock standing still."""
    host = await town.person()
    town.clock.stand_at(town.clock.now())
    space_id = await host.live_space()
    async with host.attending(space_id):
        yield host, space_id
        await host.try_("endSpace", spaceId=space_id)


async def until_counted(town: Town, space_id: str, people: int) -> None:
    """Wait until the server has written by itself that so many are present."""
    async with asyncio.timeout(10):
        while (await town.anyone.space(space_id, COUNTS))["participantCount"] != people:
            await asyncio.sleep(0.02)


async def test_subscriptions_of_people_without_an_account_count_while_they_are_open(city: Town) -> None:
    async with live(city) as (_, space_id):
        async with city.anyone.attending(space_id), city.anyone.attending(space_id):
            await until_counted(city, space_id, 3)
        await until_counted(city, space_id, 1)
        async with city.anyone.attending(space_id):
            await until_counted(city, space_id, 2)
        assert await counts(city, space_id) == (1, 3, 3)


async def test_who_fetched_a_live_playlist_counts_for_60_seconds(city: Town) -> None:
    async with live(city) as (_, space_id):
        first = await player(city.anyone, space_id)
        await player(city.anyone, space_id)
        assert await counts(city, space_id) == (3, 3, 3)
        begun = city.clock.now()
        city.clock.stand_at(begun + MINUTE / 2)
        await city.fetch(first)
        city.clock.stand_at(begun + MINUTE - MS)
        assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 3
        city.clock.stand_at(begun + MINUTE)
        # Nobody wrote it down meanwhile: the reading itself does.
        assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 2
        city.clock.stand_at(begun + MINUTE * 3 / 2)
        assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 1
        await city.fetch(first)
        assert await counts(city, space_id) == (2, 3, 3)


async def test_one_person_with_a_player_and_a_subscription_is_one(city: Town) -> None:
    fan = await city.person()
    async with live(city) as (_, space_id), city.anyone.attending(space_id):
        await player(city.anyone, space_id)
        assert await counts(city, space_id) == (2, 2, 2)
        async with fan.attending(space_id):
            await player(fan, space_id)
            assert await counts(city, space_id) == (3, 3, 3)
            await fan.do("joinSpace", spaceId=space_id)
            assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 3
            assert await counts(city, space_id) == (3, 3, 3)
            await fan.do("leaveSpace", spaceId=space_id)
            # Who has said that they leave is out, whatever they forgot to close.
            assert await counts(city, space_id) == (2, 3, 3)
            await fan.do("joinSpace", spaceId=space_id)
            assert await counts(city, space_id) == (3, 3, 3)


async def test_who_waits_for_the_launch_is_in_it_from_the_launch_on(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    async with city.anyone.attending(space_id):
        assert await counts(city, space_id) == (0, 0, 0)
        await host.do("startSpace", spaceId=space_id)
        await until_counted(city, space_id, 2)
        await host.do("endSpace", spaceId=space_id)
        assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 0


async def test_a_participant_of_whom_nothing_is_heard_for_60_seconds_has_left(city: Town) -> None:
    guest = await city.person()
    async with live(city) as (host, space_id):
        await guest.speak_in(space_id, host)
        joined = city.clock.now()
        city.clock.stand_at(joined + MINUTE - MS)
        assert (await kinds(city, space_id))[-1] == "ROLE_CHANGED"
        city.clock.stand_at(joined + MINUTE)
        assert (await kinds(city, space_id))[-1] == "PARTICIPANT_LEFT"
        mine = "viewerParticipation { leftAt role } participantCount"
        seen = await guest.space(space_id, mine)
        assert seen["participantCount"] == 1
        assert seen["viewerParticipation"]["leftAt"] is not None
        # The next sign brings them back, with the role while there is room.
        async with guest.attending(space_id):
            await until_counted(city, space_id, 2)
            back = (await guest.space(space_id, mine))["viewerParticipation"]
            assert back == {"leftAt": None, "role": "SPEAKER"}
            city.clock.stand_at(joined + MINUTE * 5)
            assert (await guest.space(space_id, mine))["participantCount"] == 2
        assert (await kinds(city, space_id))[-2:] == ["PARTICIPANT_LEFT", "PARTICIPANT_JOINED"]


async def test_acting_in_a_space_is_a_sign_of_presence(city: Town) -> None:
    guest = await city.person()
    async with live(city) as (_, space_id):
        await guest.do("joinSpace", spaceId=space_id)
        for minutes in (1, 2):
            city.clock.stand_at(city.clock.now() + MINUTE * minutes)
            await guest.do("raiseHand", spaceId=space_id, raised=minutes == 1)
        assert (await kinds(city, space_id))[3:] == [
            *("PARTICIPANT_LEFT", "PARTICIPANT_JOINED", "HAND_CHANGED"),
            # The hand went down with its owner.
            *("PARTICIPANT_LEFT", "PARTICIPANT_JOINED"),
        ]


async def test_who_publishes_or_hears_in_real_time_is_present(city: Town) -> None:
    speaker, hearer = await city.person(), await city.person()
    async with live(city) as (host, space_id):
        for person in (speaker, hearer):
            await person.speak_in(space_id, host)
        voice = await speaker.publish(space_id, tone(frequency_hz=440, seconds=5))
        ear = await (await hearer.join(space_id)).listen()
        async with asyncio.timeout(10):
            while (voice.state, ear.state) != ("connected", "connected"):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        city.clock.stand_at(city.clock.now() + MINUTE * 2)
        assert (await city.anyone.space(space_id, COUNTS))["participantCount"] == 3
        await voice.close()
        await ear.close()


@pytest.mark.parametrize("fields", ["recordingStatus(spaceId: $id) { status }"])
async def test_looking_at_the_icon_alone_is_not_being_there(city: Town, fields: Any) -> None:
    async with live(city) as (_, space_id), city.anyone.socket() as socket:
        name = await socket.subscribe(f"subscription($id: ID!) {{ {fields} }}", id=space_id)
        await socket.next(name)
        assert await counts(city, space_id) == (1, 1, 1)
