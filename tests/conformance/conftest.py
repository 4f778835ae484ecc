"""One real server for everybody who speaks to it from outside."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from threading import Event, Thread

import httpx
import pytest

from tests.conformance.programs import NODE
from tests.product.databases import KINDS, databases
from tests.product.process import ServedTown, Server, served_town

# More than the server's own, which says what was wrong with it.
START_PATIENCE_S = 140.0


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`spaces serve`, minded by a loop of its own, since most of these tests have none."""
    kind = request.config.getoption("--database") or KINDS[0]
    folder = tmp_path_factory.mktemp("served")
    running: list[Server] = []
    failed: list[BaseException] = []
    ready, done = Event(), Event()

    async def serve() -> None:
        async with served_town(folder, SPACES_ROOMS_PER_PROCESS="1000") as town:
            running.append(town.server)
            ready.set()
            await asyncio.to_thread(done.wait)

    def mind() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 (told by the fixture, which the test waits in)
            failed.append(error)
            ready.set()

    with databases.on(kind):
        thread = Thread(target=mind)
        thread.start()
        ready.wait(START_PATIENCE_S)
        try:
            assert running, failed
            yield running[0]
        finally:
            done.set()
            thread.join(START_PATIENCE_S)
            databases.forget(folder)
    assert not failed, failed


@pytest.fixture
async def town(server: Server) -> AsyncIterator[ServedTown]:
    """People of that server."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        yield ServedTown(server, http)


@pytest.fixture
def node_modules() -> None:
    """What `npm ci` has to have installed beforehand, with SPACES_CI set a failure without."""
    if not (NODE / "node_modules").is_dir():
        pytest.skip("npm ci --prefix tests/conformance/node was not run")
