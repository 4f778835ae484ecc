"""The outbox of webhooks: what is sent is written in the transaction of the change that it tells of.

Everything here is of a Space that is locked until the commit. So the numbers of its events have the order of their
commits, and nobody else moves its line.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import orjson

from models.recording import Recording, RecordingStatus
from models.space import Space
from models.space_event import SpaceEvent, SpaceEventKind
from models.timeline_item import SHARE_KINDS, TimelineItem
from models.webhook import Webhook, WebhookEvent
from models.webhook_delivery import DeliveryState, WebhookDelivery
from services.links import LinkSigner
from services.outward import global_id, instant
from services.retention import failure_reason
from services.rules import Rules

_E = WebhookEvent
_OF_SPACE: Mapping[SpaceEventKind, WebhookEvent] = MappingProxyType(
    {SpaceEventKind.STARTED: _E.SPACE_STARTED, SpaceEventKind.ENDED: _E.SPACE_ENDED}
)
_OF_RECORDING: Mapping[str, WebhookEvent] = MappingProxyType(
    {
        RecordingStatus.AVAILABLE: _E.RECORDING_AVAILABLE,
        RecordingStatus.DELETED: _E.RECORDING_DELETED,
        RecordingStatus.EXPIRED: _E.RECORDING_EXPIRED,
        RecordingStatus.TAKEN_DOWN: _E.RECORDING_TAKEN_DOWN,
        RecordingStatus.PURGED: _E.RECORDING_PURGED,
        RecordingStatus.FAILED: _E.RECORDING_FAILED,
    }
)


class Outbox:
    """What one transaction writes for webhooks. `is_full`: there is something to send."""

    def __init__(self, now: datetime, rules: Rules, links: LinkSigner) -> None:
        self._now = now
        self._rules = rules
        self._links = links
        self.is_full = False

    async def heard(
        self, space: Space, kind: SpaceEventKind, recording: Recording | None, facts: Mapping[str, Any]
    ) -> None:
        """An event of a Space: webhooks are called for some of them."""
        if kind in _OF_SPACE:
            await self._of_space(space, _OF_SPACE[kind])
        elif kind is SpaceEventKind.RECORDING_STATUS_CHANGED and recording is not None:
            await self._of_recording(space, recording, before=facts["from"], now_is=facts["to"])

    async def shared(self, space: Space, recording: Recording, item: TimelineItem) -> None:
        """Somebody has shared the recording of a Space."""
        data = {"itemId": global_id("TimelineItem", item.id), "startMs": item.start_ms}
        status = recording.status.value
        await self._write(_E.RECORDING_SHARED, space, self._now, (recording, status), card=item, more=data)

    async def _of_space(self, space: Space, event: WebhookEvent) -> None:
        at = space.started_at if event is _E.SPACE_STARTED else space.ended_at
        await self._write(event, space, at or self._now)

    async def _of_recording(self, space: Space, recording: Recording, *, before: str, now_is: str) -> None:
        told = (recording, now_is)
        if now_is == RecordingStatus.RECORDING and before == RecordingStatus.STARTING:
            await self._write(_E.RECORDING_STARTED, space, recording.started_at or self._now, told)
        if now_is not in _OF_RECORDING:
            return
        if before == RecordingStatus.FINALIZING and now_is == RecordingStatus.AVAILABLE:
            await self._started_unheard(space, recording)
        moments = {
            RecordingStatus.EXPIRED: recording.gone_at,
            RecordingStatus.PURGED: recording.purged_at,
        }
        at = moments.get(RecordingStatus(now_is)) or self._now
        await self._write(_OF_RECORDING[now_is], space, at, told)

    async def _started_unheard(self, space: Space, recording: Recording) -> None:
        """What can be played was recorded, also when the audio plane was lost before it told of its first audio."""
        changes = SpaceEvent.filter(space_id=space.id, kind=SpaceEventKind.RECORDING_STATUS_CHANGED)
        statuses = {one.facts.get("to") for one in await changes}
        if RecordingStatus.RECORDING.value not in statuses:
            told = (recording, RecordingStatus.RECORDING.value)
            await self._write(_E.RECORDING_STARTED, space, recording.started_at or self._now, told)

    async def _write(
        self,
        event: WebhookEvent,
        space: Space,
        at: datetime,
        told: tuple[Recording, str] | None = None,
        *,
        card: TimelineItem | None = None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """A delivery for each webhook of the host that wants the event."""
        hooks = await Webhook.filter(account_id=space.host_id, disabled_at=None).order_by("id")
        ids = [hook.id for hook in hooks if event in hook.events]
        if not ids:
            return
        data = {**_space_facts(space), **(self._recording_facts(*told) if told else {}), **more}
        data["url"] = await self._url(space, card)
        body = orjson.dumps(
            {"type": event.value.lower().replace("_", ".", 1), "timestamp": instant(at), "data": data}
        )
        waiting = WebhookDelivery.filter(
            space_id=space.id, webhook_id__in=ids, state=DeliveryState.PENDING
        ).values_list("webhook_id", flat=True)
        behind = set(await waiting)
        last = await WebhookDelivery.filter(space_id=space.id).order_by("-number").first()
        await WebhookDelivery.bulk_create(
            [
                WebhookDelivery(
                    id=uuid4(),
                    webhook_id=hook_id,
                    account_id=space.host_id,
                    space_id=space.id,
                    number=last.number + 1 if last else 1,
                    event=event,
                    body=body.decode(),
                    at=self._now,
                    due_at=None if hook_id in behind else self._now,
                    lapses_at=self._now + self._rules.webhook_retry_for,
                )
                for hook_id in ids
            ]
        )
        self.is_full = True

    def _recording_facts(self, recording: Recording, status: str) -> dict[str, Any]:
        return {
            "recordingId": global_id("Recording", recording.id),
            "status": status,
            "startedAt": _optional(recording.started_at),
            "endedAt": _optional(recording.ended_at),
            "durationMs": recording.duration_ms,
            "sizeBytes": recording.size_bytes,
            "expiresAt": _optional(recording.expires_at),
            "failureReason": failure_reason(recording, self._now),
        }

    async def _url(self, space: Space, card: TimelineItem | None) -> str | None:
        own = TimelineItem.filter(space_id=space.id).exclude(kind__in=list(SHARE_KINDS))
        card = card or await own.first()
        return self._links.url(f"/cards/{card.id}") if card else None


def _optional(at: datetime | None) -> str | None:
    return instant(at) if at else None


def _space_facts(space: Space) -> dict[str, Any]:
    return {
        "spaceId": global_id("Space", space.id),
        "state": space.state.value,
        "startedAt": _optional(space.started_at),
        "endedAt": _optional(space.ended_at),
    }


async def line_up(webhook_id: UUID, space_id: UUID, now: datetime) -> None:
    """Let the first that waits be due, and no other: after the line of a locked Space has changed."""
    line = WebhookDelivery.filter(webhook_id=webhook_id, space_id=space_id, state=DeliveryState.PENDING)
    first = await line.order_by("number").first()
    if first is None:
        return
    if first.due_at is None:
        await WebhookDelivery.filter(id=first.id).update(due_at=now)
    await line.filter(number__gt=first.number, due_at__isnull=False).update(due_at=None)
