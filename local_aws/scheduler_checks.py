"""What EventBridge Scheduler refuses: members of a wrong shape, expressions, time windows, dates, targets.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session

from local_aws.errors import AwsError, NotImplementedByStandIn

START_SLACK = 300  # seconds
RATE = re.compile(r"[1-9]\d*\s+(minutes?|hours?|days?)")
AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
EXPRESSION = re.compile(r"(at|rate|cron)\((.*)\)")
UNIVERSAL = re.compile(r"arn:aws:scheduler:::aws-sdk:[a-z0-9]+:[a-z][A-Za-z0-9]*")
TARGET = re.compile(r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:\d{12}:.+")
ECS_CLUSTER = re.compile(r"arn:aws:ecs:[a-z0-9-]+:\d{12}:cluster/.+")
DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
MONTHS = {
    **{"JAN": 1, "FEB": 2, "MAR": 3, "APR": 4, "MAY": 5, "JUN": 6},
    **{"JUL": 7, "AUG": 8, "SEP": 9, "OCT": 10, "NOV": 11, "DEC": 12},
}
TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "timestamp": (int, float),
    "list": list,
    "map": dict,
}


@cache
def input_shape(action: str) -> Any:
    """What botocore's model says of the action's request."""
    return botocore.session.get_session().get_service_model("scheduler").operation_model(action).input_shape


def check_members(action: str, asked: dict[str, Any]) -> None:
    """Refuse a request that the service's own model forbids."""
    found = list(_problems(input_shape(action), asked, ""))
    if found:
        raise invalid(f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}")


def check_schedule(asked: dict[str, Any], now: float) -> None:
    """Refuse a schedule, the members of which are well formed, that cannot be at the time `now` (epoch seconds)."""
    expression = asked["ScheduleExpression"]
    if not is_expression(expression):
        raise invalid(f"Invalid Schedule Expression {expression}.")
    if asked.get("ScheduleExpressionTimezone", "UTC") not in zoneinfo.available_timezones():
        raise invalid(f"Invalid ScheduleExpressionTimezone {asked['ScheduleExpressionTimezone']}.")
    _check_window(asked["FlexibleTimeWindow"])
    _check_dates(asked, now)
    _check_target(asked["Target"])
    if "KmsKeyArn" in asked or asked.get("ActionAfterCompletion", "NONE") != "NONE":
        raise NotImplementedByStandIn("The stand-in neither encrypts schedules nor deletes them when they are over.")


def is_expression(text: str) -> bool:
    """Whether this is an expression of AWS's documented forms; what its documents do not show is none."""
    found = EXPRESSION.fullmatch(text)
    if not found or not text.isascii():
        return False
    kind, inside = found.groups()
    if kind == "rate":
        return RATE.fullmatch(inside) is not None
    return _is_moment(inside) if kind == "at" else _is_cron(inside.upper().split())


def invalid(message: str) -> AwsError:
    """A ValidationException."""
    return AwsError("ValidationException", message)


@dataclass(frozen=True)
class Field:
    """A field of a cron expression: the values it takes, and what else stands alone in it."""

    low: int
    high: int
    names: dict[str, int]
    alone: str = "$^"

    def takes(self, text: str) -> bool:
        """Whether this may stand in the field."""
        return re.fullmatch(self.alone, text) is not None or all(self._takes_item(item) for item in text.split(","))

    def _takes_item(self, item: str) -> bool:
        base, slash, step = item.partition("/")
        if slash and not (step.isdecimal() and 1 <= int(step) <= self.high):
            return False
        ends = [self._number(end) for end in base.split("-")]
        in_range = len(ends) <= 2 and all(self.low <= end <= self.high for end in ends)
        # AWS's own example of hours, 20-2, runs over the end; years cannot.
        return base == "*" or (in_range and (self is not YEAR or ends == sorted(ends)))

    def _number(self, text: str) -> int:
        return self.names.get(text, int(text) if text.isdecimal() else -1)


YEAR = Field(1970, 2199, {})
FIELDS = (
    Field(0, 59, {}),
    Field(0, 23, {}),
    Field(1, 31, {}, r"\?|L|LW|([1-9]|[12]\d|3[01])W"),
    Field(1, 12, MONTHS),
    Field(1, 7, DAYS, rf"\?|L|([1-7]|{'|'.join(DAYS)})(L|#[1-5])"),
    YEAR,
)


def _is_cron(parts: list[str]) -> bool:
    return (
        len(parts) == len(FIELDS)
        and all(field.takes(part) for field, part in zip(FIELDS, parts, strict=True))
        # A day of the month or a day of the week: one of them is left open.
        and [parts[2], parts[4]].count("?") == 1
    )


def _is_moment(text: str) -> bool:
    try:
        return AT.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _check_window(window: dict[str, Any]) -> None:
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise invalid("FlexibleTimeWindow has MaximumWindowInMinutes in mode FLEXIBLE, and not in mode OFF.")


def _check_dates(asked: dict[str, Any], now: float) -> None:
    start, end = asked.get("StartDate"), asked.get("EndDate")
    # Dates mean nothing to a schedule of one time.
    if start is not None and start < now - START_SLACK and not asked["ScheduleExpression"].startswith("at"):
        raise invalid("The StartDate you specify cannot be earlier than 5 minutes ago.")
    if start is not None and end is not None and start >= end:
        raise invalid("The StartDate must come before the EndDate.")


def _check_target(target: dict[str, Any]) -> None:
    arn = target["Arn"]
    if not UNIVERSAL.fullmatch(arn) and not TARGET.fullmatch(arn):
        raise invalid(f"Provided Arn is not in correct format: {arn}.")
    if bool(ECS_CLUSTER.fullmatch(arn)) != ("EcsParameters" in target):
        raise invalid("EcsParameters are those of a target that is an ECS cluster, which needs them.")
    if UNIVERSAL.fullmatch(arn):
        try:
            json.loads(target.get("Input", "{}"))
        except ValueError:
            raise invalid("Input for the target is not valid JSON.") from None


def _problems(shape: Any, value: Any, at: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _problems_of_structure(shape, value, at)
        return
    fits = isinstance(value, TYPES[shape.type_name]) and (shape.type_name == "boolean" or not isinstance(value, bool))
    for rule in [f"be a {shape.type_name}"] if not fits else _broken_rules(shape, value):
        yield f"Value '{value}' at '{at}' failed to satisfy constraint: Member must {rule}"
    if fits and shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{at}.{number}.member")


def _problems_of_structure(shape: Any, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"Value '{value}' at '{at}' failed to satisfy constraint: Member must be a structure"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{at}{'.' * bool(at)}{name}' failed to satisfy constraint: Member must not be null"
    unknown = sorted(set(value) - set(shape.members))
    if unknown:
        raise NotImplementedByStandIn(f"The stand-in does not heed {', '.join(unknown)}.")
    for name, part in value.items():
        if part is not None:
            yield from _problems(shape.members[name], part, f"{at}{'.' * bool(at)}{name}")


def _broken_rules(shape: Any, value: Any) -> Iterator[str]:
    rules = shape.metadata
    size = value if shape.type_name == "integer" else len(value) if shape.type_name in ("string", "list") else None
    if size is not None and "min" in rules and size < rules["min"]:
        yield f"have length or value greater than or equal to {rules['min']}"
    if size is not None and "max" in rules and size > rules["max"]:
        yield f"have length or value less than or equal to {rules['max']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"satisfy enum value set: [{', '.join(rules['enum'])}]"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"satisfy regular expression pattern: {rules['pattern']}"
