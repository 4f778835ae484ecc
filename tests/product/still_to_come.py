"""What the contract names and the server does not serve yet. It shrinks with each issue, and never grows."""

STILL_TO_COME = frozenset(
    {
        "CreateWebhookInput",
        "CreateWebhookPayload",
        "DeleteWebhookInput",
        "DeleteWebhookPayload",
        "DeliveryState",
        "Mutation.createWebhook",
        "Mutation.deleteWebhook",
        "Mutation.redeliverWebhook",
        "Mutation.rotateWebhookSecret",
        "Mutation.updateWebhook",
        "RedeliverWebhookInput",
        "RedeliverWebhookPayload",
        "RotateWebhookSecretInput",
        "RotateWebhookSecretPayload",
        "UpdateWebhookInput",
        "UpdateWebhookPayload",
        "Viewer.webhooks",
        "Webhook",
        "WebhookDelivery",
        "WebhookDeliveryConnection",
        "WebhookDeliveryEdge",
        "WebhookEvent",
    }
)
