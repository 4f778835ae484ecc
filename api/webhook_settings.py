"""The settings of webhooks, a part of those in api/settings.py."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from services.rules import Rules

_RULES = Rules()
Count = Annotated[int, Field(ge=1)]


class WebhookSettings(BaseSettings):
    """Whom integrators may have called, how often and for how long."""

    webhook_private_addresses: bool = Field(
        default=False,
        description="True lets webhooks call private addresses and plain http: whoever signs up can then make this"
        " server call into its own network.",
    )
    webhooks_per_account: Count = Field(
        default=_RULES.webhooks,
        description="Webhooks of one account. Each is called for each event of its owner's Spaces.",
    )
    webhook_retry_hours: Count = Field(
        default=_RULES.webhook_retry_for // timedelta(hours=1),
        description="Hours for which a delivery is tried. Longer: what follows it in its Space waits longer.",
    )
    webhook_overlap_hours: Count = Field(
        default=_RULES.webhook_overlap // timedelta(hours=1),
        description="Hours for which a replaced secret still signs. Longer: a leaked one is good for longer.",
    )
    webhook_delivery_days: Count = Field(
        default=_RULES.webhook_deliveries_kept.days,
        description="Days a delivery is listed and can be sent again. Longer: more rows.",
    )
