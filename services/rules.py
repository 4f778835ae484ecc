"""The numbers of the product. Each is a setting; these are the defaults."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long recordings live. A recording remembers the version that it began under."""

    version: int = 1
    public_for: timedelta = timedelta(days=30)
    review_for: timedelta = timedelta(days=30)
    longest_review_for: timedelta = timedelta(days=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits and windows that the services apply."""

    session_for: timedelta = timedelta(days=365)
    rate_limits: bool = True
    sign_ups_per_hour: int = 20
    failed_sign_ins: int = 10
    password_hash_mib: int = 19
    failed_sign_ins_within: timedelta = timedelta(minutes=15)
    # How fresh a provider's token must be where others tell their password.
    proven_within: timedelta = timedelta(minutes=10)
    access_tokens: int = 100
    webhooks: int = 20
    webhook_retry_for: timedelta = timedelta(hours=24)
    webhook_overlap: timedelta = timedelta(hours=24)
    webhook_deliveries_kept: timedelta = timedelta(days=30)
    schedule_ahead: timedelta = timedelta(days=14)
    unlaunched_after: timedelta = timedelta(hours=24)
    reconnect_window: timedelta = timedelta(seconds=60)
    longest_space: timedelta = timedelta(hours=12)
    longest_space_notice: timedelta = timedelta(minutes=10)
    empty_for: timedelta = timedelta(minutes=5)
    present_for: timedelta = timedelta(seconds=60)
    cohosts: int = 2
    speakers: int = 10
    live_waits: int = 1000
    disk_floor_bytes: int = 0
    quiet_above_people: int = 100
    longest_clip_ms: int = 30_000
    reminder_ahead: timedelta = timedelta(minutes=10)
    expiring_ahead: timedelta = timedelta(days=3)
    private_push: bool = False
    notices_lapse_after: timedelta = timedelta(hours=24)
    link_slack: timedelta = timedelta(minutes=15)
    answers_kept: timedelta = timedelta(hours=24)
    events_kept: timedelta = timedelta(days=30)
    ticket_hold: timedelta = timedelta(minutes=35)
    export_link_for: timedelta = timedelta(hours=1)
    lease_for: timedelta = timedelta(seconds=60)
    leap_believed_after: timedelta = timedelta(hours=1)
    reconcile_every: timedelta = timedelta(days=1)
    status_tick: timedelta = timedelta(milliseconds=900)
    consent_version: str = "1"
    consent_text: str = (
        "This Space is recorded. Your voice will be part of a recording that anyone may play and share for"
        " 30 days after the Space ends. The host can delete it at any time; after that a sealed copy is kept"
        " for 30 to 120 days so that abuse can be looked into, and is then destroyed."
    )
    retention: RetentionPolicy = RetentionPolicy()
