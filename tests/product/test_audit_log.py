"""The audit log: whatever is done to a sealed entry is found, and the entry is named."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from services import audit
from tests.product.court import Court, spaces

DAY = timedelta(days=1)


def tamper(court: Court, *statements: str) -> None:
    """Change the database behind the server's back."""
    path: Path = court.town.data_dir / "spaces.sqlite3"
    with sqlite3.connect(path, timeout=5) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


async def sealed(court: Court) -> list[int]:
    """Ten sealed entries; their ids."""
    recording_id, _ = await court.deleted()
    for held in (True, False) * 4:
        await court.hold(recording_id, held=held)
    await court.town.round()
    with sqlite3.connect(court.town.data_dir / "spaces.sqlite3") as database:
        ids = [row[0] for row in database.execute("SELECT id FROM audit_entry ORDER BY number")]
    database.close()
    assert len(ids) == 10
    return ids


async def verify(court: Court) -> tuple[int, str]:
    """What `spaces audit verify` answers, without the second that a process takes."""
    verdict = await audit.verify(court.town.built.house.audit_head)
    return int(verdict.problem is not None), f"entry {verdict.broken_id}: {verdict.problem}"


async def test_a_log_that_nobody_touched_is_whole(court: Court) -> None:
    await sealed(court)
    recording_id, _ = await court.deleted()
    status, printed = await spaces(court.town.data_dir, "audit", "verify")
    assert (status, printed.strip()) == (0, "10 entries are sealed and whole; 1 wait to be sealed.")
    assert [entry["hash"] is None for entry in await court.log(recording_id)] == [True]


def _edit(column: str, value: str) -> Callable[[list[int]], list[str]]:
    return lambda ids: [f"UPDATE audit_entry SET {column} = {value} WHERE id = {ids[4]}"]


def _swap(ids: list[int]) -> list[str]:
    one, other = ids[4], ids[6]
    return [
        f"UPDATE audit_entry SET number = 1000 WHERE id = {one}",
        f"UPDATE audit_entry SET number = 5 WHERE id = {other}",
        f"UPDATE audit_entry SET number = 7 WHERE id = {one}",
    ]


_COPY = (
    "INSERT INTO audit_entry (at, action, subject_kind, subject_id, outcome, number, hash) SELECT at, action,"
)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (_edit("at", "at + 1"), 4),
        (_edit("actor_id", "NULL"), 4),
        (_edit("actor_id", "subject_id"), 4),
        (_edit("action", "'hold.kept'"), 4),
        (_edit("subject_kind", "'space'"), 4),
        (_edit("subject_id", "actor_id"), 4),
        (_edit("outcome", "'denied'"), 4),
        (_edit("hash", "NULL"), 4),
        (_edit("hash", "'00'"), 4),
        (_edit("number", "NULL"), 5),
        (_edit("id", "id + 1000"), None),
        (lambda ids: [f"DELETE FROM audit_entry WHERE id = {ids[4]}"], 5),
        (lambda ids: [f"DELETE FROM audit_entry WHERE id = {ids[0]}"], 1),
        (_swap, 6),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
async def test_an_edit_a_removal_and_a_swap_are_found_and_named(
    court: Court, change: Callable[[list[int]], list[str]], names: int | None
) -> None:
    ids = await sealed(court)
    tamper(court, *change(ids))
    status, printed = await verify(court)
    assert status == 1
    assert f"entry {ids[names] if names is not None else ids[4] + 1000}:" in printed


@pytest.mark.parametrize("number", ["NULL", "0", "-1", "11"])
async def test_an_inserted_entry_is_found_and_named(court: Court, number: str) -> None:
    ids = await sealed(court)
    tamper(
        court,
        f"{_COPY} subject_kind, subject_id, outcome, {number}, hash FROM audit_entry WHERE id = {ids[4]}",
    )
    status, printed = await verify(court)
    assert (status, f"entry {ids[-1] + 1}:" in printed) == (1, True), printed


async def test_a_cut_off_end_is_found(court: Court) -> None:
    ids = await sealed(court)
    tamper(court, f"DELETE FROM audit_entry WHERE id >= {ids[8]}")
    await court.town.round()
    status, printed = await spaces(court.town.data_dir, "audit", "verify")
    assert status == 1
    assert "entries number 9 to 10" in printed


async def test_a_chain_that_was_made_anew_is_found(court: Court) -> None:
    ids = await sealed(court)
    tamper(
        court,
        f"UPDATE audit_entry SET outcome = 'denied' WHERE id = {ids[4]}",
        "UPDATE audit_entry SET hash = NULL, number = NULL",
    )
    await court.town.round()
    status, printed = await verify(court)
    assert (status, f"entry {ids[-1]}:" in printed) == (1, True), printed


async def test_a_head_that_was_removed_or_forged_is_found(court: Court) -> None:
    await sealed(court)
    head = court.town.data_dir / "audit.jws"
    document = head.read_text()
    head.unlink()
    assert (await verify(court))[0] == 1
    head.write_text(document[:-10])
    assert (await verify(court))[0] == 1
    head.write_text(document)
    assert (await verify(court))[0] == 0


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
