"""Who may see and do what: every field and mutation of the served schema, a letter for each of the people.

The letters stand in the order of `PEOPLE`: anonymous, listener, speaker, co-host, host, another host, blocked by the
host, ticket holder, moderator, deleted account (with the token it had). Whatever is looked at is the host's; listener,
speaker and co-host are those of the host's Spaces, and `another host` listens there too.

    +    is told, or may        A  UNAUTHENTICATED
    0    null or empty          F  FORBIDDEN
    y n  a viewer's own         N  NOT_FOUND
         yes or no              T  TICKET_REQUIRED
    .    the object itself      C  CONFLICT, I  INVALID_INPUT: it is no question of right,
         is not told               but makes no sense for this person

`permission_places.py` says where each is met. This is rendered as docs/permissions.md:
`.venv/bin/python -m tests.product.permission_page > docs/permissions.md`.
"""

# Types that carry what others show, and nothing of their own, by the end of their names.
STRUCTURE = ("Connection", "Edge", "Payload", "PageInfo", "UserError")

# fmt: off
#    anonymous, listener, speaker, cohost, host, another host, blocked, ticket holder, moderator, deleted
FIELDS: dict[str, dict[str, str]] = {
    "User": {
        "++++++.++A": "id handle name bio avatarUrl followerCount followingCount followers following spaces",
        "nnynnn.nnA": "viewerFollows",
        "nnnnnn.nnA": "viewerBlocks",
    },
    "User, who left": {
        "+++++++++A": "id handle name followerCount followingCount",
        "000000000A": "bio avatarUrl followers following spaces",
        "nnnnnnnnnA": "viewerFollows viewerBlocks",
    },
    "Viewer": {
        ".++++++++A": "user isModerator recordsByDefault recordingEligibility accessTokens webhooks",
        ".000000+0A": "tickets",
        ".0000+000A": "invitations",
        ".000+0000A": "recordings",
        ".0++++0+0A": "notifications",
    },
    "Webhook": {
        ".++++++++A": "id url events createdAt",
        ".000+0000A": "deliveries",
    },
    "WebhookDelivery": {
        "....+....A": "id event state attempts at",
        "....0....A": "lastStatusCode",
    },
    "RecordingEligibility": {
        ".++++++++A": "allowed reason",
    },
    "AccessToken": {
        ".++++++++A": "id name scopes createdAt",
        ".00000000A": "expiresAt lastUsedAt",
    },
    "Space, live": {
        "++++++.++A": (
            "id title description language topics state host cohosts createdAt scheduledStart "
            "startedAt endsAt speakerPolicy clipsAllowed recordingEnabled isRecording consent "
            "recording participantCount totalListenerCount peakListenerCount reminderCount live "
            "participants"
        ),
        "000000.00A": "endedAt durationMs ticketing viewerTicket",
        "nnnnnn.nnA": "viewerHasReminder",
        "0+++++.0+A": "viewerParticipation",
    },
    "Space, ticketed": {
        "++++++.++A": (
            "id title description language topics state host cohosts createdAt scheduledStart "
            "startedAt endedAt durationMs speakerPolicy clipsAllowed recordingEnabled isRecording consent "
            "recording participantCount totalListenerCount peakListenerCount ticketing reminderCount "
            "participants"
        ),
        "000000.00A": "endsAt live",
        "000000.+0A": "viewerTicket",
        "nnnnnn.nnA": "viewerHasReminder",
        "00+++0.+0A": "viewerParticipation",
    },
    "RecordingConsent": {
        "++++++.++A": "version text",
    },
    "Ticketing": {
        "++++++.++A": "price capacity sold",
    },
    "Money": {
        "++++++.++A": "amountMinor currency",
    },
    "Ticket": {
        ".......+.A": "id space status createdAt",
    },
    "Participant, who listens": {
        ".+.++....A": "id user role isMuted isSpeaking handRaised joinedAt platform",
        ".0.00....A": "leftAt",
        ".+.0+....A": "recordingAcknowledgedAt",
    },
    "Participant, who speaks": {
        "++++++.++A": "id user role isMuted isSpeaking handRaised joinedAt",
        "000000.00A": "leftAt",
        "00+++0.00A": "platform",
        "00+0+0.0+A": "recordingAcknowledgedAt",
    },
    "Recording, playable": {
        "++++++.++A": (
            "id space status startedAt endedAt durationMs sizeBytes gaps expiresAt startOffsetMs "
            "playback playCount shareCount clips speakerTurns waveform"
        ),
        "000000.00A": "failureReason reviewOpenings appeals",
        "0000+0.00A": "download archive",
        "yyyyyy.yyA": "viewerCanPlay",
        "nyyyyy.yyA": "viewerCanShare",
        "nnnnyn.nnA": "viewerCanDelete",
        "0+++++.++A": "viewerPositionMs",
        "0000+0.0+A": "retention",
    },
    "Recording, ticketed": {
        "++++++.++A": (
            "id space status startedAt endedAt durationMs sizeBytes expiresAt startOffsetMs playCount "
            "shareCount clips"
        ),
        "000000.00A": "failureReason gaps viewerPositionMs reviewOpenings appeals speakerTurns",
        "00+++0.++A": "playback waveform",
        "0000+0.00A": "download archive",
        "nnyyyn.yyA": "viewerCanPlay viewerCanShare",
        "nnnnyn.nnA": "viewerCanDelete",
        "0000+0.0+A": "retention",
    },
    "Recording, purged": {
        "++++++.++A": (
            "id space status startedAt endedAt durationMs sizeBytes expiresAt startOffsetMs playCount "
            "shareCount"
        ),
        "000000.00A": (
            "failureReason gaps playback download archive viewerPositionMs clips speakerTurns "
            "waveform"
        ),
        "nnnnnn.nnA": "viewerCanPlay viewerCanShare viewerCanDelete",
        "0000+0.0+A": "retention reviewOpenings appeals",
    },
    "RecordingGap": {
        "++++++.++A": "startMs endMs cause",
    },
    "SpeakerTurn": {
        "++++++.++A": "user startMs endMs",
    },
    "MediaLink, playback": {
        "++++++.++A": "url mimeType expiresAt",
    },
    "MediaLink, ticketed playback": {
        "..+++..++A": "url mimeType expiresAt",
    },
    "MediaLink, download": {
        "....+....A": "url mimeType expiresAt",
    },
    "MediaLink, live": {
        "++++++.++A": "url mimeType expiresAt",
    },
    "Retention": {
        "....0...0A": "publicUntil reviewUntil",
        "....0...+A": "isHeld",
        "....+...+A": "policyVersion receipt",
    },
    "Retention, playable": {
        "....+...+A": "publicUntil policyVersion",
        "....0...0A": "reviewUntil receipt",
        "....0...+A": "isHeld",
    },
    "PurgeReceipt": {
        "....+...+A": "purgedAt sizeBytes sha256 document",
    },
    "ReviewOpening": {
        "....+...+A": "at reason",
    },
    "Appeal": {
        "....+...+A": "statement createdAt closedAt",
    },
    "Invitation": {
        "....++...A": "id space user role createdAt",
    },
    "Clip": {
        "++++++.++A": "id recording author startMs endMs title createdAt playback",
    },
    "Clip, ticketed": {
        "++++++.++A": "id recording author startMs endMs title createdAt",
        "00+++0.++A": "playback",
    },
    "Notification": {
        "..++++.+.A": "id kind at space message",
        "..00+0.0.A": "recording",
        "..0000.+.A": "ticket",
        "..++0+.0.A": "invitation",
    },
    "TimelineItem, a clip": {
        "++++++.++A": "id kind author createdAt activityAt space recording clip startMs url",
        "000000.00A": "comment",
        "nnnynn.nnA": "viewerCanDelete",
    },
    "TimelineItem": {
        "++++++.++A": "id kind author createdAt activityAt comment space recording startMs url",
        "000000.00A": "clip",
        "nnnnyn.nnA": "viewerCanDelete",
    },
    "Moderation": {
        "........0A": "reviewQueue rolloutAllowedHandles",
        "........+A": "reports auditLog retentionForecast",
    },
    "RetentionForecastDay": {
        "........+A": "date expiring purging purgingBytes held",
    },
    "Report": {
        ".+......+A": "id subject category reason state createdAt",
    },
    "AuditEntry": {
        "........+A": "id at actorId action subjectId outcome",
        "........0A": "hash",
    },
    "RecordingRollout": {
        "+++++++++A": "stage platforms percentage",
    },
    "SpaceChanged": {
        "++++++N++A": "cursor at kind space",
    },
    "RecordingToggled": {
        "++++++N++A": "cursor at kind space enabled",
    },
    "RecordingStatusChanged": {
        "++++++N++A": "cursor at kind space from to",
    },
    "ParticipantChanged": {
        "++++++N++A": "cursor at kind space participant toRole",
        "000000N00A": "fromRole",
    },
    "RecordingStatusEvent": {
        "++++++N++A": "cursor at spaceId isRecording status durationMs sizeBytes recording",
    },
    "TimelineEvent": {
        "+++++++++A": "cursor at kind",
        "000000000A": "itemId item",
    },
}

