"""What is kept about a person, told and forgotten: exports and deletions."""

import importlib
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tortoise.fields import UUIDField
from tortoise.models import Model

from models import database
from models.account import Account
from models.audit_entry import AuditEntry
from models.participant import Participant
from models.session import Session
from services import farewell
from services.exports import LEFT_OUT, PARTS
from tests.product.test_profiles import picture
from tests.product.town import Person, Town, open_town
from tests.product.voices import iso, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"
# Ids of things. Every other UUID names a person, and must be told to that person or left out with a reason.
_OF_THINGS = frozenset(
    {
        "id",
        "space_id",
        "recording_id",
        "subject_id",
        "participant_id",
        "item_id",
        "ticket_id",
        "webhook_id",
        "payment_id",
        "clip_id",
        "invitation_id",
        "notification_id",
        "target_id",
        "folder_id",
    }
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server whose recordings need no audio."""
    async with open_town(tmp_path_factory.mktemp("hall") / "data", quiet=True) as opened:
        yield opened


async def _talk(host: Person) -> str:
    """A recorded Space of theirs, over."""
    space_id = await host.live_space(record=True)
    await host.do("endSpace", spaceId=space_id)
    return space_id


async def _export(person: Person, **fields: Any) -> zipfile.ZipFile:
    made = await person.do("exportAccount", "archive { url mimeType expiresAt }", **fields)
    assert made["archive"]["mimeType"] == "application/zip"
    got = await person.town.fetch(made["archive"]["url"])
    assert (got.status_code, got.headers["content-type"]) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(got.content))


async def test_whatever_names_a_person_is_told_to_them_or_left_out_for_a_reason() -> None:
    told = {f"{part.model._meta.db_table}.{part.column}" for part in PARTS}
    assert told & LEFT_OUT.keys() == set()
    modules = [importlib.import_module(f"models.{table}") for table in database.TABLES]
    tables = {
        one for module in modules for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Model) and one is not Model
    }  # fmt: skip
    naming = {
        f"{table._meta.db_table}.{name}"
        for table in tables
        for name, field in table._meta.fields_map.items()
        if isinstance(field, UUIDField) and name not in _OF_THINGS
    }
    assert naming - told == LEFT_OUT.keys()
    assert told - naming == {"account.id"}


async def test_a_person_gets_everything_that_is_kept_about_them_and_no_secret(hall: Town) -> None:
    me, other = await hall.person("Curious"), await hall.person()
    space_id = await _talk(me)
    await me.do("updateAccount", bio="My own words")
    await me.do("follow", userId=other.id)
    await hall.http.put("/account/avatar", content=picture(), headers=me.headers)
    recording = await me.recording(space_id, "id")
    await me.do("savePlaybackPosition", recordingId=recording["id"], positionMs=7)
    await me.do("shareSpace", spaceId=space_id, comment="Listen to me")
    await me.do("report", subjectId=other.id, category="SPAM", reason="Sells soap")
    archive = await _export(me)
    assert archive.testzip() is None
    told = {name.removesuffix(".json"): orjson.loads(archive.read(name)) for name in archive.namelist()
            if name.endswith(".json")}  # fmt: skip
    assert set(told) == {part.name for part in PARTS}
    assert (told["account"][0]["handle"], told["account"][0]["bio"]) == ("Curious", "My own words")
    assert [row["followee_id"] for row in told["following"]] == [str(uuid_of(other.id))]
    assert {row["comment"] for row in told["cards"]} == {None, "Listen to me"}
    assert [row["reason"] for row in told["reports"]] == ["Sells soap"]
    assert [row["position_ms"] for row in told["playback_positions"]] == [7]
    assert [row["id"] for row in told["spaces"]] == [str(uuid_of(space_id))]
    assert archive.read("avatar.jpg")[:2] == b"\xff\xd8"
    assert not any(name.endswith(".mp4") for name in archive.namelist())
    account = await Account.get(handle_key="curious")
    session = await Session.get(account_id=account.id)
    for secret in (account.password_hash, session.token_hash, str(me.token)):
        for name in archive.namelist():
            assert secret.encode() not in archive.read(name)


async def test_with_recordings_the_archive_holds_those_that_can_be_played(hall: Town) -> None:
    me = await hall.person()
    kept, gone = await _talk(me), await _talk(me)
    await me.do("deleteRecording", recordingId=(await me.recording(gone, "id"))["id"])
    archive = await _export(me, includeRecordings=True)
    sound = [name for name in archive.namelist() if name.endswith(".mp4")]
    kept_id = uuid_of((await me.recording(kept, "id"))["id"])
    assert sound == [f"recordings/{kept_id}/programme.mp4"]
    assert len(archive.read(sound[0])) > 1000


async def test_the_link_is_the_persons_and_dies_within_the_hour(hall: Town) -> None:
    me = await hall.person()
    assert await hall.anyone.refused("exportAccount") == "UNAUTHENTICATED"
    made = (await me.do("exportAccount", "archive { url }"))["archive"]
    assert (await hall.fetch(made["url"])).status_code == 200
    broken = made["url"].replace("/exports/", "/exports/A")
    assert (await hall.fetch(broken)).status_code == 403
    now = hall.clock.now()
    try:
        hall.clock.stand_at(now + timedelta(hours=1, minutes=1))
        assert (await hall.fetch(made["url"])).status_code == 410
    finally:
        hall.clock.frozen = None


async def _card_of(hall: Town, person: Person, space_id: str) -> Any:
    return await person.space(
        space_id,
        "title state host { id handle name bio avatarUrl followerCount }"
        " recording { status retention { reviewUntil } }",
    )


async def test_a_deleted_account_is_nameless_at_once_and_what_it_was_part_of_stays_readable(
    hall: Town,
) -> None:
    me, friend, moderator = await hall.person("Leaving"), await hall.person(), await hall.moderator()
    talk, coming = await _talk(me), (await me.new_space(record=True))["id"]
    live = await me.live_space(record=True)
    theirs = await friend.live_space()
    await me.do("joinSpace", spaceId=theirs)
    await friend.do("follow", userId=me.id)
    await me.do("follow", userId=friend.id)
    await me.do("updateAccount", bio="About me")
    picture_url = (await hall.http.put("/account/avatar", content=picture(), headers=me.headers)).json()[
        "avatarUrl"
    ]
    await me.do("shareSpace", spaceId=theirs, comment="My words")
    url = (await friend.recording(talk, "playback { url }"))["playback"]["url"]
    export = (await me.do("exportAccount", "archive { url }"))["archive"]["url"]
    assert await me.refused("deleteAccount", password="wrong horse") == "FORBIDDEN"
    assert (await hall.fetch(url)).status_code == 200
    await me.do("deleteAccount", password=PASSWORD)

    nameless = {"id": me.id, "handle": "deleted", "name": "Deleted account", "bio": None, "avatarUrl": None,
                "followerCount": 0}  # fmt: skip
    for space_id, state, status in (
        (talk, "ENDED", "DELETED"), (coming, "CANCELED", None), (live, "ENDED", "DELETED")
    ):  # fmt: skip
        card = await _card_of(hall, moderator, space_id)
        assert (card["host"], card["state"], card["title"]) == (nameless, state, "A talk")
        assert (card["recording"] or {"status": None})["status"] == status
    assert (await _card_of(hall, moderator, talk))["recording"]["retention"]["reviewUntil"] is not None
    assert [(await hall.fetch(one)).status_code for one in (url, picture_url, export)] == [410, 404, 410]
    answer = await hall.http.post(
        "/graphql", json={"query": "{ viewer { isModerator } }"}, headers=me.headers
    )
    assert answer.status_code == 401
    assert await hall.anyone.refused("signIn", handle="Leaving", password=PASSWORD) == "UNAUTHENTICATED"
    assert (await hall.anyone.read('{ user(handle: "Leaving") { id } }'))["user"] is None
    assert (await friend.space(theirs, "participantCount"))["participantCount"] == 1
    mine = (await friend.read("{ viewer { user { followerCount followingCount } } }"))["viewer"]["user"]
    assert mine == {"followerCount": 0, "followingCount": 0}
    cards = await friend.read("{ timeline { edges { node { comment } } } }")
    assert "My words" not in str(cards)
    entry = await AuditEntry.get(action="account.deleted", subject_id=uuid_of(me.id))
    assert entry.outcome == "done"
    row = await Account.get(id=uuid_of(me.id))
    assert "leaving" not in str([getattr(row, name) for name in row._meta.db_fields]).lower()


async def test_nobody_comes_back_under_the_handle_of_somebody_who_left(hall: Town) -> None:
    me = await hall.person("Famous_One")
    await me.do("deleteAccount", password=PASSWORD)
    for handle in ("Famous_One", "famous_one", "FAMOUS_ONE", "deleted", "Deleted"):
        fields = {"handle": handle, "name": "Impostor", "password": PASSWORD}
        assert await hall.anyone.refused("signUp", **fields) == "CONFLICT"


async def test_tickets_for_the_spaces_of_who_leaves_are_refunded_and_their_own_seats_are_free_again(
    hall: Town,
) -> None:
    me, fan, host = await hall.person(), await hall.person(), await hall.person()
    terms = {"priceMinor": 0, "capacity": 1}
    mine, theirs = (await me.new_space(ticketing=terms))["id"], (await host.new_space(ticketing=terms))["id"]
    await fan.do("purchaseTicket", spaceId=mine)
    await me.do("purchaseTicket", spaceId=theirs)
    await me.do("deleteAccount", password=PASSWORD)
    assert (await fan.space(mine, "viewerTicket { status }"))["viewerTicket"]["status"] == "REFUNDED"
    await fan.do("purchaseTicket", spaceId=theirs)


async def test_a_deletion_that_was_cut_off_is_finished_by_the_next_round(
    hall: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, moderator = await hall.person(), await hall.moderator()
    talk, live = await _talk(me), await me.live_space()

    async def nothing(*_: Any) -> None: ...

    with monkeypatch.context() as patched:
        patched.setattr(farewell, "finish", nothing)
        await me.do("deleteAccount", password=PASSWORD)
    assert (await moderator.space(live, "state"))["state"] == "LIVE"
    for _ in range(2):
        await hall.round()
        assert (await moderator.space(live, "state"))["state"] == "ENDED"
        assert (await moderator.recording(talk, "status"))["status"] == "DELETED"
    assert await Account.filter(is_leaving=True).count() == 0
    assert await Participant.filter(account_id=uuid_of(me.id), left_at=None).count() == 0


async def test_what_has_expired_keeps_its_own_clock(hall: Town) -> None:
    me, moderator = await hall.person(), await hall.moderator()
    talk = await _talk(me)
    expires = (await me.recording(talk, "expiresAt"))["expiresAt"]
    try:
        hall.clock.stand_at(hall.clock.now() + timedelta(days=31))
        await me.do("deleteAccount", password=PASSWORD)
        found = await moderator.recording(talk, "status retention { reviewUntil }")
        assert found["status"] == "EXPIRED"
        assert found["retention"]["reviewUntil"][:10] == iso(
            hall.clock.now().fromisoformat(expires) + timedelta(days=30)
        )[:10]  # fmt: skip
    finally:
        hall.clock.frozen = None
