"""Timelines: whose cards, in what order, tombstones, pages that hold still, blocks, and their price in SQL."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.block import Block
from models.timeline_item import TimelineItem
from services.changes import new_id
from services.cursors import pack
from tests.product.town import Person, Town, open_town
from tests.product.voices import at, recorded, speak, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server where 50 cards may be asked for with everything on them."""
    async with open_town(tmp_path_factory.mktemp("town") / "data", cost=50_000) as opened:
        yield opened


CARD = "id kind activityAt createdAt author { id } space { id state } recording { status }"


async def cards_of(person: Person, want: str = CARD, **arguments: Any) -> list[Any]:
    """A page of somebody's timeline: its cards."""
    return [edge["node"] for edge in (await page_of(person, want, **arguments))["edges"]]


async def page_of(person: Person, want: str = CARD, **arguments: Any) -> Any:
    """A page of somebody's timeline."""
    given = ", ".join(f"{name}: {value!r}".replace("'", '"') for name, value in arguments.items())
    query = f"""{{ timeline{f"({given})" if given else ""} {{ edges {{ cursor node {{ {want} }} }}
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
    return (await person.read(query))["timeline"]


async def _block(blocker: Person, blocked: Person) -> None:
    await Block.create(
        id=new_id(),
        blocker_id=uuid_of(blocker.id),
        blocked_id=uuid_of(blocked.id),
        created_at=blocker.town.clock.now(),
    )


def tick(town: Town) -> None:
    """A second goes by."""
    town.clock.move(timedelta(seconds=1))


async def test_a_timeline_has_ones_own_cards_and_those_of_whom_one_follows(city: Town) -> None:
    me, friend, stranger = [await city.person() for _ in range(3)]
    await me.do("follow", userId=friend.id)
    mine = (await me.new_space())["id"]
    tick(city)
    theirs = (await friend.new_space())["id"]
    tick(city)
    foreign = (await stranger.new_space())["id"]
    assert [card["space"]["id"] for card in await cards_of(me)] == [theirs, mine]
    tick(city)
    await friend.do("shareSpace", spaceId=foreign, comment="Look")
    cards = await cards_of(me, CARD + " comment")
    assert [card["kind"] for card in cards] == ["SPACE_SHARED", "SPACE_SCHEDULED", "SPACE_SCHEDULED"]
    assert cards[0]["space"]["id"] == foreign
    await me.do("unfollow", userId=friend.id)
    assert [card["space"]["id"] for card in await cards_of(me)] == [mine]


async def test_a_card_changes_with_its_space_and_comes_up_when_it_goes_live_and_when_it_ends(
    city: Town,
) -> None:
    host = await city.person()
    first, second = (await host.new_space(record=True))["id"], None
    tick(city)
    second = (await host.new_space())["id"]

    async def order() -> list[tuple[str, str]]:
        return [(card["space"]["id"], card["kind"]) for card in await cards_of(host)]

    assert await order() == [(second, "SPACE_SCHEDULED"), (first, "SPACE_SCHEDULED")]
    tick(city)
    await host.do("updateSpace", spaceId=first, title="No news")
    assert (await order())[0] == (second, "SPACE_SCHEDULED")
    tick(city)
    await host.do("startSpace", spaceId=first)
    assert await order() == [(first, "SPACE_LIVE"), (second, "SPACE_SCHEDULED")]
    tick(city)
    third = (await host.new_space())["id"]
    assert (await order())[0] == (third, "SPACE_SCHEDULED")
    tick(city)
    await speak(city, first, 0.5)
    assert (await order())[0] == (third, "SPACE_SCHEDULED")
    tick(city)
    await host.do("endSpace", spaceId=first)
    assert await order() == [(first, "SPACE_ENDED"), (third, "SPACE_SCHEDULED"), (second, "SPACE_SCHEDULED")]
    tick(city)
    await host.do("cancelSpace", spaceId=second)
    assert (await order())[-1] == (second, "SPACE_SCHEDULED")
    moments = [at(card["activityAt"]) for card in await cards_of(host)]
    assert moments == sorted(moments, reverse=True)
    assert len(await cards_of(host)) == 3


@pytest.mark.both_databases
async def test_cards_whose_recording_is_gone_stay_as_tombstones(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    await fan.do("shareRecording", recordingId=talk.recording_id)
    want = "kind recording { id status viewerCanPlay playback { url } durationMs } space { id title }"
    await host.do("deleteRecording", recordingId=talk.recording_id)
    for person, kind in ((fan, "RECORDING_SHARED"), (host, "SPACE_ENDED")):
        (card,) = await cards_of(person, want)
        assert card["kind"] == kind
        assert card["recording"]["status"] == "DELETED"
        assert (card["recording"]["viewerCanPlay"], card["recording"]["playback"]) == (False, None)
    city.clock.move(timedelta(days=31))
    await city.round()
    for person in (fan, host):
        (card,) = await cards_of(person, want)
        assert card["recording"]["status"] == "PURGED"
        assert card["recording"]["id"] == talk.recording_id
    (public,) = [card for card in await cards_of(city.anyone, want) if card["space"]["id"] == talk.space_id]
    assert public["recording"]["status"] == "PURGED"


async def test_the_anonymous_timeline_has_live_spaces_and_recordings(city: Town) -> None:
    host, other = await city.person(), await city.person()
    scheduled, plain = (await host.new_space())["id"], await other.live_space()
    talk = await recorded(city, await city.person())
    armed = (await host.new_space(record=True))["id"]

    async def shown() -> set[str]:
        return {card["space"]["id"] for card in await cards_of(city.anyone, first=100)}

    assert {plain, talk.space_id} <= await shown()
    assert not {scheduled, armed} & await shown()
    await other.do("endSpace", spaceId=plain)
    assert plain not in await shown()
    assert talk.space_id in await shown()


@pytest.mark.both_databases
async def test_pages_join_up_while_new_cards_arrive(city: Town) -> None:
    host = await city.person()
    made = []
    for _ in range(7):
        tick(city)
        made.append((await host.new_space())["id"])
    seen: list[str] = []
    page = await page_of(host, first=3)
    assert page["pageInfo"]["hasPreviousPage"] is False
    while True:
        seen += [edge["node"]["space"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == (
            page["edges"][0]["cursor"],
            page["edges"][-1]["cursor"],
        )
        if not info["hasNextPage"]:
            break
        tick(city)
        await host.new_space()
        page = await page_of(host, first=3, after=info["endCursor"])
        assert page["pageInfo"]["hasPreviousPage"] is True
    assert seen == list(reversed(made))


async def test_cards_of_one_moment_are_on_one_page_each(city: Town) -> None:
    host = await city.person()
    city.clock.stand_at(city.clock.now())
    made = {(await host.new_space())["id"] for _ in range(5)}
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await page_of(host, first=2, **after)
        seen += [edge["node"]["space"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = {"after": page["pageInfo"]["endCursor"]}
    assert len(seen) == 5
    assert set(seen) == made


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "!!!!", "bnVsbA", "W10", "a" * 10_000, "é", "\0", pack(["r", 0]), pack(["r", 0, "no uuid"]),
        pack(["r", 2**61, "00000000-0000-0000-0000-000000000000"]), pack(["e", "", 1, 1]),
        pack(["r", "0", "00000000-0000-0000-0000-000000000000"]),
        pack(["r", -1, "00000000-0000-4000-8000-000000000000"]),
        pack(["r", 253402300799999, "urn:uuid:zz"]),
    ],
)  # fmt: skip
async def test_a_cursor_that_was_not_made_here_is_refused(city: Town, cursor: str) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    for field, given in (
        ("timeline(after: $a) { pageInfo { hasNextPage } }", ""),
        ("spaces(after: $a) { pageInfo { hasNextPage } }", ""),
        ("spaceEvents(spaceId: $id, after: $a) { pageInfo { hasNextPage } }", ", $id: ID!"),
        ("space(id: $id) { participants(after: $a) { pageInfo { hasNextPage } } }", ", $id: ID!"),
        ("viewer { user { followers(after: $a) { pageInfo { hasNextPage } } } }", ""),
    ):
        answer = await host.ask(f"query($a: String{given}) {{ {field} }}", a=cursor, id=space_id)
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["INVALID_INPUT"], (field, answer)


@pytest.mark.parametrize("field", ["timeline", 'users(text: "p")', "spaces"])
async def test_a_cursor_of_another_kind_of_list_is_refused(city: Town, field: str) -> None:
    moderator = await city.moderator()
    await moderator.new_space()
    page = "edges { cursor } pageInfo { hasNextPage }"
    foreign = {
        "timeline": "spaces",
        "spaces": "timeline",
    }.get(field, "timeline")
    found = await moderator.read(f"{{ {foreign}(first: 1) {{ {page} }} }}")
    cursor = found[foreign]["edges"][0]["cursor"]
    asked = field.replace(")", ", after: $a)") if "(" in field else f"{field}(after: $a)"
    for one in (f"{{ {asked} {{ {page} }} }}", "{ moderation { auditLog(after: $a) { edges { cursor } } } }"):
        answer = await moderator.ask(f"query($a: String) {one}", a=cursor)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["INVALID_INPUT"]


async def test_a_cursor_of_another_list_gives_no_more_than_a_place_in_time(city: Town) -> None:
    host, other = await city.person(), await city.person()
    await host.new_space()
    tick(city)
    await other.new_space()
    foreign = (await page_of(other))["pageInfo"]["endCursor"]
    assert {card["author"]["id"] for card in await cards_of(host, after=foreign)} <= {host.id}


async def test_a_block_hides_both_from_each_other_everywhere(city: Town) -> None:
    host, blocked, fan = [await city.person() for _ in range(3)]
    for person in (host, blocked):
        await fan.do("follow", userId=person.id)
        await blocked.do("follow", userId=fan.id)
    talk = await recorded(city, host)
    theirs = await recorded(city, blocked)
    await blocked.do("follow", userId=host.id)
    await host.do("follow", userId=blocked.id)
    links = [
        (await one.space(talk.space_id, "recording { playback { url } }"))["recording"]["playback"]["url"]
        for one in (blocked, fan)
    ]
    share = (await fan.do("shareRecording", "item { id }", recordingId=talk.recording_id))["item"]["id"]
    live = await host.live_space()
    await _block(host, blocked)

    query = """query($space: ID!, $recording: ID!, $user: ID!, $item: ID!, $handle: String!) {
      space(id: $space) { id } recording(id: $recording) { id } user(handle: $handle) { id }
      a: node(id: $user) { id } b: node(id: $item) { id } c: node(id: $recording) { id } }"""
    hidden: dict[str, Any] = {
        "space": talk.space_id, "recording": talk.recording_id, "user": host.id, "item": share, "handle": host.handle,
    }  # fmt: skip
    assert set((await blocked.read(query, **hidden)).values()) == {None}
    seen = {"space": theirs.space_id, "recording": theirs.recording_id, "user": blocked.id, "item": share}
    back = await host.read(query, **seen, handle=blocked.handle)
    assert back.pop("b") is not None
    assert set(back.values()) == {None}
    assert None not in (await fan.read(query, **hidden)).values()

    assert {card["author"]["id"] for card in await cards_of(blocked)} == {blocked.id}
    assert {card["author"]["id"] for card in await cards_of(host)} == {host.id}
    assert {card["author"]["id"] for card in await cards_of(fan)} == {host.id, blocked.id, fan.id}
    listed = "{ spaces(first: 100) { edges { node { host { id } } } } }"
    assert host.id not in str(await blocked.read(listed))
    people = await blocked.read(
        "query($h: String!) { user(handle: $h) { followers { edges { node { id } } } } }", h=fan.handle
    )
    assert host.id not in str(people)
    for mutation, given in (
        ("joinSpace", {"spaceId": live}),
        ("shareSpace", {"spaceId": live}),
        ("shareRecording", {"recordingId": talk.recording_id}),
        ("savePlaybackPosition", {"recordingId": talk.recording_id, "positionMs": 0}),
        ("deleteRecording", {"recordingId": talk.recording_id}),
        ("follow", {"userId": host.id}),
        ("deleteShare", {"itemId": share}),
    ):
        assert await blocked.refused(mutation, **given) == "NOT_FOUND", mutation
    assert (await city.fetch(links[0])).status_code == 410
    assert (await city.fetch(links[1])).status_code == 200
    events = await blocked.ask("query($id: ID!) { spaceEvents(spaceId: $id) { edges { cursor } } }", id=live)
    assert events["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    async with blocked.socket() as socket:
        for field in ("spaceUpdates", "recordingStatus"):
            name = await socket.subscribe(
                f"subscription($id: ID!) {{ {field}(spaceId: $id) {{ cursor }} }}", id=live
            )
            message = await socket.message(name)
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == "NOT_FOUND"


@contextlib.contextmanager
def _counted() -> Iterator[list[str]]:
    """Every SQL statement of the process."""
    statements: list[str] = []

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            statements.append(record.getMessage())

    logger = logging.getLogger("tortoise.db_client")
    handler, level = Count(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield statements
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


PERSON = "id handle name bio followerCount viewerFollows viewerBlocks"
CLIP = f"clip {{ id title startMs endMs playback {{ url }} author {{ {PERSON} }} recording {{ id status }} }}"
FULLEST = f"""id kind createdAt activityAt comment startMs url viewerCanDelete author {{ {PERSON} }} {CLIP}
  space {{ id title state topics recordingEnabled isRecording consent {{ version }} participantCount reminderCount
    viewerHasReminder host {{ {PERSON} }} live {{ url }}
    viewerParticipation {{ id role user {{ {PERSON} }} recordingAcknowledgedAt }}
    participants(first: 2) {{ edges {{ cursor node {{ role platform recordingAcknowledgedAt user {{ {PERSON} }} }} }}
      pageInfo {{ hasNextPage }} }}
    recording {{ id }} }}
  recording {{ id status durationMs gaps {{ cause }} expiresAt playback {{ url }} download {{ url }} playCount
    shareCount viewerCanPlay viewerCanShare viewerCanDelete viewerPositionMs space {{ id }} waveform(points: 5)
    retention {{ publicUntil receipt {{ sha256 }} }} reviewOpenings {{ at }}
    speakerTurns(first: 2) {{ edges {{ node {{ user {{ handle }} }} }} }}
    clips(first: 2) {{ edges {{ node {{ title author {{ {PERSON} }} playback {{ url }} }} }} }} }}"""


async def _statements_for(person: Person, cards: int) -> list[str]:
    """What a page reads. The server's own work goes on meanwhile and can only add: the least of some runs counts."""
    runs: list[list[str]] = []
    for _ in range(4):
        with _counted() as statements:
            page = await page_of(person, FULLEST, first=cards)
        assert len(page["edges"]) == cards
        runs.append([one for one in statements if one.startswith("SELECT") and '"process"' not in one])
    return min(runs, key=len)


