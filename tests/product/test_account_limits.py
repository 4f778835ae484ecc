"""How often one may sign up, and how often guess a password."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.product.town import Town, open_town

PASSWORD = "correct horse"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh server with its limits on."""
    async with open_town(tmp_path / "data", rate_limit_enabled=True) as opened:
        yield opened


async def _sign_in(town: Town, handle: str, password: str) -> str:
    payload = await town.anyone.try_("signIn", "token", handle=handle, password=password)
    for error in payload["errors"]:
        assert (error["retryAfterMs"] is not None) == (error["code"] == "RATE_LIMITED")
        assert error["retryAfterMs"] is None or 0 < error["retryAfterMs"] <= 15 * 60_000
    return str(payload["errors"][0]["code"]) if payload["errors"] else "OK"


async def test_an_address_signs_up_20_times_an_hour(guarded: Town) -> None:
    for number in range(20):
        await guarded.person(f"person_{number:02}")
    answer = await guarded.http.post(
        "/graphql",
        json={
            "query": "mutation($input: SignUpInput!) { signUp(input: $input) { token errors { code retryAfterMs } } }",
            "variables": {"input": {"handle": "one_more", "name": "N", "password": PASSWORD}},
        },
    )
    payload = answer.json()["data"]["signUp"]
    assert payload["token"] is None
    (error,) = payload["errors"]
    assert error["code"] == "RATE_LIMITED"
    assert 0 < error["retryAfterMs"] <= 3_600_000
    assert int(answer.headers["retry-after"]) == math.ceil(error["retryAfterMs"] / 1000)


async def test_after_10_wrong_passwords_an_account_waits_and_others_do_not(guarded: Town) -> None:
    for handle in ("guessed", "bystander"):
        await guarded.person(handle)
    answers = [await _sign_in(guarded, "gUESSED", f"wrong guess {number}") for number in range(12)]
    assert answers == ["UNAUTHENTICATED"] * 10 + ["RATE_LIMITED"] * 2
    assert await _sign_in(guarded, "guessed", PASSWORD) == "RATE_LIMITED"
    assert await _sign_in(guarded, "bystander", PASSWORD) == "OK"
    assert await _sign_in(guarded, "nobody_here", PASSWORD) == "UNAUTHENTICATED"


async def test_guessing_many_at_the_same_time_gains_nothing(guarded: Town) -> None:
    await guarded.person("guessed")
    guesses = [_sign_in(guarded, "guessed", f"wrong guess {number}") for number in range(40)]
    assert Counter(await asyncio.gather(*guesses)) == {"UNAUTHENTICATED": 10, "RATE_LIMITED": 30}


async def test_signing_in_many_times_at_once_with_the_right_password_is_no_guessing(guarded: Town) -> None:
    await guarded.person("many_devices")
    answers = await asyncio.gather(*(_sign_in(guarded, "many_devices", PASSWORD) for _ in range(20)))
    assert set(answers) == {"OK"}


@pytest.mark.parametrize(("trusted", "codes"), [("", {"RATE_LIMITED"}), ("127.0.0.1", set())])
async def test_only_a_trusted_proxy_may_say_who_asks(tmp_path: Path, trusted: str, codes: set[str]) -> None:
    async with open_town(
        tmp_path / "data",
        quiet=True,
        rate_limit_enabled=True,
        operations_per_minute_address=3,
        trusted_proxies=trusted,
    ) as town:
        answers = [
            await town.http.post(
                "/graphql",
                json={"query": "{ __typename }"},
                headers={"X-Forwarded-For": f"192.0.2.{number}"},
            )
            for number in range(5)
        ]
    found = {error["extensions"]["code"] for answer in answers for error in answer.json().get("errors", [])}
    assert found == codes
