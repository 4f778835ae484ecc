"""The demo: three people hold a recorded Space on a running server, by its public API alone."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from api.demo.make_voices import HERE, Conversation, Line, read_conversation
from api.demo.voice import Cue, NoAudio, Voice

TITLE = "What becomes of a Space when it is over?"
DESCRIPTION = "Mira, Jonas and Tess talk about recording, out of three speech synthesizers."
COMMENT = "Half a minute on what a recorded Space is, from the first word to the last byte."
HOST = "host"
_TIMEOUT_S = 20.0
_REFRESH_S = 0.1
_HANDLE_LENGTH = 30


class DemoFailed(Exception):
    """The demo could not be played to its end; the message says why, and the way out."""


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody of the conversation, signed up."""

    key: str
    name: str
    id: str
    handle: str
    token: str
    api: "Api"

    async def do(self, mutation: str, want: str = "", **input_: Any) -> dict[str, Any]:
        """A mutation's payload. Raises `DemoFailed` when it is refused."""
        return await self.api.do(mutation, want, token=self.token, **input_)


class Api:
    """The server's GraphQL."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, query: str, *, token: str | None = None, **variables: Any) -> dict[str, Any]:
        """The data of an operation. Raises `DemoFailed` without it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        response = await self.http.post("/graphql", json=body, headers=headers)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not answer.keys() & {"data", "errors"}:
            raise DemoFailed(
                f"Expected GraphQL at {response.url}, got status {response.status_code}. Is this a Spaces server?"
            )
        if answer.get("errors"):
            raise DemoFailed(answer["errors"][0]["message"])
        data: dict[str, Any] = answer["data"]
        return data

    async def do(self, mutation: str, want: str = "", *, token: str | None, **input_: Any) -> dict[str, Any]:
        """A mutation's payload. Raises `DemoFailed` when it is refused."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {want} errors {{ message }} }} }}"
        payload: dict[str, Any] = (await self.ask(query, token=token, input=input_))[mutation]
        if payload["errors"]:
            raise DemoFailed(payload["errors"][0]["message"])
        return payload


async def play_demo(url: str, console: Console) -> None:
    """Play the conversation into a new recorded Space and share it; in real time, some 33 s.

    Says what happens as it happens. Ends the command with 1, and a sentence, when it cannot be played.
    """
    try:
        await perform(url, console)
    except DemoFailed as failure:
        _tell(console, f"[bold red]The demo could not be played.[/] {escape(str(failure))}")
        raise typer.Exit(1) from None


async def perform(url: str, console: Console) -> str:
    """The same, with `DemoFailed` raised. Returns the URL of the shared recording's card."""
    conversation = read_conversation()
    try:
        async with _client(url) as http:
            return await _perform(Api(http), conversation, console)
    except httpx.TransportError as error:
        raise DemoFailed(
            f"No server answers at {url} ({_reason(error)}). Start one with `make run` or `spaces serve`, or name"
            " another with `spaces demo --url`."
        ) from error
    except NoAudio as error:
        raise DemoFailed(str(error)) from error


async def _perform(api: Api, conversation: Conversation, console: Console) -> str:
    people = await sign_up(api, conversation)
    host = people[HOST]
    _tell(console, f"{host.name} (@{host.handle}) launches a recorded Space: [bold]{escape(TITLE)}[/]")
    cue = Cue()
    voices = {key: Voice(HERE / f"{key}.opus", cue=cue, http=api.http) for key in people}
    try:
        async with _live_space(host) as space:
            for person in people.values():
                if person is not host:
                    await come_on_stage(space, host=host, person=person)
                    _tell(
                        console,
                        f"{person.name} (@{person.handle}) raises a hand, agrees to be recorded and may speak",
                    )
            await asyncio.gather(*(_publish(space, person, voices[key]) for key, person in people.items()))
            cue.give()
            await _play(cue, voices, conversation=conversation, console=console)
            # The host stays until the Space has ended: with nobody connected its end would be a gap.
            await asyncio.gather(*(voice.hang_up() for key, voice in voices.items() if key != HOST))
    finally:
        await asyncio.gather(*(voice.close() for voice in voices.values()))
    recording = space["recording"]
    _tell(
        console, f"{host.name} ends the Space: {_clock(recording['durationMs'])} recorded, ready to be played"
    )
    shared = await host.do("shareRecording", "item { url }", recordingId=recording["id"], comment=COMMENT)
    card = str(shared["item"]["url"])
    _tell(console, f"{host.name} shares the recording. To listen, open its card and press play:")
    _tell(console, f"  [bold cyan]{escape(card)}[/]")
    return card


def _client(url: str) -> httpx.AsyncClient:
    # A proxy from the environment is for the world outside, not for a server on this machine.
    local = urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
    try:
        return httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=not local)
    except httpx.InvalidURL:
        raise DemoFailed(f"{url} is no URL. It looks like http://127.0.0.1:8000.") from None


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


