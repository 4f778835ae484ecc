"""A newcomer's first start, as `make run` makes it: the real server, the demo, and the end of both."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate

from api.demo.make_voices import HERE, SAMPLE_RATE_HZ, Line, read_conversation
from tests.product.process import children_of
from tests.product.town import free_port

ROOT = Path(__file__).parent.parent.parent
CONVERSATION = read_conversation()
LAST_LINE = "Ctrl-C stops Spaces"
STOP_PATIENCE_S = 10.0
# So much of a line is looked at; the next voice begins later.
HEARD_MS = 600
# How far from its time a line may be: what the network and the buffers against its jitter take.
LATE_MS = 200
TIMELINE = """{ timeline(first: 5) { edges { node {
    kind space { title state isRecording }
    recording { status durationMs gaps { startMs endMs cause } playback { url } }
} } } }"""

Samples = NDArray[np.float32]


def environment(folder: Path, *, port: int) -> dict[str, str]:
    """What a start in `folder` sees."""
    settings = {"SPACES_DATA_DIR": str(folder / "data"), "SPACES_PORT": str(port), "PYTHONPATH": str(ROOT)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPACES_")}
    return {**inherited, **settings, "PYTHONWARNINGS": "error"}


def spaces(folder: Path, *arguments: str, port: int) -> subprocess.Popen[str]:
    """A `spaces` command, without a terminal; both its streams in one."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *arguments],
        env=environment(folder, port=port),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], words: str) -> list[str]:
    """What a command writes, to the line with these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    raise AssertionError(f"expected a line with {words!r}, got {lines}")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(found for child in children_of(pid) for found in family(child))]


def all_end(pids: list[int]) -> bool:
    """Whether all of these processes end in time."""
    give_up_s = time.monotonic() + STOP_PATIENCE_S
    while time.monotonic() < give_up_s:
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@dataclass(frozen=True, kw_only=True)
class FirstStart:
    """What a first start left behind."""

    folder: Path
    port: int
    output: list[str]
    cards: list[dict[str, Any]]
    programme: Samples
    card_page: httpx.Response
    exit_code: int
    all_ended: bool


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstStart]:
    """`spaces run` in an empty folder, until the demo is over; then SIGTERM."""
    folder, port = tmp_path_factory.mktemp("first"), free_port()
    url = f"http://127.0.0.1:{port}"
    with spaces(folder, "run", port=port) as process:
        try:
            output = until(process, LAST_LINE)
            answer = httpx.post(f"{url}/graphql", json={"query": TIMELINE}).json()
            cards = [edge["node"] for edge in answer["data"]["timeline"]["edges"]]
            playlist_url = cards[0]["recording"]["playback"]["url"]
            media = httpx.get(playlist_url.replace("index.m3u8", "programme.mp4"))
            card_page = httpx.get(next(line.strip() for line in output if f"{url}/cards/" in line))
            processes = family(process.pid)
            process.terminate()
            exit_code = process.wait(STOP_PATIENCE_S)
            yield FirstStart(
                folder=folder,
                port=port,
                output=output,
                cards=cards,
                programme=decoded(media.content),
                card_page=card_page,
                exit_code=exit_code,
                all_ended=all_end(processes),
            )
        finally:
            process.kill()


def decoded(data: bytes) -> Samples:
    """A file's samples, mono at 48 kHz."""
    with av.open(BytesIO(data), "r") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32)


@pytest.fixture(scope="module")
def said() -> dict[str, Samples]:
    """What each voice says, as it is in the files."""
    return {voice: decoded((HERE / f"{voice}.opus").read_bytes()) for voice in CONVERSATION.voices}


def test_the_timeline_shows_everybody_one_recorded_space_without_a_gap(first_start: FirstStart) -> None:
    (card,) = first_start.cards

    assert (card["kind"], card["space"]["state"], card["space"]["isRecording"]) == (
        "SPACE_ENDED",
        "ENDED",
        False,
    )
    assert (card["recording"]["status"], card["recording"]["gaps"]) == ("AVAILABLE", [])
    assert card["recording"]["durationMs"] == pytest.approx(CONVERSATION.length_ms, abs=300)


def test_the_recording_lasts_as_long_as_the_conversation(first_start: FirstStart) -> None:
    length_ms = len(first_start.programme) * 1000 / SAMPLE_RATE_HZ

    assert length_ms == pytest.approx(CONVERSATION.length_ms, abs=300)


@pytest.mark.parametrize("line", CONVERSATION.lines, ids=lambda line: f"{line.at_ms}-{line.voice}")
def test_a_line_is_heard_from_its_voice_at_its_time_and_as_loud(
    line: Line, first_start: FirstStart, said: dict[str, Samples]
) -> None:
    start, length, around = (
        milliseconds * SAMPLE_RATE_HZ // 1000 for milliseconds in (line.at_ms, HEARD_MS, LATE_MS)
    )
    sent = said[line.voice][start : start + length]
    near = first_start.programme[start - around : start + length + around]
    likeness_at = correlate(near, sent, mode="valid", method="fft")
    place = int(np.argmax(likeness_at))
    heard = near[place : place + length]
    energies = float(np.sum(sent**2)), float(np.sum(heard**2))

    assert float(likeness_at[place]) / float(np.sqrt(energies[0] * energies[1])) > 0.6
    assert 10 * np.log10(energies[1] / energies[0]) == pytest.approx(0, abs=1.5)


def test_what_is_said_is_shown_in_plain_lines_without_a_terminal(first_start: FirstStart) -> None:
    shown = [line.text for line in CONVERSATION.lines if any(line.text in row for row in first_start.output)]

    assert shown == [line.text for line in CONVERSATION.lines]
    assert not any("\x1b" in row or "Traceback" in row for row in first_start.output)


def test_the_shared_card_has_a_page_that_plays(first_start: FirstStart) -> None:
    assert first_start.card_page.status_code == 200
    assert "<audio" in first_start.card_page.text
    assert "first word to the last byte" in first_start.card_page.text


def test_sigterm_ends_the_server_and_all_its_processes(first_start: FirstStart) -> None:
    assert first_start.exit_code == 0
    assert first_start.all_ended


def test_the_data_folder_holds_nothing_of_the_demo_but_what_every_space_leaves(
    first_start: FirstStart,
) -> None:
    kept = {path.name.partition("-")[0] for path in (first_start.folder / "data").iterdir()}

    assert kept == {"keys", "logs", "recordings", "spaces.sqlite3"}


def test_a_second_start_plays_no_demo_and_leaves_nothing_running_when_it_is_killed(
    first_start: FirstStart,
) -> None:
    with spaces(first_start.folder, "run", port=first_start.port) as process:
        try:
            output = until(process, LAST_LINE)
            processes = family(process.pid)
        finally:
            process.kill()

    assert not any("demo people" in line for line in output)
    assert len(processes) >= 3
    assert all_end(processes)


def test_a_taken_port_is_told_in_a_sentence(first_start: FirstStart, tmp_path: Path) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with spaces(tmp_path, "run", port=port) as process:
            output, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "Another program listens at" in output
    assert f"SPACES_PORT={port + 1} make run" in output
    assert not (tmp_path / "data").exists()


def test_a_demo_for_a_server_that_is_not_there_fails_with_the_way_out(tmp_path: Path) -> None:
    with spaces(tmp_path, "demo", port=free_port()) as process:
        output, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "No server answers at" in output
    assert "Traceback" not in output
