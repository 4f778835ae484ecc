"""What one process writes, those who follow by another hear at once: PostgreSQL tells with the commit."""

import asyncio
from pathlib import Path

import httpx
import pytest

from services.live import POLL_S
from tests.product.databases import databases
from tests.product.process import ServedTown, Server, served_town
from tests.product.town import Person

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module"),
]

UPDATES = "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind space { title } } }"
# Well before rows are looked at without a wake-up.
AT_ONCE_S = POLL_S * 2 / 3


async def test_subscribers_of_one_process_hear_what_another_writes_also_after_the_database_was_away(
    tmp_path: Path,
) -> None:
    url = databases.url(tmp_path / "shared")
    async with served_town(tmp_path / "one", SPACES_DATABASE_URL=url) as town:
        second = Server(tmp_path / "two", SPACES_DATABASE_URL=url)
        try:
            await second.start()
            async with httpx.AsyncClient(base_url=second.url, timeout=20) as http:
                elsewhere = ServedTown(second, http)
                host = await town.person("host")
                space_id = (await host.new_space())["id"]
                follower = Person(elsewhere, token=host.token, id=host.id)
                async with follower.socket() as socket:
                    updates = await socket.subscribe(UPDATES, id=space_id)
                    await socket.next(updates)
                    await host.do("updateSpace", spaceId=space_id, title="Told")
                    async with asyncio.timeout(AT_ONCE_S):
                        await socket.until(updates, space={"title": "Told"})
                await asyncio.to_thread(databases.postgres.stop)
                databases.postgres.launch()
                await databases.postgres.answers()
                async with follower.socket() as socket:
                    updates = await socket.subscribe(UPDATES, id=space_id)
                    await socket.next(updates)
                    # What was written before the line was heard again is caught up with when it is.
                    await host.do("updateSpace", spaceId=space_id, title="Again")
                    async with asyncio.timeout(AT_ONCE_S):
                        await socket.until(updates, space={"title": "Again"})
        finally:
            await second.clean_up()
