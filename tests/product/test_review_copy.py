"""The review copy: for moderators alone, with a reason, logged, and later told to the host."""

from datetime import timedelta

from tests.product.court import MILLISECOND, Court
from tests.product.town import Person

OPENINGS = "reviewOpenings { at reason }"
DAY = timedelta(days=1)


async def openings(court: Court, recording_id: str, by: Person) -> list[str]:
    found = await court.of(recording_id, OPENINGS, by=by)
    return [one["reason"] for one in found["reviewOpenings"]]


async def test_a_moderator_opens_the_copy_of_a_deleted_recording_report_or_no_report(court: Court) -> None:
    recording_id, _ = await court.deleted()
    url = await court.open_copy(recording_id)

    playlist = await court.town.fetch(url)
    programme = await court.town.fetch(url.replace("index.m3u8", "programme.mp4"))

    assert playlist.status_code == 200
    assert playlist.text.rstrip().endswith("#EXT-X-ENDLIST")
    assert len(programme.content) == (await court.of(recording_id, "sizeBytes"))["sizeBytes"]
    assert {answer.headers["cache-control"] for answer in (playlist, programme)} == {"private, no-store"}


async def test_the_copy_starts_where_the_sound_did_whatever_the_host_trimmed(court: Court) -> None:
    recording_id = await court.recorded()
    await court.host.do("trimRecording", recordingId=recording_id, startOffsetMs=999)
    await court.host.do("deleteRecording", recordingId=recording_id)

    playlist = await court.town.fetch(await court.open_copy(recording_id))

    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in playlist.text


async def test_nobody_else_opens_it_and_each_attempt_is_logged(court: Court) -> None:
    recording_id, _ = await court.deleted()
    wish = {"recordingId": recording_id, "reason": "Curious."}
    assert await court.host.refused("openReviewCopy", **wish) == "FORBIDDEN"
    assert await court.listener.refused("openReviewCopy", **wish) == "FORBIDDEN"
    assert await court.town.anyone.refused("openReviewCopy", **wish) == "UNAUTHENTICATED"

    denied = [entry for entry in await court.log(recording_id) if entry["action"] == "review_copy.opened"]
    assert [entry["actorId"] for entry in denied] == [court.host.id, court.listener.id, None]
    assert {entry["outcome"] for entry in denied} == {"denied"}


async def test_it_needs_a_reason_and_a_recording_that_is_gone(court: Court) -> None:
    public = await court.recorded()
    recording_id, gone_at = await court.deleted()
    wish = {"recordingId": recording_id, "reason": "Report of today."}
    assert await court.moderator.refused("openReviewCopy", **{**wish, "reason": "  "}) == "INVALID_INPUT"
    assert (
        await court.moderator.refused("openReviewCopy", **{**wish, "recordingId": public})
        == "RECORDING_NOT_AVAILABLE"
    )
    await court.at(gone_at + 30 * DAY)
    assert await court.moderator.refused("openReviewCopy", **wish) == "RECORDING_NOT_AVAILABLE"
    assert await openings(court, recording_id, court.moderator) == []


async def test_a_lapsed_recording_has_a_copy_before_the_worker_comes(court: Court) -> None:
    recording_id = await court.recorded()
    court.town.clock.stand_at(court.town.clock.now() + 30 * DAY)
    assert (await court.town.fetch(await court.open_copy(recording_id))).status_code == 200


async def test_the_link_is_good_for_15_minutes(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    url = await court.open_copy(recording_id)
    court.town.clock.stand_at(gone_at + timedelta(minutes=15) - MILLISECOND)
    assert (await court.town.fetch(url)).status_code == 200
    court.town.clock.stand_at(gone_at + timedelta(minutes=15))
    assert (await court.town.fetch(url)).status_code == 410


async def test_the_link_dies_with_the_purge(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    court.town.clock.stand_at(gone_at + 30 * DAY - MILLISECOND)
    url = await court.open_copy(recording_id)
    await court.at(gone_at + 30 * DAY)
    for name in ("index.m3u8", "programme.mp4"):
        assert (await court.town.fetch(url.replace("index.m3u8", name))).status_code == 410


async def test_the_link_dies_with_the_moderators_office_and_with_the_account(court: Court) -> None:
    from models.account import Account

    recording_id, _ = await court.deleted()
    url = await court.open_copy(recording_id)
    mine = Account.filter(handle=court.moderator.handle)
    await mine.update(is_moderator=False)
    assert (await court.town.fetch(url)).status_code == 410
    await mine.update(is_moderator=True)
    assert (await court.town.fetch(url)).status_code == 200

    other = await court.town.moderator()
    await other.do("suspendAccount", userId=court.moderator.id, suspension="ACCOUNT", reason="Sold copies.")
    assert (await court.town.fetch(url)).status_code == 410


async def test_a_link_opens_nothing_but_the_copy_it_was_made_for(court: Court) -> None:
    recording_id, _ = await court.deleted()
    url = await court.open_copy(recording_id)
    for route in ("recordings", "downloads", "live"):
        name = "programme.mp4" if route == "downloads" else "index.m3u8"
        wrong = url.replace("/review/", f"/{route}/").replace("index.m3u8", name)
        assert (await court.town.fetch(wrong)).status_code == 403
    assert (await court.town.fetch(url.replace("/index", "A/index"))).status_code == 403


async def test_the_host_hears_of_openings_when_the_case_closes_and_others_never(court: Court) -> None:
    recording_id, _ = await court.deleted()
    await court.report(recording_id)
    await court.open_copy(recording_id)
    assert await openings(court, recording_id, court.host) == []
    assert await openings(court, recording_id, court.moderator) == ["Report of today."]

    await court.decide(recording_id, "CLEAR")

    assert await openings(court, recording_id, court.host) == ["Report of today."]
    for other in (court.listener, court.town.anyone):
        assert await openings(court, recording_id, other) == []


async def test_a_case_that_the_purge_closes_is_disclosed_too(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.report(recording_id)
    await court.open_copy(recording_id)
    await court.at(gone_at + 120 * DAY)
    assert await openings(court, recording_id, court.host) == ["Report of today."]


async def test_each_opening_is_in_the_audit_log_without_its_reason(court: Court) -> None:
    recording_id, _ = await court.deleted()
    for _ in range(2):
        await court.open_copy(recording_id)
    opened = [entry for entry in await court.log(recording_id) if entry["action"] == "review_copy.opened"]
    assert [(entry["actorId"], entry["outcome"]) for entry in opened] == [(court.moderator.id, "done")] * 2
    assert "Report of today." not in str(opened)
