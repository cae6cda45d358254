"""Query executions: their life, their threads, and what they leave behind.

https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html

A query runs at once in a thread of a small pool. What is told of it follows from the time: QUEUED and RUNNING last as
long as the settings say, and RUNNING until the thread is done.
"""

import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from local_aws.athena import results
from local_aws.athena.engine import OutputColumn, Result, ScanLimit
from local_aws.athena.failures import QueryFailure
from local_aws.athena.requests import StartRequest, invalid
from local_aws.athena.storage import Storage
from local_aws.paging import without_none
from local_aws.settings import SETTINGS

POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="athena")
CUT_OFF = "Query cancelled! : Bytes scanned limit was exceeded"
ACTIVE = ("QUEUED", "RUNNING")
SYSTEM, USER = 1, 2  # AthenaError.ErrorCategory
# AWS numbers dozens of kinds; these are the two that the stand-in tells apart.
TYPES = {SYSTEM: 0, USER: 1000}
OUTCOMES = {
    "FAILED": (USER, "GENERIC_USER_ERROR: the stand-in was told to fail queries"),
    "FAILED_RETRYABLE": (SYSTEM, "Query exhausted resources at this scale factor"),
}


@dataclass
class Work:
    """What an execution is to do: `run` gives its result; `scanned` tells the bytes read, even when it fails."""

    run: Callable[[], Result]
    scanned: Callable[[], int] = lambda: 0
    is_select: bool = False


@dataclass
class Execution:
    """One query execution."""

    request: StartRequest
    work: Work
    bucket: str
    prefix: str
    work_group: str
    execution_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    columns: list[OutputColumn] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    reason: str | None = None
    category: int = USER
    ended: str = "SUCCEEDED"
    stopped: float | None = None
    done: float | None = None
    interrupt: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.runs = self.created + SETTINGS.athena_queued_seconds
        self.ends = self.runs + SETTINGS.athena_running_seconds
        self.outcome = SETTINGS.athena_outcome

    def state(self, now: float) -> str:
        """The state at this time."""
        if self.stopped is not None:
            return "CANCELLED"
        if now < self.runs:
            return "QUEUED"
        if self.done is None or now < max(self.ends, self.done):
            return "RUNNING"
        return self.ended

    @property
    def key(self) -> str:
        """Where the result goes."""
        return f"{self.prefix}{self.execution_id}.{'csv' if self.work.is_select else 'txt'}"

    def run(self, storage: Storage, lock: AbstractContextManager[Any]) -> None:
        """Do the work and keep what came of it; in a thread of the pool."""
        try:
            if self.outcome in OUTCOMES:
                self.category, self.reason = OUTCOMES[self.outcome]
                self.ended = "FAILED"
            else:
                self._work(storage, lock)
        except QueryFailure as error:
            self.ended, self.reason = "FAILED", error.message
        except ScanLimit:
            self.ended, self.reason = "CANCELLED", CUT_OFF
        except Exception as error:
            # A hole in the stand-in: never a success.
            traceback.print_exc()
            self.ended, self.category = "FAILED", SYSTEM
            self.reason = f"GENERIC_INTERNAL_ERROR: the stand-in broke on this query: {error!r}"
        self.interrupt = None  # it holds the connection, which is done with
        self.done = time.time()

    def _work(self, storage: Storage, lock: AbstractContextManager[Any]) -> None:
        result = self.work.run()
        self.columns, self.rows = result.columns, results.texts(result)
        if self.work.is_select:
            content = results.csv(self.columns, self.rows)
        else:
            content = "".join("\t".join(one or "" for one in row) + "\n" for row in self.rows).encode()
        with lock:
            if self.stopped is None:
                storage.put(self.bucket, self.key, content)
                storage.put(self.bucket, f"{self.key}.metadata", results.metadata(self.columns))

    def stop(self, now: float) -> None:
        """Cancel what has not ended."""
        if self.state(now) in ACTIVE:
            self.stopped, self.reason = now, "Query was cancelled by the user"
            if self.interrupt:
                self.interrupt()

    def describe(self, now: float) -> dict[str, Any]:
        """As GetQueryExecution gives it."""
        state = self.state(now)
        return without_none(
            {
                "QueryExecutionId": self.execution_id,
                "Query": self.request.text,
                "StatementType": "DML" if self.work.is_select else "DDL",
                "ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/{self.key}"},
                "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
                "QueryExecutionContext": {"Database": self.request.database, "Catalog": "awsdatacatalog"},
                "Status": self._status(state, now),
                "Statistics": self._statistics(state, now),
                "WorkGroup": self.work_group,
                "EngineVersion": {
                    "SelectedEngineVersion": "AUTO",
                    "EffectiveEngineVersion": "Athena engine version 3",
                },
                "ExecutionParameters": list(self.request.parameters) or None,
            }
        )

    def _end(self, now: float) -> float:
        return self.stopped or max(self.ends, self.done or now)

    def _status(self, state: str, now: float) -> dict[str, Any]:
        over = state not in ACTIVE
        status: dict[str, Any] = {
            "State": state,
            "StateChangeReason": self.reason if over else None,
            "SubmissionDateTime": self.created,
            "CompletionDateTime": self._end(now) if over else None,
        }
        if state == "FAILED":
            status["AthenaError"] = {
                "ErrorCategory": self.category,
                "ErrorType": TYPES[self.category],
                "Retryable": self.outcome == "FAILED_RETRYABLE",
                "ErrorMessage": self.reason,
            }
        return without_none(status)

    def _statistics(self, state: str, now: float) -> dict[str, Any]:
        until = now if state in ACTIVE else self._end(now)
        queued = min(until, self.runs) - self.created
        engine = max(0.0, until - self.runs)
        return {
            "DataScannedInBytes": self.work.scanned() if state not in ACTIVE else 0,
            "EngineExecutionTimeInMillis": int(engine * 1000),
            "QueryQueueTimeInMillis": int(queued * 1000),
            "TotalExecutionTimeInMillis": int((queued + engine) * 1000),
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }


