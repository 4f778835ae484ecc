"""Reports, decisions, appeals, holds and suspensions, through the public door."""

from datetime import timedelta
from typing import Any

import pytest

from tests.product.court import MILLISECOND, RETENTION, Court, moment
from tests.product.town import Person
from tests.product.voices import iso

QUEUE = "query($first: Int!) { moderation { reviewQueue(first: $first) { edges { node { id } } } } }"
REPORTS = """query($id: ID, $state: ReportState) { moderation { reports(subjectId: $id, state: $state) {
    edges { node { id state category reason subject { __typename ... on Space { id } } } } } } }"""
DAY = timedelta(days=1)


async def queue(court: Court) -> list[str]:
    data = await court.moderator.read(QUEUE, first=100)
    return [edge["node"]["id"] for edge in data["moderation"]["reviewQueue"]["edges"]]


async def reports(
    court: Court, subject_id: str | None = None, state: str | None = None
) -> list[dict[str, Any]]:
    data = await court.moderator.read(REPORTS, id=subject_id, state=state)
    return [edge["node"] for edge in data["moderation"]["reports"]["edges"]]


# ---------- reports ----------


async def test_a_recording_a_space_and_a_person_can_be_reported(court: Court) -> None:
    recording_id = await court.recorded()
    space_id = await court.host.live_space()
    for subject_id in (recording_id, space_id, court.host.id):
        await court.report(subject_id, category="HATE")

    found = await reports(court)

    assert [one["subject"]["__typename"] for one in found] == ["User", "Space", "Recording"]
    assert {one["state"] for one in found} == {"OPEN"}
    assert await queue(court) == [recording_id]


async def test_a_report_needs_an_account_a_subject_and_a_reason(court: Court) -> None:
    recording_id = await court.recorded()
    wish = {"subjectId": recording_id, "category": "SPAM", "reason": "x"}

    assert await court.town.anyone.refused("report", **wish) == "UNAUTHENTICATED"
    assert await court.listener.refused("report", **{**wish, "reason": " "}) == "INVALID_INPUT"
    assert await court.listener.refused("report", **{**wish, "reason": "x" * 2001}) == "INVALID_INPUT"
    assert await court.listener.refused("report", **{**wish, "subjectId": "UmVjb3JkaW5nOjE="}) == "NOT_FOUND"
    assert (
        await court.listener.refused("report", **{**wish, "subjectId": court.listener.id}) == "INVALID_INPUT"
    )


async def test_a_report_is_seen_by_its_reporter_and_by_moderators_alone(court: Court) -> None:
    report_id = await court.report(await court.recorded())
    node = "query($id: ID!) { node(id: $id) { id } }"

    assert (await court.listener.read(node, id=report_id))["node"] == {"id": report_id}
    assert (await court.moderator.read(node, id=report_id))["node"] == {"id": report_id}
    for other in (court.host, court.town.anyone):
        assert (await other.read(node, id=report_id))["node"] is None
        assert (await other.read("{ moderation { reviewQueue { edges { cursor } } } }"))["moderation"] is None


async def test_the_queue_goes_by_deadline(court: Court) -> None:
    public = await court.recorded()
    first, gone_at = await court.deleted()
    court.town.clock.stand_at(gone_at + DAY)
    second = await court.recorded()
    await court.host.do("deleteRecording", recordingId=second)
    for recording_id in (public, second, first):
        await court.report(recording_id)

    assert await queue(court) == [first, second, public]
    page = await court.moderator.read(QUEUE, first=1)
    assert [edge["node"]["id"] for edge in page["moderation"]["reviewQueue"]["edges"]] == [first]


@pytest.mark.parametrize("by", ["a decision on its recording", "a decision on its host"])
async def test_reports_of_a_space_that_is_over_close_with_the_decision_that_answers_them(
    court: Court, by: str
) -> None:
    space_id = await court.host.live_space(record=True)
    going_on = await (await court.town.person("another")).live_space()
    await court.report(space_id)
    await court.report(going_on)
    await court.host.do("endSpace", spaceId=space_id)
    assert len(await reports(court, state="OPEN")) == 2

    if by == "a decision on its recording":
        await court.decide((await court.host.recording(space_id, "id"))["id"], "CLEAR")
    else:
        wish = {"userId": court.host.id, "suspension": "NONE", "reason": "Nothing wrong."}
        await court.moderator.do("suspendAccount", **wish)

    assert [one["subject"]["id"] for one in await reports(court, state="OPEN")] == [going_on]


