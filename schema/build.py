"""The schema, put together."""

import strawberry
from strawberry.schema.config import StrawberryConfig

import schema.enums  # noqa: F401  (makes the rows' enums the schema's)
from schema.events import ParticipantChanged, RecordingStatusChanged, RecordingToggled, SpaceChanged
from schema.mutations.accounts import AccountMutations
from schema.mutations.integrations import IntegrationMutations
from schema.mutations.moderation import ModerationMutations
from schema.mutations.recordings import RecordingMutations
from schema.mutations.spaces import SpaceMutations
from schema.mutations.tickets import TicketMutations
from schema.queries import Query
from schema.scalars import SCALARS
from schema.spaces import Invitation, Participant
from schema.subscriptions import Subscription


@strawberry.type(description="Everything that can be changed.")
class Mutation(
    AccountMutations,
    SpaceMutations,
    RecordingMutations,
    TicketMutations,
    ModerationMutations,
    IntegrationMutations,
):
    """The mutation root."""


def build_schema() -> strawberry.Schema:
    """The served schema."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[
            Participant,
            Invitation,
            SpaceChanged,
            RecordingToggled,
            RecordingStatusChanged,
            ParticipantChanged,
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
