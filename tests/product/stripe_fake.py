"""A small Stripe: Checkout Sessions, refunds and signed webhooks, with a memory, as its API reference has them.

Stripe's own library asks it, reads its answers and checks its signatures.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.product.town import free_port

KEY = "sk_test_spaces"
SECRET = "whsec_spaces"
_SHORTEST_S = 30 * 60


class Refused(Exception):
    """An error as Stripe answers it."""

    def __init__(self, status: int, kind: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, "code": code}}


class FakeStripe:
    """`down`: it answers 503. `mute`: it does what it is asked, and answers 500 all the same."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.down = False
        self.mute = False
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self._now = now
        self._answers: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self._events = self._opened = 0
        self.app = Starlette(
            routes=[Route("/v1/{path:path}", self._answer, methods=["GET", "POST", "DELETE"])]
        )

    def forget(self) -> None:
        """Begin anew, at work and with nothing sold."""
        self.down = self.mute = False
        self.sessions, self.refunds, self.asked = {}, {}, Counter()

    # ---------- what the buyer does ----------

    def session_at(self, url: str) -> dict[str, Any]:
        """The session whose page lies at an address."""
        return next(session for session in self.sessions.values() if session["url"] == url)

    def pay(self, url: str) -> dict[str, Any]:
        """Pay on the page at `url`; the event that Stripe sends then."""
        session = self.session_at(url)
        assert session["status"] == "open", f"nobody can pay a session that is {session['status']}"
        assert self._now().timestamp() < session["expires_at"]
        session |= {"status": "complete", "payment_status": "paid", "payment_intent": f"pi_{session['id']}"}
        return self._event("checkout.session.completed", session)

    def lapse(self, url: str) -> dict[str, Any]:
        """Let a session expire; the event that Stripe sends then."""
        session = self.session_at(url)
        session["status"] = "expired"
        return self._event("checkout.session.expired", session)

    def _event(self, kind: str, session: dict[str, Any]) -> dict[str, Any]:
        self._events += 1
        return {
            "id": f"evt_{self._events}",
            "object": "event",
            "type": kind,
            "created": int(time.time()),
            "livemode": False,
            "data": {"object": dict(session)},
        }

    # ---------- webhooks ----------

    def signed(
        self, event: dict[str, Any], *, secret: str = SECRET, at_s: int | None = None
    ) -> tuple[bytes, str]:
        """An event's bytes, and the header that signs them."""
        body = json.dumps(event).encode()
        at_s = int(time.time()) if at_s is None else at_s
        mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
        return body, f"t={at_s},v1={mac}"

    async def tell(self, http: httpx.AsyncClient, event: dict[str, Any]) -> int:
        """Deliver an event; the status that was answered."""
        body, signature = self.signed(event)
        answer = await http.post("/payments/stripe", content=body, headers={"Stripe-Signature": signature})
        return answer.status_code

    # ---------- the API ----------

    async def _answer(self, request: Request) -> Response:
        path = f"{request.method} {request.path_params['path']}"
        self.asked[path.split("/cs_", maxsplit=1)[0]] += 1
        try:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                raise Refused(401, "invalid_request_error", "Invalid API Key provided")
            if self.down:
                raise Refused(503, "api_error", "Stripe is down")
            given = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            answer = self._once(request.headers.get("idempotency-key"), path, given)
            if self.mute:
                raise Refused(500, "api_error", "Something went wrong")
        except Refused as refused:
            return JSONResponse(refused.body, refused.status, {"Stripe-Should-Retry": "false"})
        return JSONResponse(answer)

    def _once(self, key: str | None, path: str, given: dict[str, str]) -> dict[str, Any]:
        """The answer; the one that was given when the same was asked under the same key."""
        if key is None or not path.startswith("POST"):
            return self._do(path, given)
        if key in self._answers:
            before, answer = self._answers[key]
            if before != given:
                raise Refused(400, "idempotency_error", "Keys can only be used with the same parameters")
            return answer
        answer = self._do(path, given)
        self._answers[key] = (given, dict(answer))
        return answer

    def _do(self, path: str, given: dict[str, str]) -> dict[str, Any]:
        match path.split("/"):
            case ["POST checkout", "sessions"]:
                return self._open(given)
            case ["GET checkout", "sessions", name]:
                return self._session(name)
            case ["POST checkout", "sessions", name, "expire"]:
                return self._expire(name)
            case ["POST refunds"]:
                return self._refund(given["payment_intent"])
        raise Refused(404, "invalid_request_error", f"Unrecognized request URL ({path})")

    def _open(self, given: dict[str, str]) -> dict[str, Any]:
        expires_at = int(given["expires_at"])
        if not _SHORTEST_S <= expires_at - self._now().timestamp() <= 24 * 3600:
            raise Refused(400, "invalid_request_error", "expires_at must be 30 minutes to 24 hours from now")
        assert given["mode"] == "payment"
        assert given["line_items[0][quantity]"] == "1"
        self._opened += 1
        name = f"cs_test_{self._opened}"
        self.sessions[name] = {
            "id": name,
            "object": "checkout.session",
            "mode": "payment",
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "client_reference_id": given["client_reference_id"],
            "amount_total": int(given["line_items[0][price_data][unit_amount]"]),
            "currency": given["line_items[0][price_data][currency]"],
            "success_url": given["success_url"],
            "cancel_url": given["cancel_url"],
            "expires_at": expires_at,
            "url": f"{self.url}/pay/{name}",
            "livemode": False,
        }
        return self.sessions[name]

    def _session(self, name: str) -> dict[str, Any]:
        if name not in self.sessions:
            raise Refused(
                404, "invalid_request_error", f"No such checkout session: {name}", "resource_missing"
            )
        return self.sessions[name]

    def _expire(self, name: str) -> dict[str, Any]:
        session = self._session(name)
        if session["status"] != "open":
            raise Refused(400, "invalid_request_error", "Only open Checkout Sessions can be expired")
        session["status"] = "expired"
        return session

    def _refund(self, intent: str) -> dict[str, Any]:
        if all(session["payment_intent"] != intent for session in self.sessions.values()):
            raise Refused(404, "invalid_request_error", "No such payment_intent", "resource_missing")
        if intent in self.refunds:
            raise Refused(400, "invalid_request_error", "Already refunded", "charge_already_refunded")
        self.refunds[intent] = f"re_{intent}"
        return {"id": f"re_{intent}", "object": "refund", "payment_intent": intent, "status": "succeeded"}


@contextlib.asynccontextmanager
async def open_stripe(now: Callable[[], datetime]) -> AsyncIterator[FakeStripe]:
    """One that answers over HTTP on a free port."""
    fake = FakeStripe(now)
    server = uvicorn.Server(
        uvicorn.Config(fake.app, host="127.0.0.1", port=fake.port, log_config=None, lifespan="off")
    )
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        yield fake
    finally:
        server.should_exit = True
        await task
