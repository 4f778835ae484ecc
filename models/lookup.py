"""The most frequent reads, without the price of building a query for them.

Only names of tables and columns stand in the text; every value is a parameter.
"""

from collections.abc import Collection, Sequence
from itertools import count, repeat
from typing import Any
from uuid import UUID

import orjson
from tortoise.fields.data import UUIDField
from tortoise.models import Model

from models.account import Account
from models.block import Block
from models.columns import Columns
from models.dialect import is_postgres
from models.session import Session
from models.space_event import SpaceEvent
from models.together import Part


def by_keys(
    model: type[Model],
    column: str,
    keys: Sequence[Any],
    *,
    also: tuple[str, Any] | None = None,
    columns: Columns | None = None,
) -> Part | None:
    """All rows whose `column` is one of `keys`, and another column the value of `also`; ids may be text.

    None where `column` does not hold ids.
    """
    fields = model._meta.fields_map
    if not isinstance(fields[column], UUIDField):
        return None
    table = model._meta.db_table
    among, value = _among("$1", keys)
    sql = f'SELECT * FROM "{table}" WHERE "{column}" {among}'  # noqa: S608
    values = [value]
    if also is not None:
        name, wanted = also
        sql += f' AND "{name}" = {"$2" if is_postgres() else "?"}'
        values.append(str(wanted))
    return Part(model=model, sql=sql, values=tuple(values), columns=columns)


def _among(mark: str, ids: Collection[Any]) -> tuple[str, Any]:
    """What follows a column that is to be one of some ids, and the value of its one parameter."""
    texts = [str(one) for one in ids]
    if is_postgres():
        return f"= ANY({mark}::uuid[])", texts
    return "IN (SELECT value FROM json_each(?))", orjson.dumps(texts).decode()


def through(
    model: type[Model],
    column: str,
    part: Part,
    key: str,
    *,
    also: tuple[str, Any] | None = None,
    columns: Columns | None = None,
) -> Part:
    """All rows whose `column` is the `key` of a row of another part, before that is read; `also` as above."""
    sql = f'SELECT * FROM "{model._meta.db_table}" WHERE "{column}" IN (SELECT p."{key}" FROM ({part.sql}) p)'  # noqa: S608
    values = part.values
    if also is not None:
        name, value = also
        sql += f' AND "{name}" = {f"${len(values) + 1}" if is_postgres() else "?"}'
        values = (*values, str(value))
    return Part(model=model, sql=sql, values=values, columns=columns)


_SESSION = Columns(model=Session, names=("id", "expires_at"), attributes=frozenset({"id", "expires_at"}))


def signed_in(token_hash: str) -> tuple[Part, Part]:
    """The session with this token, of which its id and end are read, and its account unless that is deleted."""
    mark = "$1" if is_postgres() else "?"
    session = f'FROM "session" WHERE "token_hash" = {mark}'
    account = (
        f'SELECT * FROM "account" WHERE "id" IN (SELECT "account_id" {session}) AND "deleted_at" IS NULL'  # noqa: S608
    )
    values = (token_hash,)
    return Part(model=Session, sql=f"SELECT * {session}", values=values, columns=_SESSION), Part(
        model=Account, sql=account, values=values
    )


def blocks_of(account_id: UUID) -> Part:
    """Whom somebody has blocked, and who has blocked them."""
    first, second = ("$1", "$2") if is_postgres() else ("?", "?")
    sql = f'SELECT * FROM "block" WHERE "blocker_id" = {first} OR "blocked_id" = {second}'  # noqa: S608
    return Part(model=Block, sql=sql, values=(str(account_id), str(account_id)))


def events_of(space_id: UUID, after: int, *, most: int, of_recording: bool, unseen: Collection[UUID]) -> Part:
    """The first events of a Space beyond a number, but for those of `unseen` accounts."""
    marks = (f"${number}" for number in count(1)) if is_postgres() else repeat("?")
    sql = f'SELECT * FROM "space_event" WHERE "space_id" = {next(marks)} AND "sequence" > {next(marks)}'  # noqa: S608
    values: list[Any] = [str(space_id), after]
    if of_recording:
        sql += ' AND "of_recording"'
    if unseen:
        place, (among, accounts) = next(marks), _among(next(marks), unseen)
        people = f'SELECT "id" FROM "participant" WHERE "space_id" = {place} AND "account_id" {among}'  # noqa: S608
        sql += f' AND ("participant_id" IS NULL OR "participant_id" NOT IN ({people}))'
        values += [str(space_id), accounts]
    sql += f' ORDER BY "sequence" LIMIT {next(marks)}'
    return Part(model=SpaceEvent, sql=sql, values=(*values, most))
