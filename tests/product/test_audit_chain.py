"""The audit log's chain: whatever is done to a sealed entry is found, and the entry is named."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from models.audit_entry import AuditEntry
from models.fields import from_ms
from services import audit
from services.audit import Head, Verdict
from services.changes import change
from services.house import House
from services.signing import BadSignature
from tests.product.databases import databases
from tests.product.purger import opened
from tests.product.town import MovableClock

ACTOR, SUBJECT = UUID(int=7), UUID(int=8)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, MovableClock(), lambda _border: None) as made:
        yield made


async def note(house: House, count: int = 1) -> None:
    """So many acts."""
    async with change(house) as made:
        for _ in range(count):
            await made.audit("hold.set", "recording", SUBJECT, actor_id=ACTOR)


async def sealed(house: House) -> list[int]:
    """Ten sealed entries; their ids."""
    await note(house, 10)
    assert await audit.seal(house.audit_head) == 10
    return [entry.id for entry in await AuditEntry.all().order_by("number")]


def tamper(house: House, *statements: str) -> None:
    """Change the database behind everybody's back."""
    databases.write(house.recordings_dir.parent, *statements)


def _edit(column: str, value: str) -> Callable[[list[int]], list[str]]:
    return lambda ids: [f"UPDATE audit_entry SET {column} = {value} WHERE id = {ids[4]}"]


def _swap(ids: list[int]) -> list[str]:
    one, other = ids[4], ids[6]
    return [
        f"UPDATE audit_entry SET number = 1000 WHERE id = {one}",
        f"UPDATE audit_entry SET number = 5 WHERE id = {other}",
        f"UPDATE audit_entry SET number = 7 WHERE id = {one}",
    ]


_EDITED = "its facts or its place differ from what was sealed"


@pytest.mark.parametrize(
    ("change", "names", "whole", "problem"),
    [
        (_edit("at", "at + 1"), 4, 4, _EDITED),
        (_edit("actor_id", "NULL"), 4, 4, _EDITED),
        (_edit("actor_id", "subject_id"), 4, 4, _EDITED),
        (_edit("action", "'hold.kept'"), 4, 4, _EDITED),
        (_edit("subject_kind", "'space'"), 4, 4, _EDITED),
        (_edit("subject_id", "actor_id"), 4, 4, _EDITED),
        (_edit("outcome", "'denied'"), 4, 4, _EDITED),
        (_edit("hash", "NULL"), 4, 4, _EDITED),
        (_edit("hash", "'00'"), 4, 4, _EDITED),
        (_edit("number", "NULL"), 5, 4, "before it entry number 5 of the chain is missing"),
        (_edit("id", "id + 1000"), None, 4, _EDITED),
        (
            lambda ids: [f"DELETE FROM audit_entry WHERE id = {ids[4]}"],
            *(5, 4, "before it entry number 5 of the chain is missing"),
        ),
        (
            lambda ids: [f"DELETE FROM audit_entry WHERE id = {ids[0]}"],
            *(1, 0, "before it entry number 1 of the chain is missing"),
        ),
        (_swap, 6, 4, _EDITED),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value)[:20],
)
async def test_an_edit_a_removal_and_a_swap_are_found_and_named(
    house: House, change: Callable[[list[int]], list[str]], names: int | None, whole: int, problem: str
) -> None:
    ids = await sealed(house)
    tamper(house, *change(ids))
    named = ids[names] if names is not None else ids[4] + 1000
    assert await audit.verify(house.audit_head) == Verdict(sealed=whole, broken_id=named, problem=problem)
    # The next round heals nothing.
    await note(house)
    await audit.seal(house.audit_head)
    assert await audit.verify(house.audit_head) == Verdict(sealed=whole, broken_id=named, problem=problem)


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("NULL", "it stands beside the chain"),
        ("0", "it stands beside the chain"),
        ("-1", "it stands beside the chain"),
        ("11", _EDITED),
    ],
)
async def test_an_inserted_entry_is_found_and_named(house: House, number: str, problem: str) -> None:
    ids = await sealed(house)
    tamper(
        house,
        "INSERT INTO audit_entry (at, action, subject_kind, subject_id, outcome, number, hash) SELECT at, action,"
        f" subject_kind, subject_id, outcome, {number}, hash FROM audit_entry WHERE id = {ids[4]}",
    )
    verdict = await audit.verify(house.audit_head)
    assert verdict == Verdict(sealed=10, broken_id=ids[-1] + 1, problem=problem)


