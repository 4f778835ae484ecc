"""The audit log: what is in it, and what the command line says of it."""

from datetime import timedelta

import pytest

from tests.product.court import Court, spaces
from tests.product.databases import databases

DAY = timedelta(days=1)


def tamper(court: Court, *statements: str) -> None:
    """Change the database behind the server's back."""
    databases.write(court.town.data_dir, *statements)


async def sealed(court: Court) -> list[int]:
    """Ten sealed entries; their ids."""
    recording_id, _ = await court.deleted()
    for held in (True, False) * 4:
        await court.hold(recording_id, held=held)
    await court.town.round()
    ids = [
        row[0] for row in databases.read(court.town.data_dir, "SELECT id FROM audit_entry ORDER BY number")
    ]
    assert len(ids) == 10
    return ids


@pytest.mark.starts_processes
async def test_a_log_that_nobody_touched_is_whole(court: Court) -> None:
    await sealed(court)
    recording_id, _ = await court.deleted()
    status, printed = await spaces(court.town.data_dir, "audit", "verify")
    assert (status, printed.strip()) == (0, "10 entries are sealed and whole; 1 wait to be sealed.")
    assert [entry["hash"] is None for entry in await court.log(recording_id)] == [True]


@pytest.mark.starts_processes
async def test_a_cut_off_end_is_found(court: Court) -> None:
    ids = await sealed(court)
    tamper(court, f"DELETE FROM audit_entry WHERE id >= {ids[8]}")
    await court.town.round()
    status, printed = await spaces(court.town.data_dir, "audit", "verify")
    assert status == 1
    assert "entries number 9 to 10" in printed


async def test_entries_carry_ids_and_facts_and_no_free_text(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    await court.report(recording_id)
    await court.hold(recording_id)
    await court.hold(recording_id, held=False)
    await court.open_copy(recording_id)
    await court.decide(recording_id, "VIOLATION")
    await court.at(gone_at + 30 * DAY)

    entries = await court.log(recording_id)

    assert [(entry["action"], entry["outcome"]) for entry in entries[:-1]] == [
        ("recording.deleted", "DELETED"),
        ("report.made", "ABUSE"),
        ("hold.set", "done"),
        ("hold.released", "done"),
        ("review_copy.opened", "done"),
        ("recording.reviewed", "VIOLATION"),
    ]
    assert entries[-1]["action"] == "recording.purged"
    assert entries[-1]["actorId"] is None
    for text in ("minute 3", "Case 12", "Report of today", "Heard it", court.host.handle):
        assert text not in str(entries)


async def test_every_denied_attempt_of_a_moderators_act_is_logged(court: Court) -> None:
    recording_id, _ = await court.deleted()
    await court.host.refused("setLegalHold", recordingId=recording_id, held=True, reason="x")
    await court.host.refused("setLegalHold", recordingId=recording_id, held=False, reason="x")
    await court.host.refused("reviewRecording", recordingId=recording_id, decision="CLEAR", note="x")
    await court.host.refused("suspendAccount", userId=court.listener.id, suspension="ACCOUNT", reason="x")

    denied = [entry for entry in await court.log() if entry["outcome"] == "denied"]
    assert [entry["action"] for entry in denied] == [
        "hold.set",
        "hold.released",
        "recording.reviewed",
        "account.suspended",
    ]
    assert {entry["actorId"] for entry in denied} == {court.host.id}
    assert denied[-1]["subjectId"] == court.listener.id


async def test_a_refused_act_of_a_moderator_writes_no_entry(court: Court) -> None:
    recording_id, _ = await court.deleted()
    before = await court.log()
    await court.moderator.refused("setLegalHold", recordingId=recording_id, held=False, reason="x")
    assert await court.log() == before
