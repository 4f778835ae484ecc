"""What a large installation would need, from figures that were measured and assumptions that are said.

`python -m benchmarks.plan` prints `docs/scale.md`; nothing is measured here. A day is gone through hour by hour.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

# Share of the peak that is there in each hour of a day.
DAY = (.42, .33, .26, .22, .20, .22, .28, .36, .42, .46, .50, .54,
       .58, .58, .56, .55, .58, .65, .76, .90, 1.0, .98, .80, .58)  # fmt: skip
DAYS = 30
_HOUR_S = 3_600


@dataclass(frozen=True)
class Figure:
    """A number, its unit, and where it is from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Goal:
    """What is planned for."""

    listeners: Figure = Figure(1_000_000, "listeners at the peak", "asked for")
    spaces: Figure = Figure(10_000, "live Spaces at the peak", "asked for")
    recordings: Figure = Figure(100_000_000, "recordings, of which the rows stay", "asked for")


@dataclass(frozen=True)
class Measured:
    """What runs of the benchmarks have shown, on one virtual core."""

    rooms_a_core: Figure = Figure(
        66, "rooms of three speakers a core", "[recording](benchmarks.md#recording)"
    )
    programme_mb: Figure = Figure(31, "MB an hour of programme", "[recording](benchmarks.md#recording)")
    tracks_mb: Figure = Figure(51, "MB an hour of three tracks", "[recording](benchmarks.md#recording)")
    fragment_us: Figure = Figure(617, "µs a request of a player", "[playback](benchmarks.md#playback)")
    message_us: Figure = Figure(11.7, "µs a delivered message", "[cluster](benchmarks.md#cluster)")
    read_us: Figure = Figure(2_311, "µs a timeline, on PostgreSQL", "[cluster](benchmarks.md#cluster)")
    write_us: Figure = Figure(5_489, "µs a mutation, on PostgreSQL", "[mutation](benchmarks.md#mutation)")
    purges: Figure = Figure(
        5.3, "purges a second of one worker, the slowest run", "[retention](benchmarks.md#retention)"
    )


@dataclass(frozen=True)
class Assumed:
    """What nobody has measured: change it in `benchmarks/plan.py`."""

    space_h: Figure = Figure(1, "hours a Space", "a guess")
    stay_min: Figure = Figure(20, "minutes a listener stays", "a guess")
    requests: Figure = Figure(
        2, "requests a second of a live player: a playlist and a fragment", "fragments of 1 s"
    )
    messages: Figure = Figure(
        1.1,
        "messages a second to each listener: the tick, and some changes",
        "one tick a second while recording",
    )
    timelines: Figure = Figure(0.002, "timelines a second of each listener", "one in eight minutes")
    kept_days: Figure = Figure(60, "days that bytes are kept: public, then for review", "the defaults")
    rows: Figure = Figure(
        40, "rows a recorded Space leaves: events, cards, audit, people who spoke", "a guess"
    )
    row_bytes: Figure = Figure(400, "bytes a row with its indexes", "a guess")
    busy: Figure = Figure(0.6, "of a core is used at the peak", "room for a lost machine")
    core: Figure = Figure(20, "money a core and month", "a price to be replaced")
    stored_tb: Figure = Figure(20, "money a TB stored and month", "a price to be replaced")
    sent_tb: Figure = Figure(10, "money a TB sent", "a price to be replaced")


