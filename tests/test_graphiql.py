"""The GraphiQL page as it was built, in a real browser, against a schema of two fields."""

import asyncio
import json
import mimetypes
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graphql import build_schema, graphql_sync
from playwright.async_api import Page, Route, WebSocketRoute, async_playwright, expect

pytestmark = pytest.mark.needs_chromium

STATIC = Path(__file__).parent.parent / "api" / "static"
ORIGIN = "http://spaces.test"
# What a server should send with the page: no inline script, nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SCHEMA = build_schema("type Query { greeting: String! } type Subscription { tick: Int! }")


class Server:
    """Answers the page's requests as the API would, and keeps what the page sent."""

    def __init__(self) -> None:
        self.authorizations: list[str | None] = []
        self.frames: list[dict[str, object]] = []
        self.elsewhere: list[str] = []

    async def answer(self, route: Route) -> None:
        """Files of the page, and GraphQL by POST."""
        request = route.request
        path = request.url.removeprefix(ORIGIN)
        if path == request.url:
            self.elsewhere.append(path)
            await route.abort()
        elif request.method == "POST":
            self.authorizations.append(await request.header_value("authorization"))
            result = graphql_sync(SCHEMA, json.loads(request.post_data or "")["query"], {"greeting": "hello"})
            await route.fulfill(json=result.formatted)
        else:
            file = STATIC / ("graphiql/index.html" if path == "/graphql" else path.removeprefix("/static/"))
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            headers = {"content-security-policy": POLICY, "content-type": kind}
            await route.fulfill(body=file.read_bytes(), headers=headers)

    def accept(self, socket: WebSocketRoute) -> None:
        """One subscription that ticks twice, in graphql-transport-ws."""

        def on_message(message: str | bytes) -> None:
            frame = json.loads(message)
            self.frames.append(frame)
            if frame["type"] == "connection_init":
                socket.send(json.dumps({"type": "connection_ack"}))
            elif frame["type"] == "subscribe":
                for tick in (1, 2):
                    payload = {"data": {"tick": tick}}
                    socket.send(json.dumps({"type": "next", "id": frame["id"], "payload": payload}))
                socket.send(json.dumps({"type": "complete", "id": frame["id"]}))

        socket.on_message(on_message)


@pytest.fixture
def server() -> Server:
    if not (STATIC / "graphiql" / "index.html").exists():
        pytest.skip("the GraphiQL page was not built, for want of Node.js")
    return Server()


@pytest.fixture
async def page(server: Server) -> AsyncIterator[Page]:
    """The page, open; a policy it breaks or an error it logs fails the test at the end."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        await page.route("**/*", server.answer)
        await page.route_web_socket("**/graphql", server.accept)
        await page.goto(f"{ORIGIN}/graphql")
        await expect(page.locator(".graphiql-query-editor")).to_contain_text("timeline", timeout=30_000)
        yield page
        await browser.close()
    assert complaints == []
    assert server.elsewhere == []


async def write(page: Page, *, into: str, text: str) -> None:
    """Replace what an editor of the page holds."""
    await page.locator(f"{into} .monaco-editor >> visible=true").first.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Delete")
    await page.keyboard.insert_text(text)


async def test_a_query_runs_with_the_header_that_the_person_gave(page: Page, server: Server) -> None:
    await write(page, into=".graphiql-query-editor", text="query Greet { greeting }")
    await write(page, into=".graphiql-editor-tool", text='{"Authorization": "Bearer mira"}')
    await page.get_by_label("Execute query").first.click()

    await expect(page.locator(".graphiql-response")).to_contain_text("hello")
    assert server.authorizations[-1] == "Bearer mira"


async def test_a_subscription_opens_a_socket_with_the_same_authorization(page: Page, server: Server) -> None:
    await write(page, into=".graphiql-query-editor", text="subscription Ticks { tick }")
    await write(page, into=".graphiql-editor-tool", text='{"authorization": "Bearer mira"}')
    await page.get_by_label("Execute query").first.click()

    await expect(page.locator(".graphiql-response")).to_contain_text("2")
    assert server.frames[0] == {"type": "connection_init", "payload": {"authorization": "Bearer mira"}}


async def test_the_token_is_forgotten_with_the_page(page: Page) -> None:
    await write(page, into=".graphiql-editor-tool", text='{"Authorization": "Bearer mira"}')
    await write(page, into=".graphiql-query-editor", text="query Kept { greeting }")

    async with asyncio.timeout(10):
        while "Kept" not in (kept := await page.evaluate("JSON.stringify(localStorage)")):
            await asyncio.sleep(0.05)
    assert "mira" not in kept
