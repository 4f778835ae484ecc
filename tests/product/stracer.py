"""A worker that strace kills at each call by which a purge makes something durable or removes it.

`python -m tests.product.stracer FOLDER all|few` prints as JSON what came of each. As in `purger`, one process
imports everything and forks; strace takes hold of the child before it begins.
"""

import asyncio
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.product.purger import ended, in_a_process, outcome, prepare, work

_CALLS = "fdatasync,fsync,unlink,unlinkat,rename,rmdir"
_LINE = re.compile(
    r"^(?P<thread>\d+) +(?P<call>\w+)\((?:AT_FDCWD[^,]*, )?(?:\d+<(?P<fd>[^>]+)>|\"(?P<name>[^\"]+)\")"
)
_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)
Point = tuple[str, str, int]


def traced(data_dir: Path, *arguments: str) -> int:
    """One round under strace, which is there from the first call on; the worker's exit status."""
    read_end, write_end = os.pipe()
    worker = in_a_process(_begin_when_told(data_dir, read_end))
    os.close(read_end)
    command = ["strace", "-f", "-qq", "-y", "-p", str(worker), *arguments]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{worker}/status")
    give_up = time.monotonic() + 30
    while "TracerPid:\t0\n" in status.read_text():
        assert tracer.poll() is None, "strace cannot take hold of the worker"
        assert time.monotonic() < give_up
        time.sleep(0.002)
    os.write(write_end, b"go")
    os.close(write_end)
    found = ended(worker)
    tracer.wait(30)
    return found


async def _begin_when_told(data_dir: Path, told: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    await asyncio.to_thread(os.read, told, 2)
    await work(data_dir)


def points(log: Path) -> list[Point]:
    """Every call that a round made, by call, file and how often it came: what strace can be told to kill at."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found: dict[Point, None] = {}
    for line in log.read_text().splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        path = match["fd"] or match["name"]
        seen[match["thread"], match["call"], path] += 1
        found[match["call"], path, seen[match["thread"], match["call"], path]] = None
    return list(found)


def few(found: list[Point]) -> list[Point]:
    """A commit and a removed file, each in the middle of the others."""
    commits = [point for point in found if point[1].endswith("-wal") and point[0] == "fdatasync"]
    files = [point for point in found if "/recordings/" in point[1] and point[0] == "unlink"]
    return [kind[len(kind) // 2] for kind in (commits, files)]


def crash(folder: Path, *, is_short: bool) -> dict[str, Any]:
    """What is left after an uncrashed worker, and after one that is killed at each point and one more."""
    template, data_dir, log = folder / "template", folder / "data", folder / "calls"
    assert ended(in_a_process(prepare(template, 1))) == 0
    shutil.copytree(template, data_dir)
    assert traced(data_dir, "-e", f"trace={_CALLS}", "-o", str(log)) == 0
    uncrashed = _left(data_dir)
    made = [point for point in points(log) if point[1].startswith(str(data_dir))]
    crashed = []
    for call, path, nth in few(made) if is_short else made:
        shutil.rmtree(data_dir)
        shutil.copytree(template, data_dir)
        kill = f"inject={call}:signal=SIGKILL:when={nth}"
        status = traced(data_dir, "-P", path, "-e", f"trace={call}", "-e", kill, "-o", os.devnull)
        assert ended(in_a_process(work(data_dir, until_done=True))) == 0
        where = f"{call} {nth} of {Path(path).name}"
        crashed.append([where, status == -signal.SIGKILL, _left(data_dir)])
    return {"uncrashed": uncrashed, "crashed": crashed}


def _left(data_dir: Path) -> dict[str, Any]:
    # The template's rows were deleted past the journal of removals: whoever sees them before the purge writes it.
    others = {"removals.jsonl", "spaces.sqlite3-shm", "spaces.sqlite3-wal"}
    names = sorted({path.name for path in data_dir.iterdir()} - others)
    return {**outcome(data_dir), "names": names}


if __name__ == "__main__":
    print(json.dumps(crash(Path(sys.argv[1]), is_short=sys.argv[2] == "few")))
