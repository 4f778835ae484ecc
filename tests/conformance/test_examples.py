"""The worked examples of docs/examples: each does what its page says, against a real server."""

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conformance.breaking_proxy import BreakingProxy, breaking_proxy
from tests.conformance.programs import NODE, run
from tests.product.process import ServedTown, Server
from tests.product.town import Person

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PATIENCE_S = 120.0
CHECKED = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "--types", "node")


@contextlib.asynccontextmanager
async def started(*command: str | Path, folder: Path = EXAMPLES) -> AsyncIterator[asyncio.subprocess.Process]:
    """An example that goes on by itself."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip()


async def lived(
    process: asyncio.subprocess.Process, proxy: BreakingProxy, host: Person, space_id: str
) -> None:
    """What a follower prints of a Space that changes, and is canceled, while the connection is lost."""
    assert await line(process) == "SNAPSHOT A talk SCHEDULED"
    await proxy.cut()
    await host.do("toggleRecording", spaceId=space_id, enabled=True)
    assert await line(process) == "RECORDING_TOGGLED A talk SCHEDULED"
    await proxy.cut()
    await host.do("cancelSpace", spaceId=space_id)
    told = []
    while text := await line(process):
        told.append(text)
    assert told[-1].endswith("A talk CANCELED")
    assert await process.wait() == 0


async def test_the_python_client_opens_one_space_and_follows_it_through_breaks(town: ServedTown) -> None:
    host = await town.person("example_python")
    async with breaking_proxy(town.server.port) as proxy:
        url = f"{proxy.url}/graphql"
        async with started(sys.executable, "follow.py", url, host.token or "", "A talk") as process:
            await lived(process, proxy, host, await line(process))
    spaces = (await host.read("{ viewer { user { spaces { edges { node { title } } } } } }"))["viewer"][
        "user"
    ]
    assert len(spaces["spaces"]["edges"]) == 1, "expected one Space of a request that was sent twice"


async def test_the_python_client_ends_with_its_session(town: ServedTown) -> None:
    host = await town.person("example_ended")
    async with started(
        sys.executable, "follow.py", f"{town.server.url}/graphql", host.token or "", "A talk"
    ) as process:
        await line(process)
        assert await line(process) == "SNAPSHOT A talk SCHEDULED"
        await host.do("signOut", "errors { code }")
        assert await process.wait() == 1


@pytest.mark.needs_node
@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("how", ["unchecked", pytest.param("checked", marks=pytest.mark.long)])
async def test_the_typescript_client_follows_a_space_through_breaks(
    town: ServedTown, tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    if how == "checked":
        run(
            "node", NODE / "node_modules" / "typescript" / "bin" / "tsc", *CHECKED, "follow.ts", folder=folder
        )
    else:
        run("node", NODE / "transpile.mjs", "follow.ts", "follow.js", folder=folder)
    host = await town.person(f"example_{how}")
    space_id = (await host.new_space())["id"]
    async with breaking_proxy(town.server.port) as proxy:
        words = ("node", "follow.js", f"{proxy.url}/graphql", host.token or "", space_id)
        async with started(*words, folder=folder) as process:
            await lived(process, proxy, host, space_id)


def test_the_shell_example_opens_one_space_and_reads_it_on_the_timeline(server: Server) -> None:
    told = run("sh", EXAMPLES / "timeline.sh", f"{server.url}/graphql", "example_curl", "A talk")
    first, again, timeline = map(json.loads, told.splitlines())
    space = first["data"]["createSpace"]["space"]
    assert again == first
    cards = [edge["node"]["space"] for edge in timeline["data"]["timeline"]["edges"]]
    assert [card for card in cards if card is not None] == [space]


async def test_a_sound_file_becomes_a_recording_that_plays(town: ServedTown, tmp_path: Path) -> None:
    host = await town.person("example_record")
    made = await host.do(
        "createAccessToken",
        "token: secret",
        name="recorder",
        scopes=["READ", "SPACES_WRITE", "AUDIO_PUBLISH"],
    )
    file = tmp_path / "talk.ogg"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        for _ in range(100):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
            frame.sample_rate = 48_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    words = (sys.executable, "record.py", f"{town.server.url}/graphql", made["token"], "A talk", str(file))
    async with started(*words) as process:
        assert await line(process) == "LIVE recording"
        status, duration_ms, url = (await line(process)).split()
        assert await process.wait() == 0
    assert status == "AVAILABLE"
    assert int(duration_ms) == pytest.approx(2_000, abs=500)
    playlist = (await town.http.get(url)).text
    assert playlist.startswith("#EXTM3U")
    assert playlist.rstrip().endswith("#EXT-X-ENDLIST")
