"""A page of somebody's timeline, at a price that does not grow with the number of cards.

The newest `most` cards of many authors are among the newest `most` of those `most` authors whose newest card is the
newest. So one look into the index for each author finds these authors, and one stretch of the index for each of
them their cards: however many cards there are, at most `followed + most * most` of them are touched.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from models.dialect import is_postgres
from models.fields import to_ms
from models.timeline_item import TimelineItem
from models.together import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """The card that the page goes on behind."""

    activity_at: datetime
    id: UUID


class _Values:
    """Values in the order in which their placeholders stand in the text."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._is_numbered = is_postgres()

    def __call__(self, value: Any) -> str:
        self.all.append(str(value) if isinstance(value, UUID) else value)
        return f"${len(self.all)}" if self._is_numbered else "?"


def followed_page(viewer_id: UUID, *, after: After | None, most: int) -> Part:
    """The newest `most` cards of the viewer and those they follow, behind `after`.

    A block hides here what `services/visibility.items` hides elsewhere: cards by, and of Spaces of, either side.
    """
    value = _Values()

    def shown(card: str) -> str:
        """The condition under which a card may stand on the page."""
        terms = [f"{card}.host_id NOT IN (SELECT id FROM hidden)"]  # noqa: S608
        if after is not None:
            at = to_ms(after.activity_at)
            # The first half lets the index begin in the right place.
            terms.append(
                f"{card}.activity_at <= {value(at)} AND ({card}.activity_at < {value(at)}"
                f" OR {card}.id < {value(after.id)})"
            )
        return "".join(f" AND {term}" for term in terms)

    newest_first = "ORDER BY i.activity_at DESC, i.id DESC"
    sql = f"""WITH hidden AS (
  SELECT blocked_id AS id FROM block WHERE blocker_id = {value(viewer_id)}
  UNION SELECT blocker_id FROM block WHERE blocked_id = {value(viewer_id)}
), authors AS (
  SELECT followee_id AS author_id FROM follow WHERE follower_id = {value(viewer_id)}
  UNION SELECT id FROM account WHERE id = {value(viewer_id)}
), newest AS (
  SELECT a.author_id, (SELECT i.id FROM timeline_item i
    WHERE i.author_id = a.author_id{shown("i")} {newest_first} LIMIT 1) AS item_id
  FROM authors a WHERE a.author_id NOT IN (SELECT id FROM hidden)
), leaders AS (
  SELECT n.author_id, (SELECT i.activity_at FROM timeline_item i
    WHERE i.author_id = n.author_id{shown("i")} {newest_first} LIMIT 1 OFFSET {most - 1:d}) AS since
  FROM newest n JOIN timeline_item t ON t.id = n.item_id
  ORDER BY t.activity_at DESC, t.id DESC LIMIT {most:d}
)
SELECT t.* FROM leaders l CROSS JOIN timeline_item t
WHERE t.author_id = l.author_id AND t.activity_at >= COALESCE(l.since, 0){shown("t")}
ORDER BY t.activity_at DESC, t.id DESC LIMIT {most:d}"""  # noqa: S608 (every value is a parameter)
    return Part(model=TimelineItem, sql=sql, values=tuple(value.all))
