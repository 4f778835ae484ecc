"""What is promised of deletion and retention, to each who asks, on both sides of each border."""

import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.review_opening import ReviewOpening
from tests.product.court import MILLISECOND, RETENTION, Court, moment
from tests.product.town import Person, settings_for
from workers.timetable import Timetable

DAY = timedelta(days=1)
Act = Callable[[Court, str], Awaitable[None]]


async def _delete(court: Court, recording_id: str) -> None:
    await court.host.do("deleteRecording", recordingId=recording_id)


async def _take_down(court: Court, recording_id: str) -> None:
    await court.decide(recording_id, "VIOLATION")


async def _let_expire(court: Court, recording_id: str) -> None:
    """To the millisecond, and no worker comes."""
    court.town.clock.stand_at(moment((await court.of(recording_id, "expiresAt"))["expiresAt"]))


def everyone(court: Court) -> list[Person]:
    return [court.town.anyone, court.listener, court.moderator, court.host]


ENDS = pytest.mark.parametrize(
    "end", [_delete, _take_down, _let_expire], ids=["deleted", "taken-down", "expired"]
)


@ENDS
async def test_from_that_instant_no_link_of_anybody_opens_anything(court: Court, end: Act) -> None:
    space_id = await court.host.live_space(record=True)
    live = (await court.host.space(space_id, "live { url }"))["live"]["url"]
    await court.host.do("endSpace", spaceId=space_id)
    recording_id = (await court.host.recording(space_id, "id"))["id"]
    if end is _let_expire:  # a link of the last moment outlives the border
        until = moment((await court.of(recording_id, "expiresAt"))["expiresAt"])
        court.town.clock.stand_at(until - MILLISECOND)
    urls = [
        (await court.of(recording_id, "playback { url }", by=one))["playback"]["url"]
        for one in everyone(court)
    ]
    urls += [url.replace("index.m3u8", "programme.mp4") for url in urls]
    mine = await court.of(recording_id, "download { url } archive { url }", by=court.host)
    urls += [mine["download"]["url"], mine["archive"]["url"]]
    if end is not _let_expire:  # a live link lasts as long as a Space can
        urls += [live, live.replace("index.m3u8", "programme.mp4")]
    assert {(await court.town.fetch(url)).status_code for url in urls} == {200}

    await end(court, recording_id)

    assert {(await court.town.fetch(url)).status_code for url in urls} == {410}
    assert {(await court.town.fetch(url, Range="bytes=0-9")).status_code for url in urls} == {410}


@ENDS
async def test_from_that_instant_nobody_can_play_share_download_trim_or_delete(
    court: Court, end: Act
) -> None:
    recording_id = await court.recorded()
    wants = "playback { url } download { url } archive { url } waveform(points: 1)"
    wants += " viewerCanPlay viewerCanShare viewerCanDelete"
    await end(court, recording_id)
    for one in everyone(court):
        seen = await court.of(recording_id, wants, by=one)
        assert not any(seen.values()), seen
    for one in (court.listener, court.moderator, court.host):
        assert await one.refused("shareRecording", recordingId=recording_id) == "RECORDING_NOT_AVAILABLE"
    for mutation, more in (("deleteRecording", {}), ("trimRecording", {"startOffsetMs": 0})):
        assert (
            await court.host.refused(mutation, recordingId=recording_id, **more) == "RECORDING_NOT_AVAILABLE"
        )


async def test_whom_the_recording_does_not_belong_to_cannot_delete_it(court: Court) -> None:
    recording_id = await court.recorded()
    for one, code in (
        (court.listener, "FORBIDDEN"), (court.moderator, "FORBIDDEN"), (court.town.anyone, "UNAUTHENTICATED"),
    ):  # fmt: skip
        assert await one.refused("deleteRecording", recordingId=recording_id) == code
    assert await court.status(recording_id) == "AVAILABLE"