ROOT_CELLS: dict[str, str] = {
    "Query.node": "++++++0++A",
    "Query.node, a listener's participation": "0+0++0000A",
    "Query.node, an access token of the host": "0000+0000A",
    "Query.node, a webhook of the host": "0000+0000A",
    "Query.nodes": "++++++0++A",
    "Query.viewer": "0++++++++A",
    "Query.user": "++++++0++A",
    "Query.users": "+++++++++A",
    "Query.space": "++++++0++A",
    "Query.recording": "++++++0++A",
    "Query.spaces": "++++++0++A",
    "Query.timeline": "+0+++0000A",
    "Query.spaceEvents": "++++++N++A",
    "Query.rollout": "+++++++++A",
    "Query.moderation": "00000000+A",
    "Subscription.recordingStatus": "++++++N++A",
    "Subscription.spaceUpdates": "++++++N++A",
    "Subscription.notifications, after a wrong cursor": "AIIIIIIIIA",
    "Subscription.timelineUpdates": "+++++++++A",
}

CHANGE_CELLS: dict[str, str] = {
    "signUp": "+++++++++A",
    "signIn": "+++++++++A",
    "signOut": "A++++++++A",
    "updateAccount": "A++++++++A",
    "changePassword": "A++++++++A",
    "exportAccount": "A++++++++A",
    "follow": "A+++I+N++A",
    "unfollow": "A+++++N++A",
    "createSpace": "A++++++++A",
    "updateSpace": "AFFF+FNFFA",
    "toggleRecording": "AFFF+FNFFA",
    "cancelSpace": "AFFF+FNFFA",
    "purchaseTicket": "A+++C+N++A",
    "joinSpace": "A+++++N++A",
    "acknowledgeRecording": "A+++++N++A",
    "raiseHand": "A+CCC+N++A",
    "setParticipantRole": "AFF++FNFFA",
    "invite": "AFF++FNFFA",
    "invite, a co-host": "AFFF+FNFFA",
    "respondToInvitation": "ANNNN+NNNA",
    "removeParticipant": "AFF++FNFFA",
    "block": "A++++++++A",
    "unblock": "A++++++++A",
    "setMuted": "AF+++FNFFA",
    "trimRecording": "AFFF+FNFFA",
    "savePlaybackPosition": "A+++++N++A",
    "savePlaybackPosition, ticketed": "AT+++TN++A",
    "shareSpace": "A+++++N++A",
    "shareSpace, ticketed": "AT+++TN++A",
    "shareRecording": "A+++++N++A",
    "shareRecording, ticketed": "AT+++TN++A",
    "createClip": "A+++++N++A",
    "createClip, ticketed": "AT+++TN++A",
    "deleteClip": "AFFF++NFFA",
    "deleteClip, one's own": "A+++++N++A",
    "setReminder": "A+++++N++A",
    "deleteShare": "AFFF+FNFFA",
    "deleteShare, one's own": "A+++++N++A",
    "deleteRecording": "AFFF+FNFFA",
    "report": "A+++++N++A",
    "appeal": "AFFF+FNFFA",
    "reviewRecording": "AFFFFFFF+A",
    "setLegalHold": "AFFFFFFF+A",
    "openReviewCopy": "AFFFFFFF+A",
    "suspendAccount": "AFFFFFFF+A",
    "updateRollout": "AFFFFFFF+A",
    "createAccessToken": "A++++++++A",
    "revokeAccessToken": "ANNN+NNNNA",
    "revokeAccessToken, one's own": "A++++++++A",
    "createWebhook": "A++++++++A",
    "updateWebhook": "ANNN+NNNNA",
    "updateWebhook, one's own": "A++++++++A",
    "rotateWebhookSecret": "ANNN+NNNNA",
    "rotateWebhookSecret, one's own": "A++++++++A",
    "redeliverWebhook": "ANNN+NNNNA",
    "deleteWebhook": "ANNN+NNNNA",
    "deleteWebhook, one's own": "A++++++++A",
    "leaveSpace": "A+++++N++A",
    "endSpace": "AFFF+FNF+A",
    "startSpace": "AFFF+FNFFA",
    "deleteAccount": "A++++++++A",
}
# fmt: on
