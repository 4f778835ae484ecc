"""Access tokens and webhooks."""

from typing import Annotated, Any

import strawberry

from schema import ids, integrations
from schema import webhooks as hooks
from schema.context import Info
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from services import tokens, webhooks


@strawberry.type
class IntegrationMutations:
    """Access tokens and webhooks."""

    @mutation("A token for a program, with a part of what its owner may do. Needs a sign-in by password.")
    async def create_access_token(
        root: Any, info: Info, input: Annotated[integrations.CreateAccessTokenInput, ASKED]
    ) -> integrations.CreateAccessTokenPayload:
        made = await tokens.create(
            info.context.house,
            info.context.viewer,
            name=input.name,
            scopes=input.scopes,
            expires_at=given(input.expires_at),
        )
        return integrations.CreateAccessTokenPayload(access_token=made.token, secret=made.secret)  # type: ignore[arg-type]

    @mutation("End an access token, at once.")
    async def revoke_access_token(
        root: Any, info: Info, input: Annotated[integrations.RevokeAccessTokenInput, ASKED]
    ) -> integrations.RevokeAccessTokenPayload:
        token_id = ids.read(input.access_token_id, "AccessToken", path="accessTokenId")
        await tokens.revoke(info.context.house, info.context.viewer, token_id)
        return integrations.RevokeAccessTokenPayload(
            revoked_access_token_id=ids.pack("AccessToken", token_id)
        )

    @mutation(
        "Call an address for events of the viewer's Spaces. It answers the secret that signs the deliveries."
    )
    async def create_webhook(
        root: Any, info: Info, input: Annotated[hooks.CreateWebhookInput, ASKED]
    ) -> hooks.CreateWebhookPayload:
        made = await webhooks.create(
            info.context.house, info.context.viewer, url=input.url, events=input.events
        )
        return hooks.CreateWebhookPayload(webhook=made.webhook, secret=made.secret)  # type: ignore[arg-type]

    @mutation("Change a webhook. One whose receiver had answered 410 Gone is called again.")
    async def update_webhook(
        root: Any, info: Info, input: Annotated[hooks.UpdateWebhookInput, ASKED]
    ) -> hooks.UpdateWebhookPayload:
        changed = await webhooks.update(
            info.context.house,
            info.context.viewer,
            ids.read(input.webhook_id, "Webhook", path="webhookId"),
            url=given(input.url),
            events=given(input.events),
        )
        return hooks.UpdateWebhookPayload(webhook=changed)  # type: ignore[arg-type]

    @mutation("A new secret for a webhook. For 24 hours deliveries are signed with the old one too.")
    async def rotate_webhook_secret(
        root: Any, info: Info, input: Annotated[hooks.RotateWebhookSecretInput, ASKED]
    ) -> hooks.RotateWebhookSecretPayload:
        webhook_id = ids.read(input.webhook_id, "Webhook", path="webhookId")
        made = await webhooks.rotate(info.context.house, info.context.viewer, webhook_id)
        return hooks.RotateWebhookSecretPayload(webhook=made.webhook, secret=made.secret)  # type: ignore[arg-type]

    @mutation(
        "Send a delivery again, with the same webhook-id. One that waits for its next attempt is tried now."
    )
    async def redeliver_webhook(
        root: Any, info: Info, input: Annotated[hooks.RedeliverWebhookInput, ASKED]
    ) -> hooks.RedeliverWebhookPayload:
        delivery_id = ids.read(input.delivery_id, "WebhookDelivery", path="deliveryId")
        delivery = await webhooks.redeliver(info.context.house, info.context.viewer, delivery_id)
        return hooks.RedeliverWebhookPayload(delivery=delivery)  # type: ignore[arg-type]

    @mutation("Call an address no more. What waits for it is dropped.")
    async def delete_webhook(
        root: Any, info: Info, input: Annotated[hooks.DeleteWebhookInput, ASKED]
    ) -> hooks.DeleteWebhookPayload:
        webhook_id = ids.read(input.webhook_id, "Webhook", path="webhookId")
        await webhooks.delete(info.context.house, info.context.viewer, webhook_id)
        return hooks.DeleteWebhookPayload(deleted_webhook_id=ids.pack("Webhook", webhook_id))
