"""Several API processes on one port: they hear each other, count together, and one that dies takes its own away."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from services.live import POLL_S
from tests.media.publisher import tone
from tests.product.databases import databases
from tests.product.process import ServedTown, Server, children_of, served_town
from tests.product.town import Person, Socket

pytestmark = pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module")

PATIENCE_S = 30.0
# Well before rows are looked at without a wake-up.
AT_ONCE_S = POLL_S * 2 / 3
UPDATES = "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind space { title } } }"


@contextlib.asynccontextmanager
async def many(folder: Path, **environment: str) -> AsyncIterator[ServedTown]:
    """A server of two API processes."""
    databases.migrated(folder / "data")
    async with served_town(folder, SPACES_PROCESSES="2", **environment) as town:
        yield town


@contextlib.asynccontextmanager
async def doors(town: ServedTown) -> AsyncIterator[dict[str, ServedTown]]:
    """A way in through each API process, by its name: a connection stays with the process that took it."""
    found: dict[str, ServedTown] = {}
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < 2:
                limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
                http = httpx.AsyncClient(base_url=town.url, timeout=20, limits=limits, verify=False)
                await stack.enter_async_context(http)
                name = (await http.get("/healthz")).headers["Spaces-Process"]
                found.setdefault(name, ServedTown(town.server, http))
        yield found


def fronts(server: Server) -> dict[int, str]:
    """The API processes: their pids, and how each was called."""
    called = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children_of(server.pid)}
    return {pid: words for pid, words in called.items() if "api.front" in words}


def at(door: ServedTown, person: Person) -> Person:
    """The same person, by another process."""
    return Person(door, token=person.token, id=person.id, handle=person.handle)


@contextlib.asynccontextmanager
async def following(person: Person, space_id: str, name: str) -> AsyncIterator[None]:
    """Present by a subscription through the process of this name."""
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(PATIENCE_S):
            socket = await stack.enter_async_context(person.socket())
            while _process_of(socket) != name:
                await stack.aclose()
                socket = await stack.enter_async_context(person.socket())
            updates = await socket.subscribe(UPDATES, id=space_id)
            await socket.next(updates)
        yield


def _process_of(socket: Socket) -> str:
    assert socket.raw.response is not None
    return str(socket.raw.response.headers["Spaces-Process"])


async def until_counts(person: Person, space_id: str, **expected: int) -> None:
    """Wait until a Space tells these counts."""
    async with asyncio.timeout(PATIENCE_S):
        while await person.space(space_id, " ".join(expected)) != expected:
            await asyncio.sleep(0.05)


async def test_both_processes_hear_count_and_speak_as_one(tmp_path: Path) -> None:
    async with many(tmp_path) as town, doors(town) as by:
        first, second = by["api-1"], by["api-2"]
        host = await first.person("host")
        space_id = await host.live_space(record=True)
        async with at(second, host).socket() as socket:
            updates = await socket.subscribe(UPDATES, id=space_id)
            await socket.next(updates)
            for door, title in ((first, "Told by one"), (second, "Told by the other")):
                await at(door, host).do("updateSpace", spaceId=space_id, title=title)
                async with asyncio.timeout(AT_ONCE_S):
                    await socket.until(updates, space={"title": title})
        voice = await at(second, host).publish(space_id, tone(frequency_hz=440, seconds=1.0))
        guest = await second.person("guest")
        async with following(guest, space_id, "api-1"), following(first.anyone, space_id, "api-2"):
            await until_counts(host, space_id, participantCount=3, peakListenerCount=3)
            await at(first, guest).do("joinSpace", spaceId=space_id)
            await until_counts(at(second, host), space_id, participantCount=3, peakListenerCount=3)
        await until_counts(host, space_id, participantCount=2)
        await voice.play_to_end()
        await at(first, host).do("endSpace", spaceId=space_id)
        assert (await at(second, host).recording(space_id, "status"))["status"] == "AVAILABLE"
        await voice.close()


@pytest.mark.long
async def test_a_process_that_hangs_while_it_starts_is_replaced(tmp_path: Path) -> None:
    async with many(tmp_path) as town, doors(town) as by:
        before = fronts(town.server)
        (victim,) = [pid for pid, words in before.items() if "api-2" in words]
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not (begun := fronts(town.server).keys() - before.keys()):
                await asyncio.sleep(0.01)
        (hanging,) = begun
        os.kill(hanging, signal.SIGSTOP)
        assert "spaces_api_processes 1.0" in (await by["api-1"].http.get("/metrics")).text
        async with asyncio.timeout(2 * PATIENCE_S):
            while hanging in fronts(town.server):
                await asyncio.sleep(0.1)
        async with doors(town) as found:
            lines = (await found["api-1"].http.get("/metrics")).text.splitlines()
        assert "spaces_api_restarts 2.0" in lines
        assert "spaces_api_processes 2.0" in lines
        town.server.forgive("an API process has ended", "an API process does not answer")


@pytest.mark.long
@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGKILL, id="dies"), pytest.param(signal.SIGSTOP, id="hangs")]
)
async def test_who_came_by_a_process_that_dies_or_hangs_is_gone_with_it_and_it_is_started_again(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with many(tmp_path, SPACES_PRESENT_S="3") as town, doors(town) as by:
        host = await by["api-1"].person("host")
        space_id = await host.live_space(record=True)
        voice = await at(by["api-2"], host).publish(space_id, tone(frequency_hz=440, seconds=60))
        await host.until(space_id, "RECORDING")
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(following(town.anyone, space_id, "api-2"))
            await until_counts(host, space_id, participantCount=2)
            before = fronts(town.server)
            (victim,) = [pid for pid, words in before.items() if "api-2" in words]
            os.kill(victim, how)
            await until_counts(host, space_id, participantCount=1)
            with contextlib.suppress(Exception):
                await stack.aclose()
        async with doors(town):
            assert len(fronts(town.server).keys() - before.keys()) == 1
        lines = (await by["api-1"].http.get("/metrics")).text.splitlines()
        assert "spaces_api_restarts 1.0" in lines
        assert "spaces_api_processes 2.0" in lines
        assert (await host.recording(space_id, "status gaps { cause }")) == {
            "status": "RECORDING",
            "gaps": [],
        }
        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        town.server.forgive("an API process has ended", "an API process does not answer")
        assert await town.server.stop() < 10


@pytest.mark.long
async def test_limits_hold_across_processes(tmp_path: Path) -> None:
    async with (
        many(tmp_path, SPACES_RATE_LIMIT_ENABLED="true", SPACES_FAILED_SIGN_INS="4") as town,
        doors(town) as by,
    ):
        await town.person("somebody")
        told: list[str] = []
        for number in range(6):
            door = by[f"api-{number % 2 + 1}"]
            told.append(await door.anyone.refused("signIn", handle="somebody", password="wrong horse"))
            # What one has counted the other knows after some milliseconds.
            await asyncio.sleep(0.3)
        assert told == ["UNAUTHENTICATED"] * 4 + ["RATE_LIMITED"] * 2


async def test_several_processes_on_sqlite_are_refused_in_a_sentence(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.data_dir.mkdir()
    (tmp_path / "scratch").mkdir()
    command = await server.command("serve", "--processes", "2", SPACES_DATABASE_URL="")
    output, _ = await command.communicate()
    assert command.returncode == 1
    assert b"Several API processes need PostgreSQL" in b" ".join(output.split())


@pytest.mark.long
async def test_while_the_database_is_away_the_logs_say_so_in_lines_without_traces(tmp_path: Path) -> None:
    async with many(tmp_path) as town, doors(town) as by:
        host = await by["api-1"].person("host")
        space_id = await host.live_space(record=True)
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
        await host.until(space_id, "RECORDING")
        await asyncio.to_thread(databases.postgres.stop)
        for door in by.values():
            assert (await door.http.get("/readyz")).status_code == 503
            assert (await door.http.get("/timeline")).status_code == 503
        databases.postgres.launch()
        await databases.postgres.answers()
        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        files = sorted((tmp_path / "data" / "logs").glob("*.log"))
        lines = [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]
        assert [line for line in lines if "database" in line["event"]] != []
        assert [line for line in lines if "exception" in line] == []
        assert [line for line in lines if line.get("reason") == ""] == []
        town.server.forgive("")
