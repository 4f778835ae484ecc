"""The same page on PostgreSQL: what it reads does not grow with the number of cards."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tortoise.connection import get_connection

from models.fields import from_ms, to_ms
from models.timeline_page import After, followed_page
from tests.product.databases import databases
from tests.product.town import open_town
from tests.product.voices import uuid_of

_AUTHOR = "md5('author ' || {number})::uuid"
_FOLLOW = (
    "INSERT INTO follow (id, follower_id, followee_id, created_at)"
    f" SELECT gen_random_uuid(), '{{me}}'::uuid, {_AUTHOR.format(number='n')}, 0"
    " FROM generate_series(1, {followed}) n"
)
_CARDS = (
    "INSERT INTO timeline_item"
    " (id, kind, author_id, host_id, space_id, start_ms, is_public, created_at, activity_at)"
    " SELECT gen_random_uuid(), 'SPACE_SCHEDULED', c.author, c.author, c.author, 0, false, c.at, c.at"
    f" FROM (SELECT {_AUTHOR.format(number='(1 + floor(random() * {authors}))::int')} AS author,"
    " {before} - (random() * 1000000000)::bigint AS at FROM generate_series(1, {count})) c"
)


async def _run(sql: str) -> None:
    await get_connection("default").execute_script(sql)


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in _nodes(below))]


async def _explained(viewer_id: UUID, after: After | None) -> dict[str, Any]:
    part = followed_page(viewer_id, after=after, most=21)
    rows = await get_connection("default").execute_query_dict(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {part.sql}", list(part.values)
    )
    found = rows[0]["QUERY PLAN"]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


async def _cost(viewer_id: UUID, after: After | None) -> int:
    """Blocks that a page looks at, from memory or disk."""
    plan = await _explained(viewer_id, after)
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.long
async def test_a_page_reads_no_more_for_ten_times_the_cards_on_postgres(tmp_path: Path) -> None:
    followed, cards = 5_000, 1_000_000
    with databases.on("postgres"):
        async with open_town(tmp_path / "data", quiet=True) as town:
            me = await town.person()
            now = to_ms(town.clock.now() - timedelta(minutes=1))
            middle = After(activity_at=from_ms(now - 5 * 10**8), id=uuid4())
            await _run(_FOLLOW.format(me=uuid_of(me.id), followed=followed))
            blocks: dict[int, list[int]] = {}
            for count in (cards // 10, cards - cards // 10):
                await _run(_CARDS.format(authors=2 * followed, before=now, count=count))
                await _run("VACUUM ANALYZE timeline_item")
                await _run("VACUUM ANALYZE follow")
                blocks[count] = [await _cost(uuid_of(me.id), after) for after in (None, middle)]
            print(f"{followed} followed, blocks by cards: {blocks}")
            for after in (None, middle):
                # Of few cards the planner may read all; of many it must look them up.
                plan = _nodes(await _explained(uuid_of(me.id), after))
                cards_read = [node for node in plan if node.get("Relation Name") == "timeline_item"]
                print([(node["Node Type"], node.get("Index Name")) for node in cards_read])
                assert cards_read
                assert not [node for node in cards_read if node["Node Type"] == "Seq Scan"]
            page = await me.read("{ timeline { edges { node { id } } } }")
            assert len(page["timeline"]["edges"]) == 20
    few, many = blocks.values()
    assert all(later < 1.5 * before for before, later in zip(few, many, strict=True)), blocks
