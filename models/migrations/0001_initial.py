from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models.account import Suspension
from models.fields import InstantField
from models.participant import ParticipantRole
from models.payment import PaymentState
from models.recording import RecordingStatus
from models.report import ReportCategory, ReportState, SubjectKind
from models.review_decision import Decision
from models.rollout import RolloutStage
from models.space import Platform, SpaceState, SpeakerPolicy
from models.space_event import SpaceEventKind
from models.ticket import TicketStatus
from models.timeline_event import TimelineEventKind
from models.timeline_item import TimelineItemKind


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="AccessToken",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("name", fields.CharField(max_length=100)),
                ("scopes", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("secret_hash", fields.CharField(unique=True, max_length=64)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("expires_at", InstantField(null=True, generated=False, unique=False)),
                ("last_used_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "access_token",
                "app": "models",
                "indexes": [Index(fields=["account_id", "created_at"])],
                "pk_attr": "id",
                "table_description": "One token. Its row goes when it is revoked.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Account",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("handle", fields.CharField(max_length=30)),
                ("handle_key", fields.CharField(unique=True, max_length=40)),
                ("name", fields.CharField(max_length=100)),
                ("bio", fields.CharField(null=True, max_length=500)),
                ("password_hash", fields.CharField(max_length=200)),
                ("avatar_digest", fields.CharField(null=True, max_length=64)),
                ("is_moderator", fields.BooleanField(default=False)),
                ("records_by_default", fields.BooleanField(default=False)),
                (
                    "suspension",
                    fields.CharEnumField(
                        default=Suspension.NONE,
                        description="NONE: NONE\nRECORDING: RECORDING\nACCOUNT: ACCOUNT",
                        enum_type=Suspension,
                        max_length=12,
                    ),
                ),
                ("suspended_until", InstantField(null=True, generated=False, unique=False)),
                ("follower_count", fields.IntField(default=0)),
                ("following_count", fields.IntField(default=0)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("deleted_at", InstantField(null=True, generated=False, unique=False)),
                ("is_leaving", fields.BooleanField(default=False)),
            ],
            options={
                "table": "account",
                "app": "models",
                "indexes": [Index(fields=["is_leaving"])],
                "pk_attr": "id",
                "table_description": "One person. `handle_key` is the handle in lower case, unique for ever.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Appeal",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("recording_id", fields.UUIDField()),
                ("account_id", fields.UUIDField()),
                ("statement", fields.CharField(max_length=2000)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("closed_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "appeal",
                "app": "models",
                "indexes": [Index(fields=["recording_id", "closed_at"])],
                "pk_attr": "id",
                "table_description": "One statement of a host. It is open until `closed_at`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("at", InstantField(generated=False, null=False, unique=False)),
                ("actor_id", fields.UUIDField(null=True)),
                ("action", fields.CharField(max_length=40)),
                ("subject_kind", fields.CharField(max_length=20)),
                ("subject_id", fields.UUIDField()),
                ("outcome", fields.CharField(max_length=200)),
                ("number", fields.BigIntField(null=True, unique=True)),
                ("hash", fields.CharField(null=True, max_length=64)),
            ],
            options={
                "table": "audit_entry",
                "app": "models",
                "indexes": [
                    Index(fields=["subject_id", "at", "id"]),
                    Index(fields=["at", "id"]),
                    Index(fields=["hash"]),
                ],
                "pk_attr": "id",
                "table_description": "One act. It is written with the change and never altered.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Avatar",
            fields=[
                ("account_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("digest", fields.CharField(max_length=64)),
                ("picture", fields.BinaryField()),
                ("made_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "avatar",
                "app": "models",
                "pk_attr": "account_id",
                "table_description": "`digest` is the SHA-256 of `picture`, a JPEG, in hexadecimal.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Block",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("blocker_id", fields.UUIDField()),
                ("blocked_id", fields.UUIDField()),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "block",
                "app": "models",
                "unique_together": (("blocker_id", "blocked_id"),),
                "indexes": [Index(fields=["blocked_id"])],
                "pk_attr": "id",
                "table_description": "`blocker_id` and `blocked_id` see nothing of each other.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Follow",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("follower_id", fields.UUIDField()),
                ("followee_id", fields.UUIDField()),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "follow",
                "app": "models",
                "unique_together": (("follower_id", "followee_id"),),
                "indexes": [
                    Index(fields=["followee_id", "created_at", "id"]),
                    Index(fields=["follower_id", "created_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "`follower_id` sees the cards of `followee_id` on their timeline.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    fields.CharField(
                        primary_key=True,
                        unique=True,
                        db_index=True,
                        description="SHA-256 of person and key",
                        max_length=64,
                    ),
                ),
                ("fingerprint", fields.CharField(description="SHA-256 of the request", max_length=64)),
                ("claimed_at", InstantField(generated=False, null=False, unique=False)),
                ("expires_at", InstantField(generated=False, null=False, unique=False)),
                ("answer", fields.BinaryField(null=True)),
            ],
            options={
                "table": "idempotency_key",
                "app": "models",
                "indexes": [Index(fields=["expires_at"])],
                "pk_attr": "id",
                "table_description": "One person's key. `answer` is sealed, and null while the first request is under way.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LegalHold",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("recording_id", fields.UUIDField()),
                ("set_by", fields.UUIDField()),
                ("set_at", InstantField(generated=False, null=False, unique=False)),
                ("reason", fields.CharField(max_length=2000)),
                ("released_by", fields.UUIDField(null=True)),
                ("released_at", InstantField(null=True, generated=False, unique=False)),
                ("release_reason", fields.CharField(default="", max_length=2000)),
            ],
            options={
                "table": "legal_hold",
                "app": "models",
                "indexes": [Index(fields=["recording_id", "released_at"])],
                "pk_attr": "id",
                "table_description": "Who set it and why, and who released it and why. It stands until `released_at`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Listening",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("recording_id", fields.UUIDField()),
                ("key", fields.CharField(max_length=64)),
                ("at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "listening",
                "app": "models",
                "unique_together": (("recording_id", "key"),),
                "indexes": [Index(fields=["at"])],
                "pk_attr": "id",
                "table_description": "`key` names one viewer's listening (the media link it came by), it counts once.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Participant",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("space_id", fields.UUIDField()),
                ("account_id", fields.UUIDField()),
                (
                    "role",
                    fields.CharEnumField(
                        description="HOST: HOST\nCOHOST: COHOST\nSPEAKER: SPEAKER\nLISTENER: LISTENER",
                        enum_type=ParticipantRole,
                        max_length=8,
                    ),
                ),
                ("is_muted", fields.BooleanField(default=False)),
                ("is_speaking", fields.BooleanField(default=False)),
                ("hand_raised", fields.BooleanField(default=False)),
                ("is_connected", fields.BooleanField(default=False)),
                (
                    "platform",
                    fields.CharEnumField(
                        null=True,
                        description="IOS: IOS\nANDROID: ANDROID\nWEB: WEB\nAPI: API",
                        enum_type=Platform,
                        max_length=8,
                    ),
                ),
                ("joined_at", InstantField(generated=False, null=False, unique=False)),
                ("left_at", InstantField(null=True, generated=False, unique=False)),
                ("removed_at", InstantField(null=True, generated=False, unique=False)),
                ("acknowledged_at", InstantField(null=True, generated=False, unique=False)),
                ("acknowledged_version", fields.CharField(null=True, max_length=20)),
            ],
            options={
                "table": "participant",
                "app": "models",
                "unique_together": (("space_id", "account_id"),),
                "indexes": [Index(fields=["space_id", "joined_at", "id"]), Index(fields=["account_id"])],
                "pk_attr": "id",
                "table_description": "One person in one Space, leaving and coming back is the same row.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Payment",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("ticket_id", fields.UUIDField()),
                ("space_id", fields.UUIDField()),
                (
                    "state",
                    fields.CharEnumField(
                        default=PaymentState.OPEN,
                        description="OPEN: OPEN\nCLOSED: CLOSED\nPAID: PAID\nREFUNDING: REFUNDING\nREFUNDED: REFUNDED",
                        enum_type=PaymentState,
                        max_length=9,
                    ),
                ),
                ("amount_minor", fields.IntField()),
                ("currency", fields.CharField(max_length=3)),
                ("return_url", fields.CharField(max_length=2000)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("closes_at", InstantField(generated=False, null=False, unique=False)),
                ("checkout_id", fields.CharField(null=True, max_length=255)),
                ("checkout_url", fields.TextField(null=True, unique=False)),
                ("charge_id", fields.CharField(null=True, max_length=255)),
                ("attempts", fields.IntField(default=0)),
                ("next_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "payment",
                "app": "models",
                "indexes": [
                    Index(fields=["ticket_id"]),
                    Index(fields=["space_id", "state"]),
                    Index(fields=["next_at"]),
                ],
                "pk_attr": "id",
                "table_description": "`next_at` is when the provider is to be asked next, null when there is nothing to do.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PlaybackPosition",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("recording_id", fields.UUIDField()),
                ("position_ms", fields.IntField()),
                ("listened_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "playback_position",
                "app": "models",
                "unique_together": (("account_id", "recording_id"),),
                "pk_attr": "id",
                "table_description": "The position of the latest listening, by when it was listened, not by when it was told.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Process",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ("seen_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "process",
                "app": "models",
                "pk_attr": "name",
                "table_description": "After a crash, `seen_at` tells since when hosts have been without us.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PurgeReceipt",
            fields=[
                (
                    "recording_id",
                    fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True),
                ),
                ("purged_at", InstantField(generated=False, null=False, unique=False)),
                ("size_bytes", fields.BigIntField()),
                ("sha256", fields.CharField(max_length=64)),
                ("document", fields.TextField(unique=False)),
            ],
            options={
                "table": "purge_receipt",
                "app": "models",
                "pk_attr": "recording_id",
                "table_description": "One a purged recording. `document` is a compact JWS over the same facts.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Recording",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("space_id", fields.UUIDField(unique=True)),
                ("host_id", fields.UUIDField()),
                (
                    "status",
                    fields.CharEnumField(
                        default=RecordingStatus.ARMED,
                        description="ARMED: ARMED\nSTARTING: STARTING\nRECORDING: RECORDING\nINTERRUPTED: INTERRUPTED\nFINALIZING: FINALIZING\nAVAILABLE: AVAILABLE\nFAILED: FAILED\nEXPIRED: EXPIRED\nDELETED: DELETED\nTAKEN_DOWN: TAKEN_DOWN\nPURGED: PURGED",
                        enum_type=RecordingStatus,
                        max_length=12,
                    ),
                ),
                ("failure_reason", fields.CharField(null=True, max_length=200)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("started_at", InstantField(null=True, generated=False, unique=False)),
                ("ended_at", InstantField(null=True, generated=False, unique=False)),
                ("duration_ms", fields.IntField(default=0)),
                ("size_bytes", fields.BigIntField(default=0)),
                ("gaps", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("start_offset_ms", fields.IntField(default=0)),
                ("play_count", fields.IntField(default=0)),
                ("share_count", fields.IntField(default=0)),
                ("policy_version", fields.IntField()),
                ("has_open_case", fields.BooleanField(default=False)),
                ("case_deadline", InstantField(null=True, generated=False, unique=False)),
                ("is_held", fields.BooleanField(default=False)),
                ("is_ticketed", fields.BooleanField(default=False)),
                ("expires_at", InstantField(null=True, generated=False, unique=False)),
                ("gone_at", InstantField(null=True, generated=False, unique=False)),
                ("purge_at", InstantField(null=True, generated=False, unique=False)),
                ("purged_at", InstantField(null=True, generated=False, unique=False)),
                ("purge_bytes", fields.BigIntField(null=True)),
                ("purge_sha256", fields.CharField(null=True, max_length=64)),
                ("lease_owner", fields.CharField(null=True, max_length=40)),
                ("lease_until", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "recording",
                "app": "models",
                "indexes": [
                    Index(fields=["host_id", "created_at", "id"]),
                    Index(fields=["status", "expires_at"]),
                    Index(fields=["status", "purge_at"]),
                    Index(fields=["has_open_case", "case_deadline", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "`gone_at` is the instant from which nobody can play it, the review clock starts there.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Report",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                (
                    "subject_kind",
                    fields.CharEnumField(
                        description="RECORDING: RECORDING\nSPACE: SPACE\nUSER: USER",
                        enum_type=SubjectKind,
                        max_length=10,
                    ),
                ),
                ("subject_id", fields.UUIDField()),
                ("reporter_id", fields.UUIDField()),
                (
                    "category",
                    fields.CharEnumField(
                        description="ABUSE: ABUSE\nHATE: HATE\nVIOLENCE: VIOLENCE\nSELF_HARM: SELF_HARM\nCHILD_SAFETY: CHILD_SAFETY\nPRIVACY: PRIVACY\nSPAM: SPAM\nOTHER: OTHER",
                        enum_type=ReportCategory,
                        max_length=12,
                    ),
                ),
                ("reason", fields.CharField(max_length=2000)),
                (
                    "state",
                    fields.CharEnumField(
                        default=ReportState.OPEN,
                        description="OPEN: OPEN\nCLOSED: CLOSED",
                        enum_type=ReportState,
                        max_length=6,
                    ),
                ),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("closed_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "report",
                "app": "models",
                "indexes": [
                    Index(fields=["subject_id", "state"]),
                    Index(fields=["state", "created_at", "id"]),
                    Index(fields=["created_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "One person's report of a recording, a Space or a person.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RetentionPolicyRow",
            fields=[
                ("version", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("public_days", fields.IntField()),
                ("review_days", fields.IntField()),
                ("longest_review_days", fields.IntField()),
                ("since", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "retention_policy",
                "app": "models",
                "pk_attr": "version",
                "table_description": "One version. It is never altered, so that no running retention is shortened.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ReviewDecision",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("recording_id", fields.UUIDField()),
                ("moderator_id", fields.UUIDField()),
                (
                    "decision",
                    fields.CharEnumField(
                        description="CLEAR: CLEAR\nVIOLATION: VIOLATION", enum_type=Decision, max_length=10
                    ),
                ),
                ("note", fields.CharField(max_length=2000)),
                ("at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "review_decision",
                "app": "models",
                "indexes": [Index(fields=["recording_id", "at"])],
                "pk_attr": "id",
                "table_description": "One decision on one recording, with the moderator's note.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ReviewOpening",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("recording_id", fields.UUIDField()),
                ("moderator_id", fields.UUIDField()),
                ("reason", fields.CharField(max_length=2000)),
                ("at", InstantField(generated=False, null=False, unique=False)),
                ("disclosed_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "review_opening",
                "app": "models",
                "indexes": [Index(fields=["recording_id", "at"])],
                "pk_attr": "id",
                "table_description": "One moderator opened one review copy. The host is told once the case is closed.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Rollout",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=20)),
                (
                    "stage",
                    fields.CharEnumField(
                        default=RolloutStage.EVERYONE,
                        description="OFF: OFF\nLIMITED: LIMITED\nEVERYONE: EVERYONE",
                        enum_type=RolloutStage,
                        max_length=8,
                    ),
                ),
                ("platforms", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("percentage", fields.IntField(default=0)),
            ],
            options={
                "table": "rollout",
                "app": "models",
                "pk_attr": "id",
                "table_description": "There is one row, named `recording`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RolloutAllowed",
            fields=[
                ("account_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
            ],
            options={
                "table": "rollout_allowed",
                "app": "models",
                "pk_attr": "account_id",
                "table_description": "An account on the allow-list of stage LIMITED.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Sanction",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("moderator_id", fields.UUIDField()),
                (
                    "suspension",
                    fields.CharEnumField(
                        description="NONE: NONE\nRECORDING: RECORDING\nACCOUNT: ACCOUNT",
                        enum_type=Suspension,
                        max_length=12,
                    ),
                ),
                ("until", InstantField(null=True, generated=False, unique=False)),
                ("reason", fields.CharField(max_length=2000)),
                ("at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "sanction",
                "app": "models",
                "indexes": [Index(fields=["account_id", "at"])],
                "pk_attr": "id",
                "table_description": "One suspension, or its end (NONE).",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Session",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("token_hash", fields.CharField(unique=True, max_length=64)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("expires_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "session",
                "app": "models",
                "indexes": [Index(fields=["account_id"]), Index(fields=["expires_at"])],
                "pk_attr": "id",
                "table_description": "One sign-in, it ends when it expires or is revoked.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Space",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("host_id", fields.UUIDField()),
                ("title", fields.CharField(max_length=200)),
                ("description", fields.TextField(null=True, unique=False)),
                ("language", fields.CharField(null=True, max_length=35)),
                ("topics", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                (
                    "state",
                    fields.CharEnumField(
                        default=SpaceState.SCHEDULED,
                        description="SCHEDULED: SCHEDULED\nLIVE: LIVE\nENDED: ENDED\nCANCELED: CANCELED",
                        enum_type=SpaceState,
                        max_length=10,
                    ),
                ),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("scheduled_start", InstantField(null=True, generated=False, unique=False)),
                ("started_at", InstantField(null=True, generated=False, unique=False)),
                ("ended_at", InstantField(null=True, generated=False, unique=False)),
                ("host_lost_at", InstantField(null=True, generated=False, unique=False)),
                (
                    "speaker_policy",
                    fields.CharEnumField(
                        default=SpeakerPolicy.RAISED_HAND,
                        description="RAISED_HAND: RAISED_HAND\nFOLLOWED: FOLLOWED\nINVITED: INVITED",
                        enum_type=SpeakerPolicy,
                        max_length=12,
                    ),
                ),
                ("clips_allowed", fields.BooleanField(default=True)),
                ("recording_enabled", fields.BooleanField(default=False)),
                ("participant_count", fields.IntField(default=0)),
                ("total_listener_count", fields.IntField(default=0)),
                ("peak_listener_count", fields.IntField(default=0)),
                ("event_sequence", fields.BigIntField(default=0)),
                ("ticket_capacity", fields.IntField(null=True)),
                ("ticket_price_minor", fields.IntField(default=0)),
                ("ticket_currency", fields.CharField(default="USD", max_length=3)),
                ("tickets_sold", fields.IntField(default=0)),
            ],
            options={
                "table": "space",
                "app": "models",
                "indexes": [
                    Index(fields=["host_id", "created_at", "id"]),
                    Index(fields=["state", "created_at", "id"]),
                    Index(fields=["created_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "`event_sequence` numbers the Space's events and moves under the row's lock.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SpaceEvent",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("space_id", fields.UUIDField()),
                ("sequence", fields.BigIntField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="SNAPSHOT: SNAPSHOT\nCREATED: CREATED\nUPDATED: UPDATED\nSTARTED: STARTED\nENDED: ENDED\nCANCELED: CANCELED\nRECORDING_TOGGLED: RECORDING_TOGGLED\nRECORDING_STATUS_CHANGED: RECORDING_STATUS_CHANGED\nPARTICIPANT_JOINED: PARTICIPANT_JOINED\nPARTICIPANT_LEFT: PARTICIPANT_LEFT\nPARTICIPANT_REMOVED: PARTICIPANT_REMOVED\nROLE_CHANGED: ROLE_CHANGED\nMUTED_CHANGED: MUTED_CHANGED\nHAND_CHANGED: HAND_CHANGED",
                        enum_type=SpaceEventKind,
                        max_length=24,
                    ),
                ),
                ("at", InstantField(generated=False, null=False, unique=False)),
                ("participant_id", fields.UUIDField(null=True)),
                ("of_recording", fields.BooleanField(default=False)),
                ("facts", fields.JSONField(default=dict, encoder=JSON_DUMPS, decoder=loads)),
            ],
            options={
                "table": "space_event",
                "app": "models",
                "unique_together": (("space_id", "sequence"),),
                "indexes": [Index(fields=["at"])],
                "pk_attr": "id",
                "table_description": "`sequence` counts from 1 within the Space without holes. `facts` never change.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Ticket",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("space_id", fields.UUIDField()),
                ("account_id", fields.UUIDField()),
                (
                    "status",
                    fields.CharEnumField(
                        description="PENDING: PENDING\nISSUED: ISSUED\nREFUNDED: REFUNDED\nCANCELED: CANCELED",
                        enum_type=TicketStatus,
                        max_length=8,
                    ),
                ),
                ("recording_promised", fields.BooleanField(default=False)),
                ("payment_id", fields.UUIDField(null=True)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("held_until", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "ticket",
                "app": "models",
                "unique_together": (("space_id", "account_id"),),
                "indexes": [
                    Index(fields=["space_id", "status"]),
                    Index(fields=["account_id", "created_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "A PENDING ticket holds its seat until `held_until`. `payment_id` is the payment it waits for or was paid by.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TimelineEvent",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("at", InstantField(generated=False, null=False, unique=False)),
                (
                    "kind",
                    fields.CharEnumField(
                        description="SNAPSHOT: SNAPSHOT\nADDED: ADDED\nCHANGED: CHANGED\nREMOVED: REMOVED",
                        enum_type=TimelineEventKind,
                        max_length=8,
                    ),
                ),
                ("item_id", fields.UUIDField()),
                ("author_id", fields.UUIDField()),
                ("host_id", fields.UUIDField()),
                (
                    "public_kind",
                    fields.CharEnumField(
                        null=True,
                        description="SNAPSHOT: SNAPSHOT\nADDED: ADDED\nCHANGED: CHANGED\nREMOVED: REMOVED",
                        enum_type=TimelineEventKind,
                        max_length=8,
                    ),
                ),
            ],
            options={
                "table": "timeline_event",
                "app": "models",
                "indexes": [Index(fields=["at"]), Index(fields=["author_id", "id"])],
                "pk_attr": "id",
                "table_description": "One change of one card. `public_kind` is what anonymous timelines hear of it, None for nothing.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TimelineItem",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                (
                    "kind",
                    fields.CharEnumField(
                        description="SPACE_SCHEDULED: SPACE_SCHEDULED\nSPACE_LIVE: SPACE_LIVE\nSPACE_ENDED: SPACE_ENDED\nSPACE_SHARED: SPACE_SHARED\nRECORDING_SHARED: RECORDING_SHARED",
                        enum_type=TimelineItemKind,
                        max_length=16,
                    ),
                ),
                ("author_id", fields.UUIDField()),
                ("host_id", fields.UUIDField()),
                ("space_id", fields.UUIDField()),
                ("recording_id", fields.UUIDField(null=True)),
                ("comment", fields.CharField(null=True, max_length=1000)),
                ("start_ms", fields.IntField(default=0)),
                ("is_public", fields.BooleanField(default=False)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("activity_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "timeline_item",
                "app": "models",
                "indexes": [
                    Index(fields=["author_id", "activity_at", "id"]),
                    Index(fields=["is_public", "activity_at", "id"]),
                    Index(fields=["space_id", "author_id"]),
                ],
                "pk_attr": "id",
                "table_description": "`is_public` puts the card on the timeline of those who have not signed in.",
            },
            bases=["Model"],
        ),
    ]
