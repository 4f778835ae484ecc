"""How Spaces end by themselves: nobody there, nobody in charge, too long; on time, and never told as live after it."""

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.media.publisher import tone
from tests.product.test_invitations import accept, cohost_of, invite
from tests.product.test_presence import kinds, player
from tests.product.town import Person, Town
from tests.product.voices import MS, at, iso, present
from tests.product.whip import offer

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(minutes=1)


async def _state(town: Town, space_id: str) -> tuple[str, str | None]:
    """As read, with no round of the clockwork before it."""
    seen = await town.anyone.space(space_id, "state endedAt")
    return seen["state"], seen["endedAt"]


async def _ends_at(town: Town, space_id: str) -> str | None:
    return (await town.anyone.space(space_id, "endsAt"))["endsAt"]  # type: ignore[no-any-return]


async def _over(town: Town, space_id: str, end: datetime) -> None:
    """Foreseen, LIVE a millisecond before, ENDED at that moment, all as a reader sees it."""
    assert await _ends_at(town, space_id) == iso(end)
    await _ended_at(town, space_id, end)


async def _ended_at(town: Town, space_id: str, end: datetime) -> None:
    town.clock.stand_at(end - MS)
    assert await _state(town, space_id) == ("LIVE", None)
    town.clock.stand_at(end)
    assert await _state(town, space_id) == ("ENDED", iso(end))


async def _stand(town: Town) -> datetime:
    town.clock.stand_at(town.clock.now())
    return town.clock.now()


async def test_a_space_to_which_nobody_ever_connects_ends_after_5_minutes(city: Town) -> None:
    host = await city.person()
    begun = await _stand(city)
    space_id = await host.live_space(record=True)
    await _over(city, space_id, begun + 5 * MINUTE)
    recording = await host.recording(space_id, "status endedAt")
    assert recording == {"status": "FAILED", "endedAt": iso(begun + 5 * MINUTE)}
    assert await host.refused("joinSpace", spaceId=space_id) == "ALREADY_ENDED"
    assert await _ends_at(city, space_id) is None


async def test_5_minutes_count_from_the_last_subscription_or_playlist(city: Town) -> None:
    host = await city.person()
    begun = await _stand(city)
    subscribed, played = await host.live_space(), await (await city.person()).live_space()
    await player(city.anyone, played)
    async with city.anyone.attending(subscribed):
        for space_id in (subscribed, played):
            await present(city, space_id)
            assert await _ends_at(city, space_id) == iso(begun + timedelta(hours=12))
        city.clock.stand_at(begun + 4 * MINUTE)
    async with asyncio.timeout(10):
        while await _ends_at(city, subscribed) != iso(begun + 9 * MINUTE):
            await asyncio.sleep(0.02)
    # A playlist counts for a minute.
    await _over(city, played, begun + 6 * MINUTE)
    await _over(city, subscribed, begun + 9 * MINUTE)


@pytest.mark.parametrize("there", ["cohost", "nobody"])
async def test_when_the_host_is_lost_a_cohost_goes_on_and_with_none_the_space_ends(
    city: Town, there: str
) -> None:
    host, guest = await city.person(), await city.person()
    space_id = (await host.new_space(record=True))["id"]
    cohost = await cohost_of(host, space_id)
    await host.do("startSpace", spaceId=space_id)
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=9))
    await host.until(space_id, "RECORDING")
    lost = await _stand(city)
    async with guest.attending(space_id), cohost.attending(space_id):
        await present(city, space_id)
        await voice.close()
        await host.until(space_id, "INTERRUPTED")
        async with asyncio.timeout(10):
            while await _ends_at(city, space_id) != iso(lost + MINUTE):
                await asyncio.sleep(0.02)
        if there == "nobody":
            await _over(city, space_id, lost + MINUTE)
            assert (await host.recording(space_id, "status"))["status"] == "AVAILABLE"
            return
        begun = at((await city.anyone.space(space_id, "startedAt"))["startedAt"])
        await cohost.do("joinSpace", spaceId=space_id)
        assert await _ends_at(city, space_id) == iso(begun + timedelta(hours=12))
        city.clock.stand_at(lost + MINUTE)
        want = "state isRecording host { id } cohosts { id } recording { status }"
        assert await city.anyone.space(space_id, want) == {
            "state": "LIVE",
            "isRecording": True,
            "host": {"id": host.id},
            "cohosts": [{"id": cohost.id}],
            "recording": {"status": "INTERRUPTED"},
        }
        assert await cohost.refused("endSpace", spaceId=space_id) == "FORBIDDEN"
        city.clock.stand_at(lost + 20 * MINUTE)
        assert (await _state(city, space_id))[0] == "LIVE"
        # When the last co-host leaves too, the minute begins anew.
        await cohost.do("leaveSpace", spaceId=space_id)
        await _over(city, space_id, lost + 21 * MINUTE)


