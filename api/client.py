"""The browser client: one page for every path that its router knows, and the service worker beside it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from api.heads import Heads
from api.pages import Pages, is_under_path, own_sources, page

_STATIC = Path(__file__).parent / "static"
_CLIENT = _STATIC / "client"
# What `web/client/src/app.tsx` knows besides `/`.
_PATHS = (
    "/sign-in",
    "/sign-up",
    "/people",
    "/people/{handle}",
    "/spaces/{space}",
    "/new",
    "/recordings",
    "/notices",
    "/moderation",
    "/moderation/{section}",
    "/moderation/{section}/{subject}",
)


class ClientRoutes:
    """Where the client was not built, for want of Node.js, or cannot run, being below a path, `/` is the server's own
    timeline, and says so.
    """

    def __init__(self, pages: Pages, heads: Heads, public_url: str) -> None:
        """`public_url`: what media addresses begin with, and so where the page may fetch from."""
        self._pages = pages
        self._heads = heads
        self._policy = _policy(public_url)

    def routes(self) -> list[BaseRoute]:
        """The pages, the worker and everything that was built."""
        return [
            Route("/", self.home),
            *(Route(path, self.elsewhere) for path in _PATHS),
            Route("/worker.js", self.worker),
            Route("/offline", self.offline),
            Mount("/static", GZipMiddleware(_Built(directory=_STATIC, check_dir=False), minimum_size=1000)),
        ]

    async def home(self, request: Request) -> Response:
        """The client; without it, the public timeline."""
        return self._shell() or await self._pages.timeline(request, is_instead=True)

    async def elsewhere(self, request: Request) -> Response:
        """The client at another of its paths, which says what it is about before any script runs."""
        head = await self._heads.of(request.path_params) if self._is_here() else None
        return self._shell(head=head) or page(self._pages.site, "client.html", 404)

    async def worker(self, _request: Request) -> Response:
        """The service worker, from the root, as it may only act for what lies below it."""
        if not (_CLIENT / "worker.js").exists():
            return page(self._pages.site, "client.html", 404)
        return FileResponse(_CLIENT / "worker.js", headers={"Cache-Control": "no-cache"})

    async def offline(self, _request: Request) -> Response:
        """What the service worker keeps for who is offline."""
        return self._shell(file="offline.html") or page(self._pages.site, "client.html", 404)

    def nowhere(self, _request: Request) -> Response:
        """Whoever came by a wrong address, and can go on from here."""
        found = self._shell(404) or page(self._pages.site, "nowhere.html", 404)
        found.headers["Vary"] = "Accept"
        return found

    def _is_here(self, file: str = "index.html") -> bool:
        return (_CLIENT / file).exists() and not is_under_path(self._pages.site)

    def _shell(
        self, status: int = 200, *, file: str = "index.html", head: str | None = None
    ) -> Response | None:
        if not self._is_here(file):
            return None
        headers = {
            "Content-Security-Policy": self._policy,
            "Cache-Control": "no-cache",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(_about(_html(file), head), status, headers=headers)


class Nowhere(BaseRoute):
    """Every address that no other route knows, for browsers; it stands last. Programs get an error as JSON."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a person is looking."""
        is_read = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        is_page = is_read and "text/html" in Headers(scope=scope).get("accept", "")
        return (Match.FULL if is_page else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page."""
        await self._answer(Request(scope, receive))(scope, receive, send)


class _Built(StaticFiles):
    """Files whose names hold the hash of what is in them never change."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if path.startswith("client/assets/") and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@cache
def _html(file: str) -> str:
    return (_CLIENT / file).read_text()


def _about(html: str, head: str | None) -> str:
    """The page with this in place of what every page says of itself."""
    before, found, rest = html.partition("<!-- about -->")
    if head is None or not found:
        return html
    return before + head.strip() + rest.partition("<!-- /about -->")[2]


def _policy(public_url: str) -> str:
    """No script but ours, nothing from elsewhere; sound and pictures also by the address that the API names."""
    media = own_sources(public_url)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self';"
        f" worker-src 'self'; img-src {media}; media-src {media} blob:; connect-src {media};"
        " require-trusted-types-for 'script'; trusted-types spaces;"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
