"""Receipts, their journal and their signatures, to the letter."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from models.retention_policy import RetentionPolicyRow
from services import signing
from services.errors import Unavailable
from services.house import House
from services.policies import PolicyBook
from services.receipts import BadReceipt, Receipt, ReceiptSigner, facts_of
from services.rules import RetentionPolicy
from services.signing import BadSignature, Signer
from tests.product.purger import make_deleted, opened
from tests.product.town import MovableClock

KIND = "spaces-purge-receipt+jws"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
RECEIPT = Receipt(
    recording_id=UUID(int=5), size_bytes=77, sha256="ab" * 32, purged_at=NOON, policy_version=3
)  # fmt: skip


@pytest.fixture(scope="module")
def keys() -> list[ECKey]:
    return [ECKey.generate_key("P-256", auto_kid=True) for _ in range(2)]


@pytest.fixture
def signer(keys: list[ECKey], tmp_path: Path) -> ReceiptSigner:
    return ReceiptSigner(Signer(lambda: keys), issuer="https://a.example", journal=tmp_path / "receipts.jws")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "data", MovableClock(), lambda _border: None) as made:
        yield made


# ---------- signatures ----------


def test_a_receipt_is_a_compact_jws_of_the_newest_key_with_every_fact(
    signer: ReceiptSigner, keys: list[ECKey]
) -> None:
    document = signer.sign(RECEIPT)
    signed = jws.deserialize_compact(document, keys[-1], algorithms=["ES256"])
    assert signed.headers() == {"alg": "ES256", "typ": KIND, "kid": keys[-1].kid}
    facts = {
        "iss": "https://a.example",
        "scope": "this store: programme, tracks, playlists, waveform, journal, clips, caches and spool;"
        " not backups, nor what was downloaded",
        "recording_id": "00000000-0000-0000-0000-000000000005",
        "size_bytes": 77,
        "sha256": "ab" * 32,
        "purged_at_ms": 1803902400000,
        "policy_version": 3,
    }
    # Sorted, so that the same facts are the same bytes.
    assert signed.payload == orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    assert signer.verify(document) == RECEIPT
    assert signer.verify(f" {document}\n") == RECEIPT
    assert facts_of(document, keys) == facts


def test_every_published_key_counts_and_no_other(keys: list[ECKey], tmp_path: Path) -> None:
    older = Signer(lambda: keys[:1]).sign({"a": 1}, kind="k")
    assert Signer(lambda: keys).verify(older, kind="k") == {"a": 1}
    with pytest.raises(BadSignature, match=r"^the signature does not hold: "):
        Signer(lambda: keys[1:]).verify(older, kind="k")


def test_what_is_published_is_the_public_half_of_every_key(keys: list[ECKey]) -> None:
    published: Any = Signer(lambda: keys).jwks()
    assert list(published) == ["keys"]
    for key, one in zip(keys, published["keys"], strict=True):
        assert set(one) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (one["kid"], one["use"], one["alg"]) == (key.kid, "sig", "ES256")


@pytest.mark.parametrize("payload", [b"[]", b"1", b"null", b'"x"'])
def test_only_an_object_of_the_right_type_is_a_document(keys: list[ECKey], payload: bytes) -> None:
    header = {"alg": "ES256", "typ": "k", "kid": keys[0].kid}
    document = jws.serialize_compact(header, payload, keys[0], algorithms=["ES256"])
    with pytest.raises(BadSignature, match=r"^expected a document of type k$"):
        signing.verify(document, keys, kind="k")


def test_a_document_of_another_type_or_no_json_is_refused(keys: list[ECKey], signer: ReceiptSigner) -> None:
    other = Signer(lambda: keys).sign({"a": 1}, kind="spaces-audit-head+jws")
    with pytest.raises(BadReceipt, match=f"^expected a document of type {KIND}".replace("+", r"\+")):
        signer.verify(other)
    with pytest.raises(BadReceipt, match=f"^expected a document of type {KIND}".replace("+", r"\+")):
        facts_of(other, keys)
    header = {"alg": "ES256", "typ": KIND, "kid": keys[0].kid}
    torn = jws.serialize_compact(header, b"{", keys[0], algorithms=["ES256"])
    with pytest.raises(BadReceipt, match=r"^the signature does not hold: "):
        signer.verify(torn)
    untyped = jws.serialize_compact({"alg": "ES256"}, b"{}", keys[0], algorithms=["ES256"])
    with pytest.raises(BadReceipt):
        signer.verify(untyped)


# ---------- the journal ----------


def test_the_journal_keeps_each_receipt_once_in_order(signer: ReceiptSigner, tmp_path: Path) -> None:
    assert (signer.has_journal, signer.kept()) == (False, [])
    for document in ("a", "b", "a"):
        signer.keep(document)
    assert (signer.has_journal, signer.kept()) == (True, ["a", "b"])
    assert (tmp_path / "receipts.jws").read_bytes() == b"a\nb\na\n"


@pytest.mark.parametrize(("before", "after"), [(b"tor", b"tor\nb\n"), (b"a\n", b"a\nb\n"), (b"", b"b\n")])
def test_a_line_that_was_torn_is_ended_and_a_whole_one_left(
    signer: ReceiptSigner, tmp_path: Path, before: bytes, after: bytes
) -> None:
    (tmp_path / "receipts.jws").write_bytes(before)
    signer.keep("b")
    assert (tmp_path / "receipts.jws").read_bytes() == after


def test_bytes_that_are_no_text_in_the_journal_are_told_as_a_line(
    signer: ReceiptSigner, tmp_path: Path
) -> None:
    (tmp_path / "receipts.jws").write_bytes(b"\xff\xfe\na\n")
    lines = signer.kept()
    assert lines == ["\ufffd\ufffd", "a"]
    with pytest.raises(BadReceipt):
        signer.verify(lines[0])


def test_a_kept_receipt_is_on_disk_and_so_is_the_name_of_its_journal(
    signer: ReceiptSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(f"{path.name} {path.stat().st_size}" if path.is_file() else "folder")

    monkeypatch.setattr("os.fdatasync", note)
    monkeypatch.setattr("os.fsync", note)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    signer.keep("abc")
    assert synced == ["receipts.jws 4", "folder"]
    signer.keep("d")
    assert synced == ["receipts.jws 4", "folder", "receipts.jws 6"]
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_process_that_finds_a_journal_does_not_trust_that_its_name_is_on_disk(
    signer: ReceiptSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that made it may have been cut off before that."""
    (tmp_path / "receipts.jws").write_bytes(b"a\n")
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    signer.keep("b")
    signer.keep("c")
    assert len(synced) == 1