# ---------- the people ----------


async def sign_up(api: Api, conversation: Conversation) -> dict[str, Person]:
    """Everybody of the conversation, newly: with their own name as handle if it is free for all of them.

    Each has a password that nobody knows, so nobody can come back as one of them.
    """
    handles = {key: voice.name.lower() for key, voice in conversation.voices.items()}
    fields = " ".join(f'{key}: user(handle: "{handle}") {{ id }}' for key, handle in handles.items())
    if any((await api.ask(f"{{ {fields} }}")).values()):
        suffix = f"_{secrets.token_hex(3)}"
        handles = {key: handle[: _HANDLE_LENGTH - len(suffix)] + suffix for key, handle in handles.items()}
    people = {}
    for key, handle in handles.items():
        name = conversation.voices[key].name
        password = secrets.token_urlsafe(24)
        made = await api.do(
            "signUp", "token user { id }", token=None, handle=handle, name=name, password=password
        )
        people[key] = Person(
            key=key, name=name, id=made["user"]["id"], handle=handle, token=made["token"], api=api
        )
    return people


@asynccontextmanager
async def _live_space(host: Person) -> AsyncIterator[dict[str, Any]]:
    """A live recorded Space; ended at the end, whatever happens. Then its recording is filled in."""
    made = await host.do(
        "createSpace",
        "space { id consent { version } }",
        title=TITLE,
        description=DESCRIPTION,
        language="en",
        topics=["demo", "recording"],
        record=True,
    )
    space: dict[str, Any] = made["space"]
    await host.do("startSpace", spaceId=space["id"])
    try:
        yield space
    except BaseException:
        with suppress(DemoFailed, httpx.HTTPError):
            await host.do("endSpace", spaceId=space["id"])
        raise
    ended = await host.do("endSpace", "space { recording { id status durationMs } }", spaceId=space["id"])
    space["recording"] = ended["space"]["recording"]


async def come_on_stage(space: dict[str, Any], *, host: Person, person: Person) -> None:
    """From outside to a speaker who agreed to be recorded."""
    await person.do("joinSpace", spaceId=space["id"])
    await person.do("raiseHand", spaceId=space["id"], raised=True)
    await host.do("setParticipantRole", spaceId=space["id"], userId=person.id, role="SPEAKER")
    await person.do("acknowledgeRecording", spaceId=space["id"], consentVersion=space["consent"]["version"])


# ---------- the sound ----------


async def _publish(space: dict[str, Any], person: Person, voice: Voice) -> None:
    joined = await person.do("joinSpace", "whipUrl mediaToken", spaceId=space["id"])
    await voice.connect(joined["whipUrl"], token=joined["mediaToken"])


async def _play(cue: Cue, voices: dict[str, Voice], *, conversation: Conversation, console: Console) -> None:
    """Show what is said until all is said. Raises `NoAudio` when a connection is lost."""
    said = iter(conversation.lines)
    upcoming: Line | None = next(said, None)
    with _progress(console, length_ms=conversation.length_ms) as (progress, task):
        while not all(voice.track.played.is_set() for voice in voices.values()):
            now_ms = cue.elapsed_s() * 1000
            while upcoming is not None and upcoming.at_ms <= now_ms:
                name = conversation.voices[upcoming.voice].name
                _say(progress.console, upcoming, name=name)
                progress.update(task, speaker=f"{name} speaks")
                upcoming = next(said, None)
            progress.update(task, completed=now_ms, clock=_clock(now_ms))
            if any(voice.lost.is_set() for voice in voices.values()):
                raise NoAudio("The audio connection to the server was lost. See the server's log.")
            await asyncio.sleep(_REFRESH_S)
        progress.update(task, completed=conversation.length_ms, speaker="")


@contextmanager
def _progress(console: Console, *, length_ms: int) -> Iterator[tuple[Progress, TaskID]]:
    """A bar that stays below what is said; without a terminal, none."""
    columns = (
        TextColumn("[red]●[/] recorded"),
        BarColumn(),
        TextColumn("{task.fields[clock]} of " + _clock(length_ms)),
        TextColumn("[bold]{task.fields[speaker]}[/]"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task("", total=length_ms, clock=_clock(0), speaker="")


def _say(console: Console, line: Line, *, name: str) -> None:
    _tell(console, f"  [dim]{_clock(line.at_ms)}[/]  [bold]{name}[/]: {escape(line.text)}")


def _tell(console: Console, text: str) -> None:
    """A line of markup; a line without a terminal too."""
    console.print(text, highlight=False, soft_wrap=True)


def _clock(length_ms: float) -> str:
    minutes, seconds = divmod(int(length_ms) // 1000, 60)
    return f"{minutes}:{seconds:02d}"