async def test_a_host_who_comes_back_is_the_host_as_before(city: Town) -> None:
    host, cohost = await city.person(), await city.person()
    space_id = await host.live_space()
    async with cohost.attending(space_id):
        await accept(cohost, await invite(host, cohost, space_id))
        await present(city, space_id)
        left = await _stand(city)
        await host.do("leaveSpace", spaceId=space_id)
        city.clock.stand_at(left + 10 * MINUTE)
        assert (await _state(city, space_id))[0] == "LIVE"
        async with host.attending(space_id):
            joined = await host.do("joinSpace", "participant { role }", spaceId=space_id)
            assert joined["participant"]["role"] == "HOST"
            await present(city, space_id)
            await cohost.do("leaveSpace", spaceId=space_id)
            city.clock.stand_at(left + 30 * MINUTE)
            assert (await _state(city, space_id))[0] == "LIVE"
            await host.do("endSpace", spaceId=space_id)


@pytest.mark.parametrize("way", ["LISTENER", "removed", "silent"])
async def test_a_cohost_who_is_one_no_more_does_not_stand_in(city: Town, way: str) -> None:
    host, cohost = await city.person(), await city.person()
    space_id = await host.live_space()
    async with city.anyone.attending(space_id):
        await present(city, space_id)
        left = await _stand(city)
        await accept(cohost, await invite(host, cohost, space_id))
        await host.do("leaveSpace", spaceId=space_id)
        if way == "LISTENER":
            await host.do("setParticipantRole", spaceId=space_id, userId=cohost.id, role="LISTENER")
        elif way == "removed":
            await host.do("removeParticipant", spaceId=space_id, userId=cohost.id)
        else:
            # Nothing has been heard of this co-host, who counts as there for as long as anybody would.
            await _ended_at(city, space_id, left + MINUTE)
            return
        await _over(city, space_id, left + MINUTE)


async def test_a_space_ends_after_12_hours_and_tells_so_10_minutes_before(city: Town) -> None:
    host = await city.person()
    begun = await _stand(city)
    space_id = await host.live_space()
    async with city.anyone.attending(space_id), host.socket() as socket:
        updates = await socket.subscribe(
            "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind space { endsAt } } }", id=space_id
        )
        await socket.next(updates)
        await present(city, space_id)
        notice = begun + timedelta(hours=11, minutes=50)
        city.clock.stand_at(notice - MS)
        await city.round()
        assert "ENDING_SOON" not in await kinds(city, space_id)
        city.clock.stand_at(notice)
        await city.round()
        told = await socket.until(updates, kind="ENDING_SOON")
        assert told["space"] == {"endsAt": iso(begun + timedelta(hours=12))}
        await city.round()
        await _over(city, space_id, begun + timedelta(hours=12))
        await socket.until(updates, kind="ENDED")
    assert (await kinds(city, space_id)).count("ENDING_SOON") == 1


async def test_a_scheduled_space_that_lapsed_is_never_told_as_scheduled(city: Town) -> None:
    host = await city.person()
    start = await _stand(city) + timedelta(hours=1)
    space_id = (await host.new_space(scheduledStart=iso(start)))["id"]
    city.clock.stand_at(start + timedelta(days=1))
    assert await _state(city, space_id) == ("CANCELED", iso(city.clock.now()))


async def test_a_second_device_that_never_connects_loses_nobody(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=5))
    async with asyncio.timeout(10):
        while not (await _is_connected(host, space_id)):
            await asyncio.sleep(0.02)
    second = await host.join(space_id)
    for _ in range(2):
        # An offer that is answered, and never connected to.
        response = await city.http.post(second.whip_url, content=await offer(), headers=second.headers)
        assert response.status_code == 201, response.text
        ended = await city.http.delete(response.headers["Location"], headers=second.headers)
        assert ended.status_code == 200
    await asyncio.sleep(0.1)
    assert await _ends_at(city, space_id) == iso(
        at((await host.space(space_id, "startedAt"))["startedAt"]) + timedelta(hours=12)
    )
    await voice.close()
    await host.do("endSpace", spaceId=space_id)


async def _is_connected(host: Person, space_id: str) -> bool:
    await present(host.town, space_id)
    return await _ends_at(host.town, space_id) == iso(
        at((await host.space(space_id, "startedAt"))["startedAt"]) + timedelta(hours=12)
    )
