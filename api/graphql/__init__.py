"""The GraphQL edge: HTTP, WebSocket and server-sent events around one Strawberry schema."""
