"""The nginx of `deploy/nginx.conf` before a server on this machine."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

SITE = Path(__file__).parent.parent.parent / "deploy" / "nginx.conf"
PATIENCE_S = 30.0
_MAIN = """daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {sites}
}}
"""
# The file itself, asked of nobody: what a benchmark compares with.
_PLAIN = """server {{ listen 127.0.0.1:{port}; location /plain/ {{ alias {recordings}/; sendfile on; }} }}"""


def site(*, port: int, upstream: int, recordings: Path) -> str:
    """The shipped configuration with ports and paths of this machine."""
    text = SITE.read_text(encoding="utf-8")
    text = re.sub(r"listen 80;.*", f"listen 127.0.0.1:{port};", text)
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    return text.replace("/var/lib/spaces/recordings", str(recordings))


def _configure(folder: Path, sites: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # Started by root it would read as somebody else, who must not.
    user = "user root;" if folder.owner() == "root" else ""
    path = folder / "nginx.conf"
    path.write_text(_MAIN.format(folder=folder, sites=sites, user=user), encoding="utf-8")
    return path


@asynccontextmanager
async def nginx(
    folder: Path, *, port: int, upstream: int, recordings: Path, plain_port: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs in the block, before the server at `upstream`. Its worker is the process's only child."""
    sites = site(port=port, upstream=upstream, recordings=recordings)
    if plain_port is not None:
        sites += _PLAIN.format(port=plain_port, recordings=recordings)
    program = shutil.which("nginx")
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, "-e", "stderr", "-c", str(_configure(folder, sites)), stdout=sys.stderr
    )
    try:
        await _answers(process, port)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as http:
        while process.returncode is None:
            with suppress(httpx.TransportError):
                await http.get(f"http://127.0.0.1:{port}/metrics")
                return
            await asyncio.sleep(0.05)
    raise RuntimeError("nginx did not start")
