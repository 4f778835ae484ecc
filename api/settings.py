"""Settings: the environment, read here and nowhere else. Each says what changing it costs."""

import os
from datetime import timedelta
from difflib import get_close_matches
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from api.guard_settings import GuardSettings
from api.ice import IceLink
from api.openid_settings import OpenIdProvider
from api.store_settings import StoreSettings
from api.webhook_settings import WebhookSettings
from media.limits import EngineLimits
from models.location import sqlite_url
from services.mail_security import MailSecurity
from services.rules import RetentionPolicy, Rules

_RULES = Rules()
# As alike as a name is to itself with a letter too few in ten, or two that changed places.
_NEAR = 0.85
_ANYWHERE = frozenset({"0.0.0.0", "::", ""})


Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def misnamed() -> list[tuple[str, str]]:
    """Variables that begin like a setting and are none, each with the setting that may be meant, or nothing."""
    prefix = Settings.model_config["env_prefix"]
    settings = [name.upper() for name in Settings.model_fields]
    wrong = sorted(
        {name.removeprefix(prefix) for name in os.environ if name.startswith(prefix)} - {*settings}
    )
    meant = [get_close_matches(name, settings, 1, _NEAR) for name in wrong]
    return [
        (prefix + name, prefix + near[0] if near else "") for name, near in zip(wrong, meant, strict=True)
    ]


class NoSecrets(Exception):
    """The folder of secrets is not there."""


