"""Presence across a restart, and deadlines between the rounds of the clockwork."""

from datetime import timedelta
from pathlib import Path

from tests.product.test_presence import counts
from tests.product.town import Person, open_town
from tests.product.voices import at


async def test_a_restart_counts_nobody_twice_and_gives_everybody_time_to_come_back(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        host, guest, fan = [await town.person() for _ in range(3)]
        space_id = await host.live_space()
        await guest.do("joinSpace", spaceId=space_id)
        async with fan.attending(space_id), town.anyone.attending(space_id):
            assert await counts(town, space_id) == (4, 4, 4)
    async with open_town(tmp_path / "data", quiet=True) as town:
        assert await counts(town, space_id) == (2, 4, 4)
        again = Person(town, token=fan.token, id=fan.id, handle=fan.handle)
        async with again.attending(space_id), town.anyone.attending(space_id):
            assert await counts(town, space_id) == (4, 4, 4)


async def test_the_clockwork_wakes_when_something_is_due(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True, reconnect_window_s=0.4) as town:
        host = await town.person()
        space_id = await host.live_space()
        async with town.anyone.socket() as socket:
            updates = await socket.subscribe(
                "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind at space { endedAt } } }",
                id=space_id,
            )
            await socket.next(updates)
            await host.do("leaveSpace", spaceId=space_id)
            left = await socket.until(updates, kind="PARTICIPANT_LEFT")
            # Nothing is asked of the server meanwhile, and its rounds are an hour apart.
            ended = await socket.until(updates, kind="ENDED")
            assert at(ended["space"]["endedAt"]) == at(left["at"]) + timedelta(seconds=0.4)
