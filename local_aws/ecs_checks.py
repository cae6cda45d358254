"""What the stand-in takes of ECS's requests: it refuses the rest, since a task could not heed it."""

from typing import Any

from moto.ecs.exceptions import EcsClientException, InvalidParameterException
from moto.ecs.models import TaskDefinition

from local_aws.ecs_task import Ending
from local_aws.errors import NotImplementedByStandIn

MOST_STARTED = 10
CONTAINER = {
    *("name", "image", "cpu", "memory", "memoryReservation", "essential", "command", "entryPoint"),
    *("environment", "logConfiguration", "portMappings"),
}
OVERRIDE = {"name", "command", "environment"}


def check_run(asked: dict[str, Any], definition: TaskDefinition) -> None:
    """Check the parameters of RunTask."""
    if asked.get("launchType") != "FARGATE":
        raise NotImplementedByStandIn("The stand-in runs tasks of launchType FARGATE only.")
    if not (asked.get("networkConfiguration") or {}).get("awsvpcConfiguration"):
        raise InvalidParameterException(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    if not 1 <= asked.get("count", 1) <= MOST_STARTED:
        raise InvalidParameterException(f"Count must be between 1 and {MOST_STARTED}.")
    check_overrides(asked.get("overrides") or {}, definition)


def check_overrides(overrides: dict[str, Any], definition: TaskDefinition) -> None:
    """Check RunTask's overrides against the definition's containers."""
    if set(overrides) - {"containerOverrides"}:
        raise NotImplementedByStandIn("The stand-in heeds containerOverrides only.")
    names = {part["name"] for part in definition.container_definitions}
    for override in overrides.get("containerOverrides") or []:
        unheeded = sorted(set(override) - OVERRIDE)
        if unheeded:
            raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unheeded)} of an override.")
        if override.get("name") not in names:
            raise InvalidParameterException(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )


def check_containers(containers: list[dict[str, Any]]) -> None:
    """Check the containers of RegisterTaskDefinition."""
    for container in containers:
        unheeded = sorted(set(container) - CONTAINER)
        if unheeded:
            raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unheeded)} of a container.")
    names = [container.get("name") for container in containers]
    if len(set(names)) < len(names):
        raise EcsClientException("Container names must be different from each other.")
    if not any(container.get("essential", True) for container in containers):
        raise EcsClientException("At least one container of a task must be essential.")


def check_names(ending: Ending, definition: TaskDefinition) -> None:
    """Refuse an ending that speaks of containers the task has not: it would pass unnoticed."""
    names = {part["name"] for part in definition.container_definitions}
    unknown = sorted((set(ending.exit_codes) | set(ending.reasons)) - names)
    if unknown:
        raise NotImplementedByStandIn(f"The planned end names container {unknown[0]}, which the task has not.")
