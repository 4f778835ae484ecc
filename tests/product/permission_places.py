"""Where each type of the permission table is met, and what is asked for at each change."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from tests.product.permission_cells import Given, Place
from tests.product.permission_town import NOWHERE, PASSWORD, World

_SPACE = "query { space(id: $live$) % }"
_ENDED = "query { recording(id: $ended recording$) % }"
_GONE = "query { recording(id: $gone recording$) % }"
_EVENTS = "query { spaceEvents(spaceId: $live$) { edges { node % } } }"

# Where an object of each type is met. What stands after a comma tells cases of one type apart.
PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "User": Place("User", 'query { user(handle: "host") % }'),
        "User, who left": Place("User", "query { node(id: $left$) % }"),
        "Viewer": Place("Viewer", "query { viewer % }"),
        "RecordingEligibility": Place("RecordingEligibility", "query { viewer { recordingEligibility % } }"),
        "AccessToken": Place("AccessToken", "query { viewer { accessTokens % } }"),
        "Webhook": Place("Webhook", "query { viewer { webhooks % } }"),
        "WebhookDelivery": Place("WebhookDelivery", "query { node(id: $delivery$) % }"),
        "Space, live": Place("Space", _SPACE),
        "Space, ticketed": Place("Space", "query { space(id: $ticketed$) % }"),
        "RecordingConsent": Place("RecordingConsent", "query { space(id: $live$) { consent % } }"),
        "Ticketing": Place("Ticketing", "query { space(id: $ticketed$) { ticketing % } }"),
        "Money": Place("Money", "query { space(id: $ticketed$) { ticketing { price % } } }"),
        "Ticket": Place("Ticket", "query { space(id: $ticketed$) { viewerTicket % } }"),
        "Participant, who listens": Place("Participant", "query { node(id: $listening$) % }"),
        "Participant, who speaks": Place("Participant", "query { node(id: $speaking$) % }"),
        "Recording, playable": Place("Recording", _ENDED),
        "Recording, ticketed": Place("Recording", "query { recording(id: $ticketed recording$) % }"),
        "Recording, purged": Place("Recording", _GONE),
        "RecordingGap": Place("RecordingGap", "query { recording(id: $ended recording$) { gaps % } }"),
        "SpeakerTurn": Place(
            "SpeakerTurn",
            "query { recording(id: $ended recording$) { speakerTurns { edges { node % } } } }",
        ),
        "MediaLink, playback": Place(
            "MediaLink", "query { recording(id: $ended recording$) { playback % } }"
        ),
        "MediaLink, ticketed playback": Place(
            "MediaLink", "query { recording(id: $ticketed recording$) { playback % } }"
        ),
        "MediaLink, download": Place(
            "MediaLink", "query { recording(id: $ended recording$) { download % } }"
        ),
        "MediaLink, live": Place("MediaLink", "query { space(id: $live$) { live % } }"),
        "Retention": Place("Retention", "query { recording(id: $gone recording$) { retention % } }"),
        "Retention, playable": Place(
            "Retention", "query { recording(id: $ended recording$) { retention % } }"
        ),
        "PurgeReceipt": Place(
            "PurgeReceipt", "query { recording(id: $gone recording$) { retention { receipt % } } }"
        ),
        "ReviewOpening": Place(
            "ReviewOpening", "query { recording(id: $gone recording$) { reviewOpenings % } }"
        ),
        "Appeal": Place("Appeal", "query { recording(id: $gone recording$) { appeals % } }"),
        "Invitation": Place("Invitation", "query { node(id: $invitation$) % }"),
        "Clip": Place("Clip", "query { node(id: $ended clip$) % }"),
        "Clip, ticketed": Place("Clip", "query { node(id: $ticketed clip$) % }"),
        "Notification": Place("Notification", "query { viewer { notifications { edges { node % } } } }"),
        "TimelineItem, a clip": Place("TimelineItem", "query { node(id: $ended clip card$) % }"),
        "TimelineItem": Place("TimelineItem", "query { node(id: $share$) % }"),
        "Moderation": Place("Moderation", "query { moderation % }"),
        "RetentionForecastDay": Place("RetentionForecastDay", "query { moderation { retentionForecast % } }"),
        "Report": Place("Report", "query { node(id: $report$) % }"),
        "AuditEntry": Place("AuditEntry", "query { node(id: $audit entry$) % }"),
        "RecordingRollout": Place("RecordingRollout", "query { rollout % }"),
        "SpaceChanged": Place("SpaceChanged", _EVENTS),
        "RecordingToggled": Place(
            "RecordingToggled", "query { spaceEvents(spaceId: $toggled$) { edges { node % } } }"
        ),
        "RecordingStatusChanged": Place(
            "RecordingStatusChanged", "query { spaceEvents(spaceId: $ended$) { edges { node % } } }"
        ),
        "ParticipantChanged": Place("ParticipantChanged", _EVENTS),
        "RecordingStatusEvent": Place(
            "RecordingStatusEvent", "subscription { recordingStatus(spaceId: $live$) % }"
        ),
        "TimelineEvent": Place("TimelineEvent", "subscription { timelineUpdates % }"),
    }
)

ROOTS: Mapping[str, str] = MappingProxyType(
    {
        "Query.node": "query { node(id: $live$) { id } }",
        "Query.node, a listener's participation": "query { node(id: $listening$) { id } }",
        "Query.node, an access token of the host": "query { node(id: $token$) { id } }",
        "Query.node, a webhook of the host": "query { node(id: $webhook$) { id } }",
        "Query.nodes": "query { nodes(ids: [$live$]) { id } }",
        "Query.viewer": "query { viewer { isModerator } }",
        "Query.user": 'query { user(handle: "host") { id } }',
        "Query.users": 'query { users(text: "host") { edges { cursor } } }',
        "Query.space": "query { space(id: $live$) { id } }",
        "Query.recording": "query { recording(id: $ended recording$) { id } }",
        "Query.spaces": "query { spaces { edges { cursor } } }",
        "Query.timeline": "query { timeline { edges { cursor } } }",
        "Query.spaceEvents": "query { spaceEvents(spaceId: $live$) { edges { cursor } } }",
        "Query.rollout": "query { rollout { stage } }",
        "Query.moderation": "query { moderation { reviewQueue { edges { cursor } } } }",
        "Subscription.recordingStatus": "subscription { recordingStatus(spaceId: $live$) { cursor } }",
        "Subscription.spaceUpdates": "subscription { spaceUpdates(spaceId: $live$) { cursor } }",
        "Subscription.notifications, after a wrong cursor": 'subscription { notifications(after: "none") { cursor } }',
        "Subscription.timelineUpdates": "subscription { timelineUpdates { cursor } }",
    }
)


def _with(**fields: Any) -> Given:
    """Fields that are the same for everybody, but for what stands behind a `$`: a person, a thing, or one made anew."""

    async def given(world: World, who: str) -> Mapping[str, Any]:
        return {name: await _thing(world, who, value) for name, value in fields.items()}

    return given


async def _handle(_world: World, who: str) -> str:
    return f"new_{who.replace(' ', '_')}"


async def _stranger(world: World, _who: str) -> str:
    return (await world.newcomer()).id


# What is made for each cell.
_MADE: Mapping[str, Callable[[World, str], Awaitable[Any]]] = MappingProxyType(
    {
        "$new_space": lambda world, _who: world.scheduled(),
        "$new_recording": lambda world, _who: world.recording(),
        "$new_deleted": lambda world, _who: world.deleted(),
        "$new_taken_down": lambda world, _who: world.taken_down(),
        "$new_share": lambda world, who: world.share_of(who),
        "$new_clip": lambda world, who: world.clip_of(who),
        "$strange_clip": lambda world, _who: world.clip_of("another host"),
        "$new_token": lambda world, who: world.token_of(who),
        "$new_webhook": lambda world, who: world.webhook_of(who),
        "$strange_webhook": lambda world, _who: world.webhook_of("host"),
        "$running": lambda world, who: world.running(who),
        "$again": lambda world, who: world.again(who),
        "$handle": _handle,
        "$somebody": _stranger,
        "$guest": lambda world, _who: world.guest(),
    }
)


async def _thing(world: World, who: str, value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value in _MADE:
        return await _MADE[value](world, who)
    name = value[1:]
    return world.people[name].id if name in world.people else world.things[name]


_NEW = {"title": "Another talk"}
# In this order: what a row changes for the next ones stands behind them.
CHANGES: Mapping[str, Given] = MappingProxyType(
    {
        "signUp": _with(handle="$handle", name="New", password=PASSWORD),
        "signIn": _with(handle="host", password=PASSWORD),
        "signOut": _with(by="$again"),
        "updateAccount": _with(bio="Hello."),
        "changePassword": _with(currentPassword=PASSWORD, newPassword=PASSWORD),
        "exportAccount": _with(),
        "follow": _with(userId="$host"),
        "unfollow": _with(userId="$host"),
        "createSpace": _with(**_NEW),
        "updateSpace": _with(spaceId="$live", title="Renamed"),
        "toggleRecording": _with(spaceId="$new_space", enabled=True),
        "cancelSpace": _with(spaceId="$new_space"),
        "purchaseTicket": _with(spaceId="$on sale"),
        "joinSpace": _with(spaceId="$live"),
        "acknowledgeRecording": _with(spaceId="$live", consentVersion="1"),
        "raiseHand": _with(spaceId="$live", raised=True),
        "setParticipantRole": _with(spaceId="$live", userId="$listener", role="SPEAKER"),
        "invite": _with(spaceId="$live", userId="$somebody", role="SPEAKER"),
        "invite, a co-host": _with(spaceId="$live", userId="$somebody", role="COHOST"),
        "respondToInvitation": _with(invitationId="$invitation", accept=False),
        "removeParticipant": _with(spaceId="$live", userId="$guest"),
        "block": _with(userId="$somebody"),
        "unblock": _with(userId="$somebody"),
        "setMuted": _with(spaceId="$live", userId="$speaker", muted=True),
        "trimRecording": _with(recordingId="$ended recording", startOffsetMs=0),
        "savePlaybackPosition": _with(recordingId="$ended recording", positionMs=5),
        "savePlaybackPosition, ticketed": _with(recordingId="$ticketed recording", positionMs=5),
        "shareSpace": _with(spaceId="$ended"),
        "shareSpace, ticketed": _with(spaceId="$ticketed"),
        "shareRecording": _with(recordingId="$ended recording"),
        "shareRecording, ticketed": _with(recordingId="$ticketed recording"),
        "createClip": _with(recordingId="$ended recording", startMs=0, endMs=500, title="Tea"),
        "createClip, ticketed": _with(recordingId="$ticketed recording", startMs=0, endMs=500, title="Tea"),
        "deleteClip": _with(clipId="$strange_clip"),
        "deleteClip, one's own": _with(clipId="$new_clip"),
        "setReminder": _with(spaceId="$new_space", enabled=True),
        "deleteShare": _with(itemId="$share"),
        "deleteShare, one's own": _with(itemId="$new_share"),
        "deleteRecording": _with(recordingId="$new_recording"),
        "report": _with(subjectId="$ended recording", category="SPAM", reason="Soap."),
        "appeal": _with(recordingId="$new_taken_down", statement="It was no soap."),
        "reviewRecording": _with(recordingId="$ended recording", decision="CLEAR", note="No soap."),
        "setLegalHold": _with(recordingId="$new_recording", held=True, reason="A case."),
        "openReviewCopy": _with(recordingId="$new_deleted", reason="A case."),
        "suspendAccount": _with(userId="$somebody", suspension="RECORDING", reason="Soap."),
        "updateRollout": _with(percentage=50),
        "createAccessToken": _with(name="Another", scopes=["READ"]),
        "revokeAccessToken": _with(accessTokenId="$token"),
        "revokeAccessToken, one's own": _with(accessTokenId="$new_token"),
        "createWebhook": _with(url=NOWHERE, events=["SPACE_STARTED"]),
        "updateWebhook": _with(webhookId="$webhook", events=["SPACE_ENDED"]),
        "updateWebhook, one's own": _with(webhookId="$new_webhook", url=NOWHERE),
        "rotateWebhookSecret": _with(webhookId="$webhook"),
        "rotateWebhookSecret, one's own": _with(webhookId="$new_webhook"),
        "redeliverWebhook": _with(deliveryId="$delivery"),
        "deleteWebhook": _with(webhookId="$strange_webhook"),
        "deleteWebhook, one's own": _with(webhookId="$new_webhook"),
        "leaveSpace": _with(spaceId="$live"),
        "endSpace": _with(spaceId="$running"),
        "startSpace": _with(spaceId="$lone"),
        "deleteAccount": _with(password=PASSWORD),
    }
)
