"""A WebKit (Debian's webkit2gtk-driver) on a display of its own, driven by plain WebDriver."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.product.town import free_port

PATIENCE_S = 90.0
_PAUSE_S = 0.1


@dataclass(frozen=True)
class WebKit:
    """One window."""

    http: httpx.AsyncClient
    session: str

    async def _do(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"/session/{self.session}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    async def go(self, url: str) -> None:
        """Open a page."""
        await self._do("/url", url=url)

    async def reload(self) -> None:
        """Load it anew."""
        await self._do("/refresh")

    async def evaluate(self, expression: str, *arguments: Any) -> Any:
        """What an expression is on the page; `arguments` has its arguments."""
        return await self._do("/execute/sync", script=f"return {expression};", args=list(arguments))

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true."""
        value: Any = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (value := await self.evaluate(expression)):
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"expected {expression} on the page, got: {text}") from None
        return value

    async def click(self, selector: str) -> None:
        """Click as a person does, once it is there."""
        await self.until(f"document.querySelector({selector!r}) !== null")
        found = await self._do("/element", using="css selector", value=selector)
        await self._do(f"/element/{next(iter(found.values()))}/click")


@contextlib.asynccontextmanager
async def webkit(folder: Path) -> AsyncIterator[WebKit]:
    """A window whose files lie in `folder`."""
    async with contextlib.AsyncExitStack() as stack:
        display = await stack.enter_async_context(_display())
        port = free_port()
        environment = {
            **os.environ,
            **dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder)),
            "DISPLAY": display,
            "GDK_BACKEND": "x11",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "NO_AT_BRIDGE": "1",
        }
        await stack.enter_async_context(
            _running("WebKitWebDriver", f"--port={port}", environment=environment)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S)
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/status")).json()["value"]["ready"]:
                        break
                await asyncio.sleep(_PAUSE_S)
        answer = await http.post("/session", json={"capabilities": {"alwaysMatch": {}}})
        assert answer.status_code == 200, answer.text
        session = answer.json()["value"]["sessionId"]
        try:
            yield WebKit(http, session)
        finally:
            await http.delete(f"/session/{session}")


@contextlib.asynccontextmanager
async def _display() -> AsyncIterator[str]:
    """The name of a screen that nobody sees."""
    told, tell = os.pipe()
    words = ("-displayfd", str(tell), "-screen", "0", "1180x820x24", "-nolisten", "tcp")
    try:
        async with _running("Xvfb", *words, descriptors=(tell,)):
            async with asyncio.timeout(PATIENCE_S):
                name = await asyncio.to_thread(os.read, told, 16)
            yield f":{name.decode().strip()}"
    finally:
        os.close(told)
        os.close(tell)


@contextlib.asynccontextmanager
async def _running(
    *words: str, environment: dict[str, str] | None = None, descriptors: tuple[int, ...] = ()
) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *words,
        env=environment,
        pass_fds=descriptors,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