def table(*columns: str, rows: Sequence[tuple[str, ...]]) -> str:
    """A table of a page."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def inputs(of: Goal | Measured | Assumed) -> str:
    """What is put in, with its source."""
    found = [getattr(of, one.name) for one in fields(of)]
    return table("figure", "is", "from", rows=[(f"{one.value:,.10g}", one.unit, one.source) for one in found])


def simulated(goal: Goal, measured: Measured, assumed: Assumed) -> dict[str, float]:
    """A month: what happens in all, and the cores at the busiest hour."""
    month = dict.fromkeys(("listened_h", "spaces_h", "requests", "messages", "reads", "joins"), 0.0)
    for share in DAY * DAYS:
        listeners = goal.listeners.value * share
        month["listened_h"] += listeners
        month["spaces_h"] += goal.spaces.value * share
        month["requests"] += listeners * assumed.requests.value * _HOUR_S
        month["messages"] += listeners * assumed.messages.value * _HOUR_S
        month["reads"] += listeners * assumed.timelines.value * _HOUR_S
        month["joins"] += listeners * 60 / assumed.stay_min.value
    people, busy = goal.listeners.value, assumed.busy.value * 1e6
    month["recordings"] = month["spaces_h"] / assumed.space_h.value
    month["sent_tb"] = month["listened_h"] * measured.programme_mb.value / 1e6
    month["stored_tb"] = (
        month["recordings"] * assumed.kept_days.value / DAYS * assumed.space_h.value
        * (measured.programme_mb.value + measured.tracks_mb.value) / 1e6
    )  # fmt: skip
    month["rows"] = goal.recordings.value * assumed.rows.value
    month["rows_tb"] = month["rows"] * assumed.row_bytes.value / 1e12
    month["core_players"] = people * assumed.requests.value * measured.fragment_us.value / busy
    month["core_messages"] = people * assumed.messages.value * measured.message_us.value / busy
    month["core_reads"] = people * assumed.timelines.value * measured.read_us.value / busy
    joins_a_second = people / assumed.stay_min.value / 60
    month["joins_a_second"] = joins_a_second
    month["core_writes"] = 2 * joins_a_second * measured.write_us.value / busy
    month["core_rooms"] = goal.spaces.value / measured.rooms_a_core.value / assumed.busy.value
    month["purges_a_second"] = month["recordings"] / DAYS / 86_400
    return month


def page() -> str:
    """The whole of it, in Markdown."""
    goal, measured, assumed = Goal(), Measured(), Assumed()
    m = simulated(goal, measured, assumed)
    cores = {name: m[f"core_{name}"] for name in ("players", "messages", "reads", "writes", "rooms")}
    core = assumed.core.value
    bill = [
        ("players: playlists and fragments", f"{cores['players']:,.0f} cores", cores["players"] * core),
        ("messages of subscriptions", f"{cores['messages']:,.0f} cores", cores["messages"] * core),
        ("rooms: mixing and recording", f"{cores['rooms']:,.0f} cores", cores["rooms"] * core),
        ("timelines", f"{cores['reads']:,.0f} cores", cores["reads"] * core),
        ("joining and leaving", f"{cores['writes']:,.0f} cores", cores["writes"] * core),
        ("recordings kept", f"{m['stored_tb']:,.0f} TB", m["stored_tb"] * assumed.stored_tb.value),
        ("sound sent", f"{m['sent_tb']:,.0f} TB", m["sent_tb"] * assumed.sent_tb.value),
    ]  # fmt: skip
    total = sum(row[2] for row in bill)
    joins = m["joins_a_second"]
    happens = [
        ("recorded Spaces", f"{m['recordings'] / 1e6:,.1f} million"),
        ("hours listened", f"{m['listened_h'] / 1e6:,.0f} million"),
        ("requests of players", f"{m['requests'] / 1e12:,.1f} million million"),
        ("messages of subscriptions", f"{m['messages'] / 1e12:,.1f} million million"),
        ("timelines", f"{m['reads'] / 1e9:,.1f} thousand million"),
        ("times that somebody joins", f"{m['joins'] / 1e9:,.1f} thousand million; {joins:,.0f} a second at the peak"),
        ("purges", f"{m['recordings'] / 1e6:,.1f} million; {m['purges_a_second']:.1f} a second"),
        ("rows after 100 million recordings", f"{m['rows'] / 1e9:,.0f} thousand million, {m['rows_tb']:,.1f} TB"),
        ("until there are so many", f"{goal.recordings.value / m['recordings']:,.0f} months"),
    ]  # fmt: skip
    parts = {
        "{goal}": inputs(goal),
        "{measured}": inputs(measured),
        "{assumed}": inputs(assumed),
        "{happens}": table("in a month", "so many", rows=happens),
        "{bill}": table("what for", "how much", "money a month", rows=[
            *((name, much, f"{money:,.0f}") for name, much, money in bill), ("all of it", "", f"{total:,.0f}"),
        ]),
        "{request_rate}": f"{goal.listeners.value * assumed.requests.value / 1e6:,.1f}",
        "{player_cores}": f"{cores['players']:,.0f}",
        "{joins}": f"{joins:,.0f}",
        "{purgers}": f"{m['purges_a_second'] / measured.purges.value:.1f}",
        "{rows_tb}": f"{m['rows_tb']:,.1f}",
    }  # fmt: skip
    text = _PAGE
    for name, value in parts.items():
        text = text.replace(name, value)
    return text


_PAGE = """# A large installation, on paper

A plan for 1,000,000 listeners at once, 10,000 live Spaces and 100 million recordings. **Nothing of this size was
ever run**: it is arithmetic over a simulated day ([`benchmarks/plan.py`](../benchmarks/plan.py), which prints this
page), from figures of one virtual machine with two busy cores, and from assumptions. Put your own in, and run
`python -m benchmarks.plan > docs/scale.md`.

{goal}

## What happens

{happens}

## What it takes

{bill}

The database is not in it: what its server costs has not been measured. Nor are people, machines that stand by, backups.

## What breaks first

1. **The one process that keeps the rooms** ([why there is one](decisions/0013-one-process-keeps-the-rooms.md)).
   Presence and counters of all Spaces of an installation are in the memory of one process, and every joining is told
   to it: {joins} a second, and the fetches of a million players. API processes can be many, on one host; this one
   cannot. It must be cut by Space, each part with a keeper of its own, before anything below matters.
2. **Looking at every fetch.** {request_rate} million requests a second, each with a statement that asks who may
   listen, are {player_cores} cores of API and as many statements of the database. That is the price of a deletion
   that takes effect at the next request. What is fetched live costs about what a fragment of a recording does,
   which is what was measured. An answer that is kept for a second for each Space, not for each viewer, would save
   nearly all of it, and has to be weighed against that promise.
3. **One PostgreSQL.** NOTIFY goes to every process and takes one lock at each commit. With a keeper a part there can be
   a database a part as well: no statement joins two Spaces of different hosts but the timelines, which read many.
4. **Rows.** {rows_tb} TB are more than one wants in one piece: cut events and cards by month, and let go of events
   whose cursors nobody can hold any more.
5. **Purges** need {purgers} workers at the slowest rate that was measured: nothing to do.

## From where

Measured:

{measured}

Assumed:

{assumed}
"""


if __name__ == "__main__":
    sys.stdout.write(page())
