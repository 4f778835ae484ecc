"""What a purge leaves behind: a receipt that anybody can check."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from api.keys import ReceiptKeys
from services.receipts import BadReceipt, facts_of
from tests.product.court import RETENTION, Court, moment, spaces

DAY = timedelta(days=1)


async def purged(court: Court) -> tuple[str, dict[str, Any]]:
    """A purged recording and its receipt, as its host sees it."""
    recording_id, gone_at = await court.deleted()
    assert (await court.of(recording_id, RETENTION, by=court.host))["retention"]["receipt"] is None
    await court.at(gone_at + 30 * DAY)
    found = await court.of(recording_id, f"status {RETENTION}", by=court.host)
    assert found["status"] == "PURGED"
    receipt: dict[str, Any] = found["retention"]["receipt"]
    return recording_id, receipt


async def verified(court: Court, document: str) -> dict[str, Any]:
    """What a receipt says, by the published keys and a library that knows nothing of us."""
    keys = KeySet.import_key_set((await court.town.http.get("/.well-known/jwks.json")).json())
    signed = jws.deserialize_compact(document, keys, algorithms=["ES256"])
    facts: dict[str, Any] = orjson.loads(signed.payload)
    return facts


async def test_a_receipt_says_what_was_destroyed_when_and_under_which_policy(court: Court) -> None:
    recording_id, gone_at = await court.deleted()
    files = [path.read_bytes() for path in court.folder(recording_id).rglob("*") if path.is_file()]
    digests = "".join(sorted(hashlib.sha256(data).hexdigest() for data in files))
    await court.at(gone_at + 30 * DAY)

    retention = (await court.of(recording_id, RETENTION, by=court.host))["retention"]
    receipt = retention["receipt"]
    facts = await verified(court, receipt["document"])

    assert len(files) == 4
    assert receipt["sizeBytes"] == facts["size_bytes"] == sum(map(len, files))
    assert receipt["sha256"] == facts["sha256"] == hashlib.sha256(digests.encode()).hexdigest()
    assert moment(receipt["purgedAt"]) == gone_at + 30 * DAY
    assert facts["purged_at_ms"] == (gone_at + 30 * DAY).timestamp() * 1000
    assert (facts["policy_version"], retention["policyVersion"]) == (1, "1")
    assert facts["recording_id"] == court.folder(recording_id).name
    assert "not backups" in facts["scope"]
    assert retention["reviewUntil"] is None


async def test_a_purge_leaves_no_byte_one_entry_and_one_receipt_however_often_it_runs(court: Court) -> None:
    recording_id, receipt = await purged(court)
    for _ in range(2):
        await court.town.round()

    assert list((court.town.data_dir / "recordings").iterdir()) == []
    actions = [entry["action"] for entry in await court.log(recording_id)]
    assert actions == ["recording.deleted", "recording.purged"]
    assert (court.town.data_dir / "receipts.jws").read_text().split() == [receipt["document"]]


async def test_receipts_are_for_the_host_and_moderators(court: Court) -> None:
    recording_id, _ = await purged(court)
    assert (await court.of(recording_id, RETENTION, by=court.listener))["retention"] is None


@pytest.mark.starts_processes
async def test_receipts_of_an_older_key_stay_good_after_a_rotation(court: Court) -> None:
    _, before = await purged(court)
    status, printed = await spaces(court.town.data_dir, "receipt", "rotate")
    assert status == 0, printed
    _, after = await purged(court)

    keys = (await court.town.http.get("/.well-known/jwks.json")).json()["keys"]
    assert len(keys) == 2
    assert not any("d" in key for key in keys)
    kids = [jws.extract_compact(receipt["document"].encode()).headers()["kid"] for receipt in (before, after)]
    assert kids == [key["kid"] for key in keys]
    for receipt in (before, after):
        assert (await verified(court, receipt["document"]))["size_bytes"] == receipt["sizeBytes"]


@pytest.mark.starts_processes
async def test_the_command_line_verifies_a_receipt_and_refuses_another(court: Court, tmp_path: Path) -> None:
    recording_id, receipt = await purged(court)
    good, bad = tmp_path / "good.jws", tmp_path / "bad.jws"
    await asyncio.to_thread(good.write_text, receipt["document"] + "\n")
    head, payload, signature = receipt["document"].split(".")
    await asyncio.to_thread(bad.write_text, f"{head}.{payload[:-4]}AAAA.{signature}")

    status, printed = await spaces(court.town.data_dir, "receipt", "verify", str(good))
    assert status == 0
    assert court.folder(recording_id).name in printed
    for path in (bad, tmp_path / "absent.jws"):
        status, printed = await spaces(court.town.data_dir, "receipt", "verify", str(path))
        assert (status, "Traceback" in printed) == (1, False)
        assert printed.startswith("This is no receipt of ours")


async def test_a_receipt_of_another_server_is_none_of_ours(court: Court, tmp_path: Path) -> None:
    _, receipt = await purged(court)
    with pytest.raises(BadReceipt):
        facts_of(receipt["document"], ReceiptKeys(tmp_path)())


@pytest.mark.parametrize(
    "document",
    ["", ".", "..", "a.b.c", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", "x" * 100_000, "é.é.é", "\0"],
    ids=range(9),
)
def test_no_nonsense_is_a_receipt(document: str, tmp_path: Path) -> None:
    with pytest.raises(BadReceipt):
        facts_of(document, ReceiptKeys(tmp_path)())


async def test_the_signed_head_of_the_audit_log_is_no_receipt(court: Court) -> None:
    await court.town.round()
    head = (court.town.data_dir / "audit.jws").read_text()
    with pytest.raises(BadReceipt):
        court.town.built.house.receipts.verify(head)


async def test_a_torn_line_of_the_journal_swallows_no_receipt(court: Court) -> None:
    journal = court.town.data_dir / "receipts.jws"
    _, first = await purged(court)
    with journal.open("a") as file:
        file.write(first["document"][:40])
    _, second = await purged(court)
    kept = court.town.built.house.receipts.kept()
    assert kept == [first["document"], first["document"][:40], second["document"]]


async def test_keys_are_readable_by_their_owner_alone(court: Court) -> None:
    await purged(court)
    keys = list((court.town.data_dir / "keys").glob("*.jwk"))
    assert [path.name for path in keys] == ["receipts-1.jwk"]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