class Settings(GuardSettings, WebhookSettings, StoreSettings):
    """Every setting is an environment variable with the prefix SPACES_."""

    model_config = SettingsConfigDict(
        env_prefix="SPACES_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of database, keys, logs and recordings. Whoever reads it hears everything.",
    )
    secrets_dir: str = Field(
        default="",
        description="Folder of files that are named like settings and hold their values, for secrets: variables show"
        " in process lists. A variable counts before its file.",
    )
    database_url: str = Field(
        default="",
        description="Database URL, sqlite:// or postgres://; empty is SQLite in the data folder. SQLite serves one"
        " server process. `spaces move` brings rows over when it changes.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. 0.0.0.0 opens it to the network: put a TLS proxy in front.",
    )
    port: int = Field(default=8000, ge=1, le=65535, description="TCP port to listen on.")
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="API processes of `spaces serve` on the one port; more than one needs PostgreSQL. About one a core:"
        " each takes 150 MB and its own database connections.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of the proxies in front, parted by commas; empty trusts none. Only they may"
        " say by X-Forwarded-For who asks: unlisted, all behind a proxy share one address's limits; listed too"
        " widely, anyone may pretend to be another.",
    )
    public_url: str = Field(
        default="",
        description="Where people reach this server; default from host and port. Every link is built on it: a wrong"
        " one breaks playback. With a path (https://example.org/spaces) the proxy takes the path off; browser client"
        " and GraphiQL page need a host name of their own.",
    )
    ice_address: str = Field(
        default="",
        description="Address told to publishers for audio. Empty takes the host if it is one address, else every"
        " address of the machine but loopback. Behind NAT: the outer address.",
    )
    ice_servers: tuple[str, ...] = Field(
        default=(),
        repr=False,
        description="STUN or TURN URLs of this side, as a JSON list. Each is asked at every publish.",
    )
    ice_links: tuple[IceLink, ...] = Field(
        default=(),
        repr=False,
        description="STUN and TURN servers told to clients of WHIP and WHEP as Link headers, as a JSON list of"
        ' {"url": "turn:…", "username": "…", "credential": "…"}. Everyone who may speak learns the credentials.',
    )
    log_level: str = Field(
        default="INFO",
        pattern="(?i)^(debug|info|warning|error)$",
        description="DEBUG, INFO, WARNING or ERROR. DEBUG writes a lot.",
    )
    traces: bool = Field(
        default=False,
        description="True sends traces from request to SQL by OTLP over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT and"
        " the other standard variables of OpenTelemetry say. Needs the extra `traces`. Each request costs more.",
    )
    compiled_operations: bool = Field(
        default=True,
        description="False sends every operation through the ordinary executor, which answers the same and costs more.",
    )
    worker_interval_s: Seconds = Field(
        default=15.0,
        description="Seconds between rounds of the clockwork. Longer: purges come later, reads stay right.",
    )
    clock_leap_minutes: int = Field(
        default=_RULES.leap_believed_after // timedelta(minutes=1),
        ge=0,
        description="Minutes for which a leap of the wall clock ahead must stand before anything expires or is purged"
        " by it. 0: at once; then a clock that is set wrong destroys. Longer: purges come later after a suspend.",
    )
    session_days: Count = Field(
        default=_RULES.session_for.days,
        description="Days until a sign-in expires. Shorter: people sign in more often.",
    )
    sign_ups_per_hour: Count = Field(
        default=_RULES.sign_ups_per_hour,
        description="Sign-ups an hour from one address. More: easier to flood.",
    )
    failed_sign_ins: Count = Field(
        default=_RULES.failed_sign_ins,
        description="Failed sign-ins in 15 minutes an account. More: easier to guess.",
    )
    password_hash_mib: Count = Field(
        default=_RULES.password_hash_mib,
        description="Memory in MiB that hashing one password takes. Less: stolen hashes are guessed sooner. More:"
        " sign-ins cost more. Passwords that were hashed before keep what they had.",
    )
    openid_providers: tuple[OpenIdProvider, ...] = Field(
        default=(),
        description='OpenID Connect providers whose tokens sign people in, as a JSON list of {"issuer": "https://…",'
        ' "audiences": ["…"]}. Whoever one of them vouches for gets an account here.',
    )
    schedule_days_ahead: Count = Field(
        default=_RULES.schedule_ahead.days, description="How many days ahead a Space may be scheduled."
    )
    unlaunched_hours: Count = Field(
        default=24, description="Hours after its start until an unlaunched Space is canceled."
    )
    reconnect_window_s: Seconds = Field(
        default=_RULES.reconnect_window.total_seconds(),
        description="Seconds a lost host has to come back. Longer: abandoned Spaces stay live longer.",
    )
    longest_space_hours: Seconds = Field(
        default=12.0, description="Hours after which a Space ends by itself."
    )
    rooms_per_process: Count = Field(
        default=100,
        description="Live Spaces of one media process; beyond that a launch is refused. One core carries some 30 with"
        " three speakers each: more processes come with `spaces media`.",
    )
    sessions_per_room: Count = Field(
        default=64,
        description="WHIP and WHEP sessions of one Space, of all its devices. Each that listens costs an encoder.",
    )
    disk_floor_mb: int = Field(
        default=1000,
        ge=0,
        description="Free megabytes of the recordings' disk below which no recording starts. A Space can still be"
        " launched without one.",
    )
    disk_reserve_mb: int = Field(
        default=250,
        ge=0,
        description="Free megabytes at which running recordings stop, to go on once there is more. 0: they fill the"
        " disk, and the database beside them fails too.",
    )
    longest_space_notice_minutes: Seconds = Field(
        default=_RULES.longest_space_notice / timedelta(minutes=1),
        description="Minutes before that at which everybody is told.",
    )
    empty_space_minutes: Seconds = Field(
        default=_RULES.empty_for / timedelta(minutes=1),
        description="Minutes after which a live Space to which nobody is connected ends. Longer: it stays listed.",
    )
    present_s: Seconds = Field(
        default=_RULES.present_for.total_seconds(),
        description="Seconds for which a fetched live playlist, or a lost connection, counts as presence. Shorter:"
        " counts fall sooner, and people on bad networks come and go.",
    )
    cohosts: Count = Field(
        default=_RULES.cohosts, description="Co-hosts of a Space. Each speaks, and can remove people."
    )
    speakers: Count = Field(
        default=_RULES.speakers,
        description="Speakers beside host and co-hosts. Each costs CPU while they talk.",
    )
    live_waits: Count = Field(
        default=_RULES.live_waits,
        description="Requests for the next part of live Spaces that may wait at once. Beyond: 503, and players"
        " with low latency ask again a second later.",
    )
    public_days: Count = Field(
        default=_RULES.retention.public_for.days,
        description="Days a recording stays public after its Space ended. Longer: more disk.",
    )
    review_days: int = Field(
        default=_RULES.retention.review_for.days,
        ge=30,
        le=120,
        description="Days the review copy is kept after that, 30 to 120. Longer: more disk, more held of people.",
    )
    answers_kept_hours: Count = Field(
        default=24,
        description="Hours for which a mutation with an Idempotency-Key is answered alike. Longer: more rows.",
    )
    stripe_secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Stripe's secret key. Empty: tickets can only be free. Whoever has it moves money.",
    )
    stripe_webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signing secret of the Stripe webhook at /payments/stripe, needed with the key.",
    )
    stripe_url: str = Field(
        default="https://api.stripe.com", description="Where Stripe is asked. Changed in tests alone."
    )
    ticket_hold_minutes: int = Field(
        default=_RULES.ticket_hold // timedelta(minutes=1),
        ge=33,
        le=1440,
        description="Minutes a seat is held while its buyer pays; Stripe asks for at least 30 and some for the way."
        " Longer: seats that nobody pays for are free again later.",
    )
    reminder_minutes: Count = Field(
        default=_RULES.reminder_ahead // timedelta(minutes=1),
        description="Minutes before its start at which those who asked are reminded of a Space.",
    )
    expiring_days: Count = Field(
        default=_RULES.expiring_ahead.days,
        description="Days before a recording expires at which its host is told.",
    )
    notices_lapse_hours: Count = Field(
        default=_RULES.notices_lapse_after // timedelta(hours=1),
        description="Hours for which a notification is tried by Web Push and e-mail. Longer: old news comes late.",
    )
    push_private_addresses: bool = Field(
        default=False,
        description="True lets Web Push call private addresses and plain http: whoever signs up can then make this"
        " server call into its own network.",
    )
    smtp_host: str = Field(default="", description="Mail server for notifications. Empty: no e-mail at all.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port; 465 goes with tls.")
    smtp_username: str = Field(default="", description="As whom to sign in there. Empty: without signing in.")
    smtp_password: str = Field(default="", repr=False, description="The password that goes with it.")
    smtp_security: str = Field(
        default=MailSecurity.STARTTLS.value,
        pattern="^(starttls|tls|none)$",
        description="starttls, tls, or none: then everyone on the way reads mail and password.",
    )
    mail_from: str = Field(
        default="", description="The sender of mails; default spaces@ the host of the public address."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (there is no such file)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (replaced)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then files. Raises NoSecrets."""
        folder = os.environ.get("SPACES_SECRETS_DIR")
        if not folder:
            return init_settings, env_settings
        if not Path(folder).is_dir():
            raise NoSecrets(f"SPACES_SECRETS_DIR: expected a folder, got {folder}")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for one in filter(None, (part.strip() for part in value.split(","))):
            if one != "*":
                ip_network(one, strict=False)
        return value

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("expected an address that begins with http:// or https://")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> "Settings":
        if bool(self.stripe_secret_key.get_secret_value()) != bool(
            self.stripe_webhook_secret.get_secret_value()
        ):
            raise ValueError("set both SPACES_STRIPE_SECRET_KEY and SPACES_STRIPE_WEBHOOK_SECRET, or neither")
        return self

    @model_validator(mode="after")
    def _can_trace(self) -> "Settings":
        if self.traces and find_spec("opentelemetry") is None:
            raise ValueError("SPACES_TRACES needs OpenTelemetry: pip install 'spaces-server[traces]'")
        return self

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or sqlite_url(self.data_dir.absolute() / "spaces.sqlite3")

    @property
    def is_on_postgres(self) -> bool:
        """Whether several processes may share the rows."""
        return not self.database.startswith("sqlite:")

    @property
    def public(self) -> str:
        """The public address in force, without a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "localhost" if self.host in _ANYWHERE else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def audio_address(self) -> str | None:
        """What publishers are told; None for every address of the machine."""
        return self.ice_address or (None if self.host in _ANYWHERE or self.host == "localhost" else self.host)

    @property
    def sender(self) -> str:
        """Whom mails are from, and whom operators of push services can write to."""
        return self.mail_from or f"spaces@{urlsplit(self.public).hostname or 'localhost'}"

    def rules(self) -> Rules:
        """The numbers that services apply."""
        return Rules(
            session_for=timedelta(days=self.session_days),
            rate_limits=self.rate_limit_enabled,
            sign_ups_per_hour=self.sign_ups_per_hour,
            failed_sign_ins=self.failed_sign_ins,
            password_hash_mib=self.password_hash_mib,
            schedule_ahead=timedelta(days=self.schedule_days_ahead),
            unlaunched_after=timedelta(hours=self.unlaunched_hours),
            reconnect_window=timedelta(seconds=self.reconnect_window_s),
            longest_space=timedelta(hours=self.longest_space_hours),
            longest_space_notice=timedelta(minutes=self.longest_space_notice_minutes),
            empty_for=timedelta(minutes=self.empty_space_minutes),
            present_for=timedelta(seconds=self.present_s),
            cohosts=self.cohosts,
            speakers=self.speakers,
            live_waits=self.live_waits,
            answers_kept=timedelta(hours=self.answers_kept_hours),
            disk_floor_bytes=self.disk_floor_mb * 1_000_000,
            ticket_hold=timedelta(minutes=self.ticket_hold_minutes),
            reminder_ahead=timedelta(minutes=self.reminder_minutes),
            expiring_ahead=timedelta(days=self.expiring_days),
            notices_lapse_after=timedelta(hours=self.notices_lapse_hours),
            private_push=self.push_private_addresses,
            webhooks=self.webhooks_per_account,
            webhook_retry_for=timedelta(hours=self.webhook_retry_hours),
            webhook_overlap=timedelta(hours=self.webhook_overlap_hours),
            webhook_deliveries_kept=timedelta(days=self.webhook_delivery_days),
            leap_believed_after=timedelta(minutes=self.clock_leap_minutes),
            retention=RetentionPolicy(
                public_for=timedelta(days=self.public_days), review_for=timedelta(days=self.review_days)
            ),
        )

    def engine_limits(self) -> EngineLimits:
        """What a media process takes on."""
        return EngineLimits(
            rooms=self.rooms_per_process,
            sessions_per_room=self.sessions_per_room,
            disk_reserve_bytes=self.disk_reserve_mb * 1_000_000,
        )