# ---------- policies ----------


def wanted(**days: int) -> RetentionPolicy:
    return RetentionPolicy(**{name: timedelta(days=count) for name, count in days.items()})  # type: ignore[arg-type]


async def test_a_book_without_rows_goes_by_the_settings(house: House) -> None:
    await RetentionPolicyRow.all().delete()
    book = PolicyBook(wanted(public_for=7))
    await book.read()
    assert book.current == wanted(public_for=7)


async def test_each_other_setting_makes_the_next_version_and_the_same_one_none(house: House) -> None:
    await RetentionPolicyRow.all().delete()
    book = PolicyBook(wanted())
    for version, policy in enumerate(
        (wanted(), wanted(public_for=31), wanted(review_for=31), wanted(longest_review_for=99)), start=1
    ):
        for _ in range(2):
            book = PolicyBook(policy)
            await book.adopt(NOON)
            assert (book.current.version, await RetentionPolicyRow.all().count()) == (version, version)
            assert (book.current.public_for, book.current.review_for, book.current.longest_review_for) == (
                policy.public_for,
                policy.review_for,
                policy.longest_review_for,
            )
    row = await RetentionPolicyRow.get(version=4)
    assert (row.public_days, row.review_days, row.longest_review_days, row.since) == (30, 30, 99, NOON)
    recording = await make_deleted(house)
    for version, days in ((1, 120), (4, 99)):
        recording.policy_version = version
        assert book.of(recording).longest_review_for == timedelta(days=days)
        assert book.of(recording).version == version


async def test_a_policy_that_is_younger_than_the_last_look_is_told_as_such(house: House) -> None:
    recording = await make_deleted(house)
    recording.policy_version = 2
    with pytest.raises(
        Unavailable,
        match=r"^This recording began under a policy that was made just now\. Ask again shortly\.$",
    ) as refused:
        house.policies.of(recording)
    assert refused.value.retry_after_ms == 15_000
    await PolicyBook(wanted(review_for=60)).adopt(NOON)
    await house.policies.refresh()
    assert house.policies.of(recording).review_for == timedelta(days=60)
    assert house.policies.current.version == 1


async def test_of_two_that_adopt_at_once_the_second_looks_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = PolicyBook(wanted(review_for=60)), PolicyBook(wanted(review_for=61))
    read = slow.read
    raced = False

    async def overtaken() -> None:
        nonlocal raced
        await read()
        if not raced:
            raced = True
            await quick.adopt(NOON)

    monkeypatch.setattr(slow, "read", overtaken)
    await slow.adopt(NOON)
    assert (quick.current.version, slow.current.version) == (2, 3)


async def test_who_is_overtaken_again_and_again_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = PolicyBook(wanted(review_for=61))
    read = slow.read
    times = 0

    async def overtaken() -> None:
        nonlocal times
        await read()
        times += 1
        await PolicyBook(wanted(review_for=61 + times)).adopt(NOON)

    monkeypatch.setattr(slow, "read", overtaken)
    with pytest.raises(Unavailable, match=r"^Other processes keep adopting policies\. Start again\.$"):
        await slow.adopt(NOON)
    assert times == 3
