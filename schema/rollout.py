"""Who may record."""

import strawberry

from models.rollout import Rollout, RolloutStage
from models.space import Platform
from schema.payloads import Payload


@strawberry.type(
    description="Who may record: in stage LIMITED, allowed handles and a sticky percentage, on the listed platforms."
)
class RecordingRollout:
    """Who may record."""

    stage: RolloutStage = strawberry.field(description="How far recording is rolled out.")
    platforms: list[Platform] = strawberry.field(description="In stage LIMITED: on these.")
    percentage: int = strawberry.field(
        description="In stage LIMITED: so many in a hundred accounts, always the same."
    )


def rollout_of(row: Rollout) -> RecordingRollout:
    """The row as clients get it."""
    return RecordingRollout(
        stage=row.stage, platforms=[Platform(name) for name in row.platforms], percentage=row.percentage
    )


@strawberry.input(description="What changes; what is left out stays.")
class UpdateRolloutInput:
    """What changes in the rollout."""

    stage: RolloutStage | None = strawberry.field(
        description="How far recording is rolled out.", default=strawberry.UNSET
    )
    platforms: list[Platform] | None = strawberry.field(
        description="In stage LIMITED: on these.", default=strawberry.UNSET
    )
    percentage: int | None = strawberry.field(description="0 to 100.", default=strawberry.UNSET)
    allow_handles: list[str] | None = strawberry.field(
        description="Put on the allow-list.", default=strawberry.UNSET
    )
    remove_handles: list[str] | None = strawberry.field(
        description="Take off the allow-list.", default=strawberry.UNSET
    )
    dry_run: bool = strawberry.field(description="Change nothing; only count.", default=False)


@strawberry.type(description="What updateRollout answers.")
class UpdateRolloutPayload(Payload):
    """What updateRollout answers."""

    rollout: RecordingRollout | None = strawberry.field(
        description="The rollout as it is, or with dryRun would be; null on failure.", default=None
    )
    gaining: int | None = strawberry.field(
        description="How many accounts may record with it, newly.", default=None
    )
    losing: int | None = strawberry.field(description="How many accounts may not any more.", default=None)