@pytest.mark.parametrize("end", [_delete, _take_down], ids=["deleted", "taken-down"])
async def test_a_report_while_it_is_public_puts_the_purge_off_once_it_is_gone(court: Court, end: Act) -> None:
    recording_id = await court.recorded()
    await end(court, recording_id)
    gone_at = court.town.clock.now()
    court.town.clock.stand_at(gone_at)
    await court.report(recording_id)
    await court.at(gone_at + 120 * DAY - 1000 * MILLISECOND)
    assert await court.status(recording_id) in {"DELETED", "TAKEN_DOWN"}
    await court.at(gone_at + 120 * DAY + 1000 * MILLISECOND)
    assert await court.status(recording_id) == "PURGED"


async def test_a_report_of_a_public_recording_outlasts_its_expiry(court: Court) -> None:
    recording_id = await court.recorded()
    until = moment((await court.of(recording_id, "expiresAt"))["expiresAt"])
    await court.report(recording_id)
    for days, status in ((30 * DAY, "EXPIRED"), (120 * DAY - MILLISECOND, "EXPIRED"), (120 * DAY, "PURGED")):
        await court.at(until + days)
        assert await court.status(recording_id) == status


@pytest.mark.parametrize(("decided", "purged"), [(10, 30), (40, 40), (119, 119)])
async def test_a_decision_lets_the_purge_go_on_at_its_time_or_at_once(
    court: Court, decided: int, purged: int
) -> None:
    recording_id, gone_at = await court.deleted()
    await court.report(recording_id)
    await court.at(gone_at + decided * DAY - MILLISECOND)
    assert await court.status(recording_id) == "DELETED"
    court.town.clock.stand_at(gone_at + decided * DAY)
    await court.decide(recording_id, "CLEAR")
    if purged > decided:
        await court.at(gone_at + purged * DAY - MILLISECOND)
        assert await court.status(recording_id) == "DELETED"
    await court.at(gone_at + purged * DAY)
    assert await court.status(recording_id) == "PURGED"


async def test_a_report_in_the_last_moment_and_even_after_it_saves_a_copy_that_is_still_there(
    court: Court,
) -> None:
    last, late = (await court.deleted())[0], (await court.deleted())[0]
    gone_at = court.town.clock.now()
    court.town.clock.stand_at(gone_at + 30 * DAY - MILLISECOND)
    await court.report(last)
    court.town.clock.stand_at(gone_at + 30 * DAY + MILLISECOND)
    await court.report(late)
    await court.town.round()
    assert [await court.status(one) for one in (last, late)] == ["DELETED", "DELETED"]
    await court.at(gone_at + 120 * DAY)
    assert [await court.status(one) for one in (last, late)] == ["PURGED", "PURGED"]


async def test_an_appeal_cannot_go_beyond_the_hard_stop(court: Court) -> None:
    recording_id = await court.recorded()
    gone_at = court.town.clock.now()
    court.town.clock.stand_at(gone_at)
    await court.decide(recording_id, "VIOLATION")
    await court.host.do("appeal", recordingId=recording_id, statement="It was satire.")
    await court.at(gone_at + 120 * DAY - MILLISECOND)
    assert await court.status(recording_id) == "TAKEN_DOWN"
    assert (await court.town.fetch(await court.open_copy(recording_id))).status_code == 200
    await court.at(gone_at + 120 * DAY)
    assert await court.status(recording_id) == "PURGED"
    assert (await court.of(recording_id, "reviewOpenings { reason }", by=court.host))["reviewOpenings"] != []


async def test_a_release_needs_a_reason_and_is_for_moderators(court: Court) -> None:
    recording_id, _ = await court.deleted()
    await court.hold(recording_id)
    wish = {"recordingId": recording_id, "held": False, "reason": "Case closed."}
    assert await court.moderator.refused("setLegalHold", **{**wish, "reason": " "}) == "INVALID_INPUT"
    for one, code in (
        (court.host, "FORBIDDEN"),
        (court.listener, "FORBIDDEN"),
        (court.town.anyone, "UNAUTHENTICATED"),
    ):
        assert await one.refused("setLegalHold", **wish) == code
    assert (await court.of(recording_id, RETENTION))["retention"]["isHeld"] is True


