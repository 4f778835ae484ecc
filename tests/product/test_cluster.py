"""What is promised of recordings holds, word for word, with two of every process, whichever of them answers."""

# ruff: noqa: F401 (they are collected here once more, with another server)

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from itertools import count
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.media.publisher import tone
from tests.product.cluster import Cluster
from tests.product.databases import databases
from tests.product.process import ServedTown
from tests.product.s3 import ObjectStore
from tests.product.test_conversation import (
    test_muting_is_told_and_takes_effect_on_the_server,
    test_two_people_hear_each_other_and_not_themselves,
    test_who_loses_the_role_or_leaves_is_neither_heard_nor_hears,
    test_who_may_mute_whom,
)
from tests.product.test_live_edge import test_a_tone_can_be_heard_within_the_promised_time
from tests.product.test_live_state import (
    test_a_deletion_stops_an_open_player_at_its_next_request,
    test_a_joining_listener_sees_the_icon_in_the_very_first_answer,
    test_a_live_playlist_only_grows_and_stays_good_over_the_end,
    test_deleted_while_live_the_recorder_and_the_icon_stop_and_the_space_goes_on,
    test_nobody_sees_the_icon_where_nothing_is_recorded,
    test_the_status_is_told_at_once_then_every_change_to_the_deletion,
    test_while_recording_a_tick_comes_every_second_also_when_people_come_and_go,
    test_who_listens_live_hears_on_when_the_recording_is_deleted,
)
from tests.product.test_media_processes import rooms
from tests.product.test_sound import (
    test_a_lone_voice_keeps_its_level,
    test_a_session_is_ended_once_and_by_who_began_it,
    test_a_speaker_cannot_publish_before_acknowledging_the_recording,
    test_only_the_media_token_of_this_space_opens_the_door,
)

_PATIENCE_S = 300.0
_tests = count()

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module"),
]


@pytest.fixture(scope="module")
def cluster(
    database: str, _store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One for all of them, kept by a loop of its own; it has complained of nothing."""
    assert database == "postgres"
    folder = tmp_path_factory.mktemp("cluster")
    found = Cluster(folder, _store)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def run(work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(_PATIENCE_S)

    try:
        run(found.start())
        yield found
        run(found.stop())
        complaints = found.errors()
        assert complaints == [], "\n".join(complaints[:3])
    finally:
        run(found.clean_up())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        databases.forget(folder)


@pytest.fixture
async def town(cluster: Cluster) -> AsyncIterator[ServedTown]:
    """The cluster's, for people of each test's own; every request by a connection of its own."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=cluster.url, timeout=20, limits=limits, verify=False) as http:
        opened = ServedTown(cluster, http)
        opened._people = 100 * next(_tests)
        yield opened


async def test_spaces_are_spread_over_media_processes_and_any_api_process_leads_to_the_right_one(
    town: ServedTown,
) -> None:
    hosts = [await town.person() for _ in range(8)]
    before = await rooms(town)
    space_ids = [await host.live_space(record=True) for host in hosts]
    after = await rooms(town)
    assert all(after[name] > before[name] for name in ("server", "second")), (before, after)
    voices = []
    for host, space_id in zip(hosts, space_ids, strict=True):
        voices.append(await host.publish(space_id, tone(frequency_hz=440, seconds=60)))
        await host.until(space_id, "RECORDING")
    for host, space_id in zip(hosts, space_ids, strict=True):
        await host.do("endSpace", spaceId=space_id)
        assert (await host.recording(space_id, "status gaps { cause }")) == {
            "status": "AVAILABLE",
            "gaps": [],
        }
    await asyncio.gather(*(voice.close() for voice in voices))
