"""Many people at once: their rows are written directly, for a password each would take seconds."""

import hashlib
from datetime import timedelta
from uuid import uuid4

from models.account import Account
from models.session import Session
from schema import ids
from tests.product.town import Person, Town


async def crowd(town: Town, count: int, *, prefix: str = "one") -> list[Person]:
    """So many people with accounts, signed in."""
    now = town.clock.now()
    people = [
        Account(
            id=uuid4(),
            handle=f"{prefix}_of_many_{number}",
            handle_key=f"{prefix}_of_many_{number}",
            name=f"Number {number}",
            password_hash="",
            created_at=now,
        )
        for number in range(count)
    ]
    await Account.bulk_create(people)
    tokens = {person.id: f"sps_{person.handle}" for person in people}
    await Session.bulk_create(
        [
            Session(
                id=uuid4(),
                account_id=key,
                token_hash=hashlib.sha256(token.encode()).hexdigest(),
                created_at=now,
                expires_at=now + timedelta(days=1),
            )
            for key, token in tokens.items()
        ]
    )
    return [
        Person(town, token=tokens[one.id], id=str(ids.pack("User", one.id)), handle=one.handle)
        for one in people
    ]
