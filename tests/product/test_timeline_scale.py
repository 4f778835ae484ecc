"""What a page of a timeline costs: looks into an index for each person followed, however many cards there are."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tortoise.connection import get_connection

from models.fields import from_ms, to_ms
from models.timeline_item import TimelineItem
from models.timeline_page import After, followed_page
from models.together import Part
from tests.product.town import Person, open_town
from tests.product.voices import uuid_of

pytestmark = pytest.mark.sqlite_file

QUERY = "query($after: String) { timeline(after: $after) { edges { cursor node { id } } } }"


async def _plan(viewer_id: UUID, *, after: After | None) -> list[str]:
    """What SQLite does for a page, step by step."""
    part = followed_page(viewer_id, after=after, most=21)
    rows = await get_connection("default").execute_query_dict(
        f"EXPLAIN QUERY PLAN {part.sql}", list(part.values)
    )
    return [str(row["detail"]) for row in rows]


@pytest.mark.parametrize("page", ["first", "later"])
async def test_a_page_looks_cards_up_by_author_and_never_goes_through_them_all(
    tmp_path: Path, page: str
) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        me = await town.person()
        after = After(activity_at=town.clock.now(), id=uuid4()) if page == "later" else None
        plan = await _plan(uuid_of(me.id), after=after)
    cards = [step for step in plan if "timeline_item" in step or step.split()[1] in {"t", "i"}]
    assert cards
    assert not [step for step in cards if step.startswith("SCAN")], plan
    looks = [step for step in cards if "author_id" in step]
    assert len(looks) == 3, plan
    assert all("author_id=?" in step for step in looks), plan
    if page == "later":
        assert all("activity_at<?" in step for step in looks), plan


_INDEX = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'timeline_item' AND sql NOT NULL"
)
_CARD = """INSERT INTO timeline_item
  (id, kind, author_id, host_id, space_id, start_ms, is_public, created_at, activity_at)
  VALUES (?4, 'SPACE_SCHEDULED', ?1, ?2, ?2, 0, 0, ?3, ?3)"""


def _fill(file: Path, authors: list[UUID], *, count: int, before: int) -> None:
    """Cards by these people at random moments before one, in ms. Indexes are made anew, which is quicker."""
    chance, names = random.Random(count), list(map(str, authors))

    def cards() -> Iterator[tuple[str, str, int, str]]:
        for _ in range(count):
            bits = f"{chance.getrandbits(128):032x}"
            card = f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"
            yield chance.choice(names), names[0], chance.randrange(before - 10**9, before), card

    with closing(sqlite3.connect(file, timeout=60)) as base, base:
        base.execute("PRAGMA cache_size = -200000")
        indexes = base.execute(_INDEX).fetchall()
        for name, _ in indexes:
            base.execute(f'DROP INDEX "{name}"')
        base.executemany(_CARD, cards())
        for _, sql in indexes:
            base.execute(sql)


def _follow(file: Path, follower: UUID, people: list[UUID]) -> None:
    rows = [(str(uuid4()), str(follower), str(one), 0) for one in people]
    with closing(sqlite3.connect(file, timeout=60)) as base, base:
        base.executemany(
            "INSERT INTO follow (id, follower_id, followee_id, created_at) VALUES (?, ?, ?, ?)", rows
        )


def _steps(file: Path, part: Part) -> int:
    """Hundreds of steps of SQLite's machine that a page takes: what time is made of, whatever else runs here."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    with closing(sqlite3.connect(file, timeout=60)) as base:
        base.set_progress_handler(count, 100)
        assert len(base.execute(part.sql, part.values).fetchall()) == 21
    return counted


def _expected(file: Path, authors: list[UUID], after: After | None) -> list[str]:
    """The page by going through all cards, which is what the server must not do."""
    followed = set(map(str, authors))
    behind = (to_ms(after.activity_at), str(after.id)) if after else None
    found: list[str] = []
    with closing(sqlite3.connect(file, timeout=60)) as base:
        for at, card, author in base.execute(
            "SELECT activity_at, id, author_id FROM timeline_item ORDER BY activity_at DESC, id DESC"
        ):
            if author in followed and (behind is None or (at, card) < behind):
                found.append(card)
            if len(found) == 20:
                break
    return found


async def _page(person: Person, after: str | None = None) -> tuple[list[str], str]:
    """The ids of a page of cards, and its last cursor."""
    edges = (await person.read(QUERY, after=after))["timeline"]["edges"]
    return [str(uuid_of(edge["node"]["id"])) for edge in edges], edges[-1]["cursor"]


@pytest.mark.parametrize(
    ("followed", "cards"), [(30, 20_000), pytest.param(5_000, 1_000_000, marks=pytest.mark.long)]
)
async def test_a_page_takes_no_longer_for_ten_times_the_cards(
    tmp_path: Path, followed: int, cards: int
) -> None:
    authors = [uuid4() for _ in range(2 * followed)]
    async with open_town(tmp_path / "data", quiet=True) as town:
        me = await town.person()
        file, now = town.data_dir / "spaces.sqlite3", to_ms(town.clock.now() - timedelta(minutes=1))
        await asyncio.to_thread(_follow, file, uuid_of(me.id), authors[:followed])
        steps: dict[int, list[int]] = {}
        middle = After(activity_at=from_ms(now - 5 * 10**8), id=uuid4())
        for count in (cards // 10, cards - cards // 10):
            await asyncio.to_thread(_fill, file, authors, count=count, before=now)
            parts = [followed_page(uuid_of(me.id), after=after, most=21) for after in (None, middle)]
            steps[count] = [await asyncio.to_thread(_steps, file, part) for part in parts]
        began_s = time.perf_counter()
        ids, cursor = await _page(me)
        took_s = time.perf_counter() - began_s
        print(f"{followed} followed, steps by cards: {steps}; a page of {cards} over HTTP: {took_s:.3f} s")
        assert ids == await asyncio.to_thread(_expected, file, authors[:followed], None)
        last = await TimelineItem.get(id=ids[-1])
        place = After(activity_at=last.activity_at, id=last.id)
        following, _ = await _page(me, cursor)
        assert following == await asyncio.to_thread(_expected, file, authors[:followed], place)
    few, many = steps.values()
    assert all(b < 1.5 * a for a, b in zip(few, many, strict=True)), steps
