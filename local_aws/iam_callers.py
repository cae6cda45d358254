"""Which DAG made a call, from the record of calls.

Pure. In a worker, Airflow's hooks write a key into the user agent, which follows from the DAG's id; in the triggerer
they do not know the DAG. There a call is known by the job that it asks about, which a worker made; and what asks about
no job, by who can make it at all.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

Record = Mapping[str, Any]

KEY = re.compile(r"DagRunKey/(\S+)")
NOBODY = "00000000-0000-0000-0000-000000000000"
MADE = {
    "logs.StartQuery": "queryId",
    "logs.CreateExportTask": "taskId",
    "athena.StartQueryExecution": "QueryExecutionId",
}
ASKED = ("queryId", "taskId", "QueryExecutionId", "QueryExecutionIds")  # the last by a call that asks for many
# What our triggers ask about no job: the queue and the tasks of the sensor, and whether the export slot is free.
OF_TRIGGERS = {
    "sqs.ReceiveMessage": {"ecs_log_delivery"},
    "ecs.ListTasks": {"ecs_log_delivery"},
    "ecs.DescribeTasks": {"ecs_log_delivery"},
    "logs.DescribeExportTasks": {"monthly_log_export", "archive_recheck"},
}


class UnknownCallerError(Exception):
    """A call that no DAG can be named for: the proof would have a hole."""


@dataclass(frozen=True)
class Attributed:
    """A call, and the DAGs that made it: more than one where either can have, and each must then be allowed it."""

    record: Record
    dags: frozenset[str]


def made_by(action: str, answer: bytes) -> str | None:
    """The id of the job that a call started."""
    name = MADE.get(action)
    return None if name is None else str(json.loads(answer)[name])


def attribute(records: Iterable[Record], dag_ids: Iterable[str]) -> Iterator[Attributed]:
    """The calls of roles, each with its DAGs; those that need no rights are left out.

    :raises UnknownCallerError: for a call that nothing tells of
    """
    by_key = {str(uuid5(NAMESPACE_OID, dag_id)): dag_id for dag_id in dag_ids}
    jobs: dict[str, str] = {}
    for record in records:
        if not record.get("rights"):
            continue
        dags = _dags(record, by_key, jobs)
        if record["made"]:
            [jobs[record["made"]]] = dags
        yield Attributed(record, frozenset(dags))


def _dags(record: Record, by_key: Mapping[str, str], jobs: Mapping[str, str]) -> set[str]:
    found = KEY.search(record["agent"])
    key = found[1] if found else NOBODY
    if key in by_key:
        return {by_key[key]}
    if key == NOBODY:
        asked = [job for name in ASKED for job in _listed(record["parameters"].get(name, []))]
        if asked and set(asked) & jobs.keys():
            return {jobs[job] for job in asked if job in jobs}
        if not asked and record["action"] in OF_TRIGGERS:
            return OF_TRIGGERS[record["action"]]
    raise UnknownCallerError(
        f"no DAG is known that calls {record['action']} with the user agent {record['agent']!r} and the parameters "
        f"{record['parameters']}"
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