class Executions:
    """The executions of an account and region. The caller holds the lock."""

    def __init__(self, storage: Storage, lock: AbstractContextManager[Any]) -> None:
        self._storage = storage
        self._lock = lock
        self._executions: dict[str, Execution] = {}
        self._by_token: dict[str, Execution] = {}
        self._mutex = threading.Lock()

    def again(self, request: StartRequest) -> Execution | None:
        """The execution that a call with this token started before; raises when that call was another."""
        known = self._by_token.get(request.token or "")
        if known and known.request != request:
            raise invalid("Idempotent parameters do not match")
        return known

    def start(self, execution: Execution) -> None:
        """Hand an execution to the pool."""
        self._executions[execution.execution_id] = execution
        if execution.request.token:
            self._by_token[execution.request.token] = execution
        POOL.submit(execution.run, self._storage, self._lock)

    def drop(self, work_group: str) -> None:
        """Forget the executions of a workgroup."""
        for execution_id in self.list(work_group):
            execution = self._executions.pop(execution_id)
            self._by_token.pop(execution.request.token or "", None)

    def get(self, execution_id: str) -> Execution:
        """An execution; raises InvalidRequestException."""
        if execution_id not in self._executions:
            raise invalid(f"QueryExecution {execution_id} was not found")
        return self._executions[execution_id]

    def batch(self, ids: list[str], now: float) -> dict[str, Any]:
        """BatchGetQueryExecution."""
        if not 1 <= len(ids) <= 50:
            raise invalid("QueryExecutionIds must have between 1 and 50 members")
        return {
            "QueryExecutions": [self._executions[one].describe(now) for one in ids if one in self._executions],
            "UnprocessedQueryExecutionIds": [
                {
                    "QueryExecutionId": one,
                    "ErrorCode": "INVALID_INPUT",
                    "ErrorMessage": f"QueryExecution {one} was not found",
                }
                for one in ids
                if one not in self._executions
            ],
        }

    def list(self, work_group: str) -> list[str]:
        """The ids of a workgroup's executions, newest first."""
        return [one.execution_id for one in reversed(self._executions.values()) if one.work_group == work_group]

    def results(self, given: dict[str, Any], now: float) -> dict[str, Any]:
        """GetQueryResults."""
        execution = self.get(given["QueryExecutionId"])
        state, size, token = execution.state(now), given.get("MaxResults", 1000), given.get("NextToken", "0")
        if state in ACTIVE:
            raise invalid(f"Query has not yet finished. Current state: {state}")
        if state != "SUCCEEDED":
            raise invalid(f"Query did not finish successfully. Final query state: {state}")
        if not 1 <= size <= 1000:
            raise invalid(f"MaxResults must be between 1 and 1000, not {size}")
        if not token.isdecimal():
            raise invalid("The NextToken is invalid")
        page: dict[str, Any] = results.page(
            execution.columns, execution.rows, execution.work.is_select, int(token), size
        )
        return page

    def forget(self) -> None:
        """Cancel all: the state they belong to is gone."""
        for execution in self._executions.values():
            execution.stop(time.time())