async def test_what_was_put_beside_the_chain_is_never_taken_into_it(house: House) -> None:
    ids = await sealed(house)
    await note(house, 2)
    tamper(house, f"UPDATE audit_entry SET hash = 'x' WHERE id = {ids[-1] + 1}")
    assert await audit.seal(house.audit_head) == 1
    problem = "it stands beside the chain"
    assert await audit.verify(house.audit_head) == Verdict(sealed=11, broken_id=ids[-1] + 1, problem=problem)


async def test_of_several_that_stand_beside_the_chain_the_first_is_named(house: House) -> None:
    ids = await sealed(house)
    await note(house, 2)
    tamper(house, f"UPDATE audit_entry SET hash = 'x' WHERE id > {ids[-1]}")
    assert (await audit.verify(house.audit_head)).broken_id == ids[-1] + 1


@pytest.mark.parametrize("kept", [9, 8, 0])
async def test_a_cut_off_end_is_found_and_not_signed_over(house: House, kept: int) -> None:
    ids = await sealed(house)
    tamper(house, f"DELETE FROM audit_entry WHERE id > {ids[0] + kept - 1}")
    assert await audit.seal(house.audit_head) == 0
    problem = f"the end is missing: entries number {kept + 1} to 10 were sealed"
    assert await audit.verify(house.audit_head) == Verdict(sealed=kept, problem=problem)


@pytest.mark.parametrize("grows", [False, True])
async def test_a_chain_that_was_made_anew_is_found_even_when_it_has_grown_since(
    house: House, grows: bool
) -> None:
    ids = await sealed(house)
    signed = (await AuditEntry.get(number=10)).hash
    tamper(
        house,
        f"UPDATE audit_entry SET outcome = 'denied' WHERE id = {ids[4]}",
        "UPDATE audit_entry SET hash = NULL, number = NULL",
    )
    if grows:
        # Beside the chain the hash that was signed proves nothing.
        await note(house, 2)
        tamper(house, f"UPDATE audit_entry SET hash = '{signed}' WHERE id > {ids[-1] + 1}")
    await audit.seal(house.audit_head)
    problem = "the chain up to it was made anew: its hash is not the one that was signed"
    assert await audit.verify(house.audit_head) == Verdict(sealed=9, broken_id=ids[-1], problem=problem)


async def test_a_head_that_was_removed_or_forged_is_found(house: House, tmp_path: Path) -> None:
    await sealed(house)
    head = tmp_path / "audit.jws"
    document = head.read_text()
    head.unlink()
    assert await audit.verify(house.audit_head) == Verdict(sealed=10, problem="the signed head is missing")
    for forged in (document[:-10], "", "\xff\xfe", "a.b.c"):
        head.write_bytes(forged.encode("latin-1"))
        found = await audit.verify(house.audit_head)
        assert (found.sealed, found.broken_id) == (0, None)
        assert str(found.problem).startswith("the signed head was tampered with: ")
        await note(house)
        await audit.seal(house.audit_head)
        assert head.read_bytes() == forged.encode("latin-1")
    head.write_text(document)
    assert (await audit.verify(house.audit_head)).problem is None


async def test_a_receipt_is_no_head(house: House, tmp_path: Path) -> None:
    await sealed(house)
    forged = house.signer.sign({"number": 10, "hash": "0" * 64}, kind="spaces-purge-receipt+jws")
    (tmp_path / "audit.jws").write_text(forged)
    with pytest.raises(BadSignature):
        house.audit_head.read()


async def test_an_empty_log_is_whole_and_has_no_head(house: House) -> None:
    assert await audit.seal(house.audit_head) == 0
    assert house.audit_head.read() is None
    assert await audit.verify(house.audit_head) == Verdict(sealed=0)