async def test_a_held_public_recording_is_played_and_expires_like_any_other(court: Court) -> None:
    recording_id = await court.recorded()
    await court.hold(recording_id)
    assert (await court.of(recording_id, "viewerCanPlay", by=court.town.anyone))["viewerCanPlay"]
    await _let_expire(court, recording_id)
    for one in everyone(court):
        assert (await court.of(recording_id, "status viewerCanPlay", by=one)) == {
            "status": "EXPIRED", "viewerCanPlay": False,
        }  # fmt: skip


async def test_the_host_hears_of_an_opening_only_once_the_case_closes_with_no_report_at_the_purge(
    court: Court,
) -> None:
    recording_id, gone_at = await court.deleted()
    await court.open_copy(recording_id)
    await court.at(gone_at + 30 * DAY - MILLISECOND)
    assert await ReviewOpening.filter(disclosed_at=None).count() == 1
    want = "reviewOpenings { at reason }"
    assert (await court.of(recording_id, want, by=court.host))["reviewOpenings"] == []
    await court.at(gone_at + 30 * DAY)
    told = (await court.of(recording_id, want, by=court.host))["reviewOpenings"]
    assert [(moment(one["at"]), one["reason"]) for one in told] == [(gone_at, "Report of today.")]


async def test_recordings_stay_readable_when_they_are_purged_and_say_so_to_everyone(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.at(gone_at + 30 * DAY)
    for one in everyone(court):
        seen = await court.of(recording_id, "status durationMs space { title } waveform(points: 1)", by=one)
        assert (seen["status"], seen["waveform"], seen["space"]["title"]) == ("PURGED", [], "A talk")
        assert seen["durationMs"] > 0


async def test_a_shared_card_says_why_there_is_nothing_left_and_its_author_can_still_take_it_back(
    court: Court,
) -> None:
    recording_id = await court.recorded()
    made = await court.listener.do(
        "shareRecording", "item { id }", recordingId=recording_id, comment="Hear, hear"
    )
    card = "query($id: ID!) { node(id: $id) { ... on TimelineItem { comment recording { status playback { url } } } } }"
    gone_at = court.town.clock.now()
    court.town.clock.stand_at(gone_at)
    for act, status in ((_delete, "DELETED"), (None, "PURGED")):
        if act is not None:
            await act(court, recording_id)
        else:
            await court.at(gone_at + 30 * DAY)
        for one in everyone(court):
            assert (await one.read(card, id=made["item"]["id"]))["node"] == {
                "comment": "Hear, hear", "recording": {"status": status, "playback": None},
            }  # fmt: skip
    await court.listener.do("deleteShare", itemId=made["item"]["id"])
    assert (await court.town.anyone.read(card, id=made["item"]["id"]))["node"] is None


async def test_a_host_whose_account_is_suspended_still_has_their_recordings_run_out(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.moderator.do("suspendAccount", userId=court.host.id, suspension="ACCOUNT", reason="Threats.")
    await court.at(gone_at + 30 * DAY)
    assert await court.status(recording_id) == "PURGED"


async def test_who_may_not_record_any_more_keeps_what_was_recorded_and_what_runs(court: Court) -> None:
    recording_id = await court.recorded()
    running = await court.host.live_space(record=True)
    await court.moderator.do(
        "suspendAccount", userId=court.host.id, suspension="RECORDING", reason="In secret."
    )
    assert await court.status(recording_id) == "AVAILABLE"
    assert (await court.host.space(running, "isRecording"))["isRecording"]
    await court.host.do("endSpace", spaceId=running)
    assert (await court.host.recording(running, "status"))["status"] == "AVAILABLE"
    assert await court.host.refused("createSpace", title="A", record=True) == "RECORDING_NOT_ROLLED_OUT"


@pytest.mark.parametrize("days", [{"review_days": 29}, {"review_days": 121}])
def test_a_review_shorter_than_30_days_or_longer_than_120_cannot_be_set(
    tmp_path: Path, days: dict[str, int]
) -> None:
    with pytest.raises(ValidationError):
        settings_for(tmp_path, 1, **days)


# ---------- audio that was lost ----------

LOSS = "status failureReason viewerCanPlay viewerCanShare viewerCanDelete playback { url }"


@pytest.mark.parametrize("what", ["everything", "programme.mp4", "programme.m3u8"])
async def test_a_lost_file_is_told_and_when_it_is_back_all_goes_on(
    court: Court, tmp_path: Path, what: str
) -> None:
    recording_id = await court.recorded()
    playable = await court.of(recording_id, LOSS, by=court.host)
    worker = Timetable(court.town.built.house, interval_s=3600, owns_rooms=True)
    folder = court.folder(recording_id)
    lost = folder if what == "everything" else folder / what
    shutil.move(lost, tmp_path / "aside")

    # Before anybody has looked: an honest refusal, no broken answer.
    for name in ("index.m3u8", "programme.mp4"):
        answer = await court.town.fetch(playable["playback"]["url"].replace("index.m3u8", name))
        assert (answer.status_code, "UNAVAILABLE" in answer.text) == (503, True)
    query = "subscription($id: ID!) { recordingStatus(spaceId: $id) { status } }"
    async with court.town.anyone.socket() as socket:
        space_id = (await court.of(recording_id, "space { id }"))["space"]["id"]
        heard = await socket.subscribe(query, id=space_id)
        assert (await socket.next(heard))["status"] == "AVAILABLE"
        await worker.round()
        assert (await socket.next(heard))["status"] == "FAILED"

        for one in everyone(court):
            seen = await court.of(recording_id, LOSS, by=one)
            assert (seen["status"], seen["viewerCanPlay"], seen["viewerCanShare"], seen["playback"]) == (
                *("FAILED", False, False, None),
            )  # fmt: skip
            assert "missing from the store" in seen["failureReason"]
        assert (await court.town.fetch(playable["playback"]["url"])).status_code == 410
        assert (
            await court.listener.refused("shareRecording", recordingId=recording_id)
            == "RECORDING_NOT_AVAILABLE"
        )

        shutil.move(tmp_path / "aside", lost)
        await worker.round()
        assert (await socket.next(heard))["status"] == "AVAILABLE"
    back = await court.of(recording_id, LOSS, by=court.host)
    assert {**back, "playback": None} == {**playable, "playback": None}
    assert (await court.town.fetch(playable["playback"]["url"])).status_code == 200


async def test_what_is_left_of_a_lost_recording_runs_out_or_is_deleted_like_any_other(court: Court) -> None:
    runs_out, deleted = await court.recorded(), await court.recorded()
    until = moment((await court.of(runs_out, "expiresAt"))["expiresAt"])
    for one in (runs_out, deleted):
        (court.folder(one) / "programme.mp4").unlink()
    await court.town.round()
    assert (await court.of(deleted, LOSS, by=court.host))["viewerCanDelete"]
    await court.host.do("deleteRecording", recordingId=deleted)
    assert await court.host.refused("deleteRecording", recordingId=deleted) == "RECORDING_NOT_AVAILABLE"
    assert [await court.status(one) for one in (runs_out, deleted)] == ["FAILED", "DELETED"]

    await court.at(until)
    assert (await court.of(runs_out, "status failureReason")) == {"status": "EXPIRED", "failureReason": None}
    answer = await court.town.fetch(await court.open_copy(runs_out))
    assert answer.status_code == 503
    await court.at(until + 30 * DAY)
    assert [await court.status(one) for one in (runs_out, deleted)] == ["PURGED", "PURGED"]
    assert list((court.town.data_dir / "recordings").iterdir()) == []