def _tables(*runs: list[str]) -> str:
    """Which tables each statement of some runs reads."""
    return "\n".join(
        str(re.findall(r'FROM "(\w+)"|FROM (timeline_item)', one)) for run in runs for one in run
    )


async def test_a_timeline_costs_at_most_five_statements_whatever_is_selected(city: Town) -> None:
    me = await city.person()
    hosts = [await city.person() for _ in range(8)]
    for host in hosts:
        await me.do("follow", userId=host.id)
        talk = await recorded(city, host, seconds=0.2)
        await me.do("savePlaybackPosition", recordingId=talk.recording_id, positionMs=1)
        for _ in range(2):
            await host.do("shareRecording", recordingId=talk.recording_id)
            await host.do("createClip", recordingId=talk.recording_id, startMs=0, endMs=20, title="x")
        live = await host.live_space(record=True)
        await me.do("joinSpace", spaceId=live)
        await host.do("shareSpace", spaceId=live)
        await host.new_space()
    few, twenty, many = [await _statements_for(me, number) for number in (5, 20, 50)]
    assert len(few) == len(twenty) == len(many), _tables(few, many)
    assert len(many) <= 5, _tables(many)


async def test_the_public_page_of_a_card_is_there_for_everyone(city: Town) -> None:
    host = await city.person()
    await recorded(city, host)
    (card,) = await cards_of(host, "url space { title }")
    page = await city.fetch(card["url"])
    assert page.status_code == 200
    assert card["space"]["title"] in page.text
    assert (await city.fetch(card["url"] + "x")).status_code == 404


async def test_nobody_else_hears_of_a_card_that_was_taken_back(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    item = (await host.do("shareSpace", "item { id }", spaceId=space_id))["item"]["id"]
    async with host.socket() as socket:
        updates = await socket.subscribe(
            "subscription { timelineUpdates { kind itemId item { id } cursor } }"
        )
        snapshot = await socket.next(updates)
        assert (snapshot["kind"], snapshot["item"], snapshot["itemId"]) == ("SNAPSHOT", None, None)
        await host.do("deleteShare", itemId=item)
        gone = await socket.next(updates)
        assert (gone["kind"], gone["itemId"], gone["item"]) == ("REMOVED", item, None)
    assert not await TimelineItem.exists(id=uuid_of(item))