async def test_a_recording_can_be_reported_again_after_a_decision_and_until_its_purge(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.report(recording_id)
    await court.decide(recording_id, "CLEAR")
    assert await queue(court) == []

    again = await court.report(recording_id)
    assert await queue(court) == [recording_id]
    assert [one["id"] for one in await reports(court, recording_id, "OPEN")] == [again]

    await court.at(gone_at + 120 * DAY)
    assert await court.status(recording_id) == "PURGED"
    wish = {"subjectId": recording_id, "category": "ABUSE", "reason": "x"}
    assert await court.listener.refused("report", **wish) == "RECORDING_NOT_AVAILABLE"
    assert await reports(court, recording_id, "OPEN") == []
    assert await queue(court) == []


async def test_a_blocked_moderator_still_moderates(court: Court) -> None:
    from models.block import Block
    from schema import ids
    from services.changes import new_id

    recording_id = await court.recorded()
    space_id = await court.host.live_space(record=True)
    await Block.create(
        id=new_id(),
        blocker_id=ids.read(court.host.id, "User", path="id"),
        blocked_id=ids.read(court.moderator.id, "User", path="id"),
        created_at=court.town.clock.now(),
    )
    await court.report(recording_id)

    want = "{ moderation { reviewQueue { edges { node { id space { title host { handle } } playback { url } } } } } }"
    found = (await court.moderator.read(want))["moderation"]["reviewQueue"]["edges"][0]["node"]
    assert found["space"]["host"]["handle"] == court.host.handle
    assert (await court.town.fetch(found["playback"]["url"])).status_code == 200
    await court.moderator.do("endSpace", spaceId=space_id)


# ---------- decisions ----------


async def test_a_violation_takes_a_public_recording_down_at_once(court: Court) -> None:
    recording_id = await court.recorded()
    url = (await court.of(recording_id, "playback { url }"))["playback"]["url"]
    assert (await court.town.fetch(url)).status_code == 200

    await court.decide(recording_id, "VIOLATION")

    assert await court.status(recording_id) == "TAKEN_DOWN"
    assert (await court.town.fetch(url)).status_code == 410
    after = await court.of(
        recording_id,
        "playback { url } download { url } viewerCanPlay viewerCanShare viewerCanDelete",
        by=court.host,
    )
    assert after == {
        "playback": None, "download": None,
        "viewerCanPlay": False, "viewerCanShare": False, "viewerCanDelete": False,
    }  # fmt: skip


@pytest.mark.parametrize("decision", ["CLEAR", "VIOLATION"])
async def test_a_decision_on_a_recording_that_is_gone_changes_neither_status_nor_clock(
    court: Court, decision: str
) -> None:
    recording_id, gone_at = await court.deleted()
    court.town.clock.stand_at(gone_at + 10 * DAY)
    await court.report(recording_id)
    await court.decide(recording_id, decision)

    found = await court.of(recording_id, f"status playback {{ url }} {RETENTION}")
    assert (found["status"], found["playback"]) == ("DELETED", None)
    assert moment(found["retention"]["reviewUntil"]) == gone_at + 30 * DAY


async def test_clear_never_makes_public_again(court: Court) -> None:
    recording_id = await court.recorded()
    await court.decide(recording_id, "VIOLATION")
    await court.host.do("appeal", recordingId=recording_id, statement="It was satire.")
    await court.decide(recording_id, "CLEAR")

    found = await court.of(recording_id, "status playback { url } viewerCanPlay", by=court.host)
    assert found == {"status": "TAKEN_DOWN", "playback": None, "viewerCanPlay": False}


async def test_a_violation_while_live_stops_the_recorder_and_the_space_goes_on(court: Court) -> None:
    space_id = await court.host.live_space(record=True)
    recording_id = (await court.host.recording(space_id, "id"))["id"]
    await court.report(recording_id)
    await court.decide(recording_id, "VIOLATION")

    assert await court.host.space(space_id, "state isRecording recording { status }") == {
        "state": "LIVE", "isRecording": False, "recording": {"status": "TAKEN_DOWN"},
    }  # fmt: skip
    clocks = "status expiresAt retention { publicUntil reviewUntil }"
    before = await court.of(recording_id, clocks)
    assert before["expiresAt"] is None
    await court.host.do("endSpace", spaceId=space_id)
    over = await court.of(recording_id, "endedAt")
    assert await court.of(recording_id, clocks) == {
        **before, "status": "TAKEN_DOWN", "expiresAt": iso(moment(over["endedAt"]) + 30 * DAY),
    }  # fmt: skip


async def test_decisions_are_for_moderators_and_need_a_note(court: Court) -> None:
    recording_id = await court.recorded()
    wish = {"recordingId": recording_id, "decision": "VIOLATION", "note": "n"}

    assert await court.host.refused("reviewRecording", **wish) == "FORBIDDEN"
    assert await court.town.anyone.refused("reviewRecording", **wish) == "UNAUTHENTICATED"
    assert await court.moderator.refused("reviewRecording", **{**wish, "note": ""}) == "INVALID_INPUT"
    assert await court.status(recording_id) == "AVAILABLE"


# ---------- appeals ----------


async def test_the_host_alone_appeals_a_take_down_once_at_a_time(court: Court) -> None:
    recording_id = await court.recorded()
    wish = {"recordingId": recording_id, "statement": "It was satire."}
    assert await court.host.refused("appeal", **wish) == "RECORDING_NOT_AVAILABLE"
    await court.decide(recording_id, "VIOLATION")
    assert await court.listener.refused("appeal", **wish) == "FORBIDDEN"
    assert await court.town.anyone.refused("appeal", **wish) == "UNAUTHENTICATED"

    await court.host.do("appeal", **wish)

    assert await court.host.refused("appeal", **wish) == "CONFLICT"
    assert await queue(court) == [recording_id]
    await court.decide(recording_id, "CLEAR")
    await court.host.do("appeal", **wish)


async def test_host_and_moderators_read_appeals_and_whether_they_wait_and_nobody_else_does(
    court: Court,
) -> None:
    recording_id = await court.recorded()
    await court.decide(recording_id, "VIOLATION")
    want = "appeals { statement createdAt closedAt }"
    assert await court.of(recording_id, want) == {"appeals": []}
    at = court.town.clock.now()
    court.town.clock.stand_at(at)
    await court.host.do("appeal", recordingId=recording_id, statement="It was satire.")

    (waits,) = (await court.of(recording_id, want, by=court.host))["appeals"]
    assert waits == {"statement": "It was satire.", "createdAt": iso(at), "closedAt": None}
    await court.decide(recording_id, "CLEAR")
    court.town.clock.stand_at(at + timedelta(minutes=1))
    await court.host.do("appeal", recordingId=recording_id, statement="Listen again.")

    found = (await court.of(recording_id, want))["appeals"]
    assert [(one["statement"], one["closedAt"]) for one in found] == [
        ("Listen again.", None),
        ("It was satire.", iso(at)),
    ]
    assert await court.of(recording_id, want, by=court.listener) == {"appeals": []}


async def test_an_open_appeal_puts_the_purge_off_until_the_decision(court: Court) -> None:
    recording_id = await court.recorded()
    gone_at = court.town.clock.now()
    court.town.clock.stand_at(gone_at)
    await court.decide(recording_id, "VIOLATION")
    await court.host.do("appeal", recordingId=recording_id, statement="It was satire.")
    await court.at(gone_at + 40 * DAY)
    assert await court.status(recording_id) == "TAKEN_DOWN"

    await court.decide(recording_id, "CLEAR")
    await court.town.round()
    assert await court.status(recording_id) == "PURGED"
    wish = {"recordingId": recording_id, "statement": "Again."}
    assert await court.host.refused("appeal", **wish) == "RECORDING_NOT_AVAILABLE"


# ---------- both sides of each border ----------


async def test_public_until_30_days_after_the_end_worker_or_no_worker(court: Court) -> None:
    recording_id = await court.recorded()
    found = await court.of(recording_id, f"endedAt playback {{ url }} {RETENTION}", by=court.host)
    until = moment(found["endedAt"]) + 30 * DAY
    assert moment(found["retention"]["publicUntil"]) == until
    # A link of the last moment outlives the border; the recording does not.
    court.town.clock.stand_at(until - MILLISECOND)
    url = (await court.of(recording_id, "playback { url }"))["playback"]["url"]
    assert (await court.town.fetch(url)).status_code == 200
    await court.town.round()
    assert await court.status(recording_id) == "AVAILABLE"

    court.town.clock.stand_at(until)
    assert await court.status(recording_id) == "EXPIRED"
    assert (await court.town.fetch(url)).status_code == 410
    wish = {"recordingId": recording_id}
    assert await court.listener.refused("shareRecording", **wish) == "RECORDING_NOT_AVAILABLE"
    assert await court.host.refused("deleteRecording", **wish) == "RECORDING_NOT_AVAILABLE"


@pytest.mark.parametrize(("reported", "days"), [(False, 30), (True, 120)])
async def test_the_review_copy_is_there_until_its_deadline_and_gone_from_it(
    court: Court, reported: bool, days: int
) -> None:
    recording_id, gone_at = await court.deleted()
    if reported:
        await court.report(recording_id)

    await court.at(gone_at + days * DAY - MILLISECOND)
    assert await court.status(recording_id) == "DELETED"
    url = await court.open_copy(recording_id)
    assert (await court.town.fetch(url)).status_code == 200

    await court.at(gone_at + days * DAY)
    assert await court.status(recording_id) == "PURGED"
    assert (await court.town.fetch(url)).status_code == 410
    assert not court.folder(recording_id).exists()


async def test_an_expired_recording_is_reviewed_from_its_expiry_however_late_the_worker_comes(
    court: Court,
) -> None:
    recording_id = await court.recorded()
    until = moment((await court.of(recording_id, "expiresAt"))["expiresAt"])

    await court.at(until + 30 * DAY - MILLISECOND)
    assert await court.status(recording_id) == "EXPIRED"
    await court.at(until + 30 * DAY)
    assert await court.status(recording_id) == "PURGED"


async def test_after_an_outage_both_clocks_run_out_in_one_round(court: Court) -> None:
    recording_id = await court.recorded()
    until = moment((await court.of(recording_id, "expiresAt"))["expiresAt"])
    await court.at(until + 300 * DAY)
    assert await court.status(recording_id) == "PURGED"


# ---------- holds ----------


async def test_a_held_recording_is_never_destroyed_and_a_release_runs_what_was_put_off(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.report(recording_id)
    await court.hold(recording_id)
    for days in (30, 120, 300):
        await court.at(gone_at + days * DAY)
        assert await court.status(recording_id) == "DELETED"
    assert (await court.of(recording_id, "playback { url }", by=court.host))["playback"] is None

    await court.hold(recording_id, held=False)
    await court.town.round()
    assert await court.status(recording_id) == "PURGED"


async def test_a_release_before_the_deadline_leaves_it_where_it_was(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.hold(recording_id)
    court.town.clock.stand_at(gone_at + 10 * DAY)
    await court.hold(recording_id, held=False)

    await court.at(gone_at + 30 * DAY - MILLISECOND)
    assert await court.status(recording_id) == "DELETED"
    await court.at(gone_at + 30 * DAY)
    assert await court.status(recording_id) == "PURGED"


async def test_a_hold_of_a_public_recording_outlasts_its_expiry_and_its_deletion(court: Court) -> None:
    expired, deleted = await court.recorded(), await court.recorded()
    until = moment((await court.of(expired, "expiresAt"))["expiresAt"])
    for one in (expired, deleted):
        await court.hold(one)
    await court.host.do("deleteRecording", recordingId=deleted)

    await court.at(until + 300 * DAY)
    assert [await court.status(one) for one in (expired, deleted)] == ["EXPIRED", "DELETED"]


async def test_holds_are_for_moderators_with_a_reason_and_not_set_twice(court: Court) -> None:
    recording_id, _ = await court.deleted()
    wish: dict[str, Any] = {"recordingId": recording_id, "held": True, "reason": "Case 12."}
    assert await court.host.refused("setLegalHold", **wish) == "FORBIDDEN"
    assert await court.moderator.refused("setLegalHold", **{**wish, "reason": ""}) == "INVALID_INPUT"
    assert await court.moderator.refused("setLegalHold", **{**wish, "held": False}) == "CONFLICT"
    await court.moderator.do("setLegalHold", **wish)
    assert await court.moderator.refused("setLegalHold", **wish) == "CONFLICT"


async def test_the_host_sees_the_date_without_reports_and_holds_and_moderators_the_real_one(
    court: Court,
) -> None:
    recording_id, gone_at = await court.deleted()

    async def seen(by: Person) -> tuple[str | None, bool | None]:
        found = (await court.of(recording_id, RETENTION, by=by))["retention"]
        return found["reviewUntil"], found["isHeld"]

    plain = (await seen(court.host))[0]
    assert plain is not None
    assert moment(plain) == gone_at + 30 * DAY
    await court.report(recording_id)
    until, held = await seen(court.moderator)
    assert until is not None
    assert (moment(until), held) == (gone_at + 120 * DAY, False)
    assert await seen(court.host) == (plain, None)
    await court.hold(recording_id)
    assert await seen(court.moderator) == (None, True)
    assert await seen(court.host) == (plain, None)
    for other in (court.listener, court.town.anyone):
        assert (await court.of(recording_id, RETENTION, by=other))["retention"] is None