async def test_entries_are_sealed_in_the_order_of_ids_each_on_the_one_before(house: House) -> None:
    ids = await sealed(house)
    await note(house, 3)
    assert await audit.verify(house.audit_head) == Verdict(sealed=10, unsealed=3)
    assert await audit.seal(house.audit_head) == 3
    assert await audit.verify(house.audit_head) == Verdict(sealed=13)

    entries = await AuditEntry.all().order_by("id")
    assert [entry.number for entry in entries] == list(range(1, 14))
    assert [entry.id for entry in entries][:10] == ids
    before = "0" * 64
    for number, entry in enumerate(entries, start=1):
        assert entry.hash == audit.digest(entry, before, number)
        before = entry.hash
    assert house.audit_head.read() == Head(number=13, hash=before)


async def test_more_than_a_batch_is_sealed_and_verified(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 5)
    await note(house, 12)
    assert await audit.seal(house.audit_head) == 12
    assert await audit.verify(house.audit_head) == Verdict(sealed=12)
    last = await AuditEntry.get(number=12)
    assert house.audit_head.read() == Head(number=12, hash=last.hash or "")
    tamper(house, f"UPDATE audit_entry SET outcome = 'x' WHERE id = {last.id}")
    assert (await audit.verify(house.audit_head)).broken_id == last.id


def test_a_hash_is_the_same_for_ever() -> None:
    """Chains that were sealed by an older version must stay whole."""
    entry = AuditEntry(
        id=5, at=from_ms(1_800_000_000_000), actor_id=ACTOR, action="hold.set", subject_kind="recording",
        subject_id=SUBJECT, outcome="done",
    )  # fmt: skip
    assert (
        audit.digest(entry, "0" * 64, 3) == "06a115310670e5f4721343a49753ee91e0ae24d8d1ba45c223861bb8584ba49a"
    )
    entry.actor_id = None
    assert (
        audit.digest(entry, "ab" * 32, 4)
        == "95d2228157fbfad249f85ec2a333bc040129db4b17386ecaeb7d426aeadcb720"
    )


async def test_after_a_restore_the_end_as_it_is_can_be_accepted(house: House) -> None:
    ids = await sealed(house)
    tamper(house, f"DELETE FROM audit_entry WHERE id > {ids[6]}")
    await note(house)
    assert (await audit.verify(house.audit_head)).problem is not None
    await audit.accept_head(house.audit_head)
    last = await AuditEntry.get(number=7)
    assert house.audit_head.read() == Head(number=7, hash=last.hash or "")
    assert await audit.verify(house.audit_head) == Verdict(sealed=7, unsealed=1)


async def test_after_a_restore_of_an_empty_log_the_empty_end_is_accepted(house: House) -> None:
    await sealed(house)
    tamper(house, "DELETE FROM audit_entry")
    await audit.accept_head(house.audit_head)
    assert house.audit_head.read() == Head(number=0, hash="0" * 64)
    assert await audit.verify(house.audit_head) == Verdict(sealed=0)


@pytest.mark.parametrize("more", [1, 2, 3])
async def test_a_head_is_never_signed_over_by_a_chain_that_does_not_go_on_from_it(
    house: House, tmp_path: Path, more: int
) -> None:
    await sealed(house)
    house.audit_head.write(Head(number=12, hash="f" * 64))
    document = (tmp_path / "audit.jws").read_text()
    await note(house, more)
    await audit.seal(house.audit_head)
    assert (tmp_path / "audit.jws").read_text() == document
    assert (await audit.verify(house.audit_head)).problem is not None


async def test_a_draft_that_a_crash_left_is_written_over(house: House, tmp_path: Path) -> None:
    (tmp_path / "audit.draft").write_text("torn" * 1000)
    await sealed(house)
    assert await audit.verify(house.audit_head) == Verdict(sealed=10)
    names = {path.name for path in tmp_path.iterdir() if path.name.startswith("audit")}  # noqa: ASYNC240
    assert names == {"audit.jws", "audit.lock"}


async def test_a_head_is_signed_once_and_not_in_every_round(house: House, tmp_path: Path) -> None:
    await sealed(house)
    document = (tmp_path / "audit.jws").read_text()
    await audit.seal(house.audit_head)
    assert (tmp_path / "audit.jws").read_text() == document
