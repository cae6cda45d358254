"""Waiting together: one client and one poller for all the jobs of a kind, in a connection and region.

A thousand triggers with a client each block the triggerer's event loop for seconds, hold hundreds of megabytes and use
up the API's rate. Here each trigger says what it waits for, and sleeps; one task asks AWS about all of them, as many as
fit into a call, at a pace that follows each job's age (:mod:`log_audit.polling`).

- A fault that may pass (throttling, an answer of 5xx or one that breaks off, a lost connection) makes the poller pause,
  and nobody fails by it, unless a job's time limit is reached meanwhile.
- What says that the connection cannot be used reaches all who wait. If it could be used before, its credentials may
  only have expired: a new client reads the connection anew first.
- Any other refusal concerns a job: those of one call are asked about again one by one, and who is refused alone fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow.providers.amazon.aws.utils.waiter_with_logging import RETRIABLE_ERROR_CODES

from log_audit.errors import BrokenAnswerError, LogAuditError
from log_audit.hooks.reach import ReachHook
from log_audit.polling import Agenda, Bucket, Retreat, pause

LINGER = 5.0  # seconds for which a client is kept when nobody waits: the next wait is often near
CALL_LIMIT = 30.0  # seconds: an answer that does not come must not hold up all others

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sight:
    """A job as AWS tells it.

    :param state: in AWS's word
    :param ended: well or badly
    :param age: in seconds, by AWS's clock; None where AWS does not tell
    """

    state: str
    ended: bool
    age: float | None = None


class Kind(ABC):
    """A kind of jobs, and how to look at them."""

    hook_class: ClassVar[type[ReachHook]]
    at_once: ClassVar[int] = 1  # jobs that one call looks at
    calls_per_second: ClassVar[float]  # half of what AWS allows, since workers and people ask as well

    @staticmethod
    @abstractmethod
    async def look(client: Any, jobs: Sequence[str]) -> Mapping[str, Sight | LogAuditError]:
        """Ask AWS once; what it tells of each job. One that is left out is asked about again later."""

    @staticmethod
    def pause(age: float) -> float:
        """Seconds between two looks at a job of that age."""
        return pause(age)


@dataclass(eq=False)
class _Wait:
    """One trigger's wait. ``born``: when the job's age was 0, by the event loop's clock."""

    job: str
    limit: float
    longest: float
    born: float
    outcome: asyncio.Future[Sight]

    def tell(self, sight: Sight | LogAuditError) -> None:
        if self.outcome.done():
            return
        if isinstance(sight, LogAuditError):
            self.outcome.set_exception(sight)
        else:
            self.outcome.set_result(sight)


class Poller:
    """Asks AWS for all who wait. Its client lives as long as anybody does, and a few seconds more.

    :param hook: the fields of the kind's hook
    :param forget: called with it when nobody may join any more
    """

    def __init__(self, kind: type[Kind], hook: Mapping[str, Any], forget: Callable[[Poller], object]) -> None:
        self.kind = kind
        self.hook = hook
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._agenda: Agenda[_Wait] = Agenda(kind.at_once)
        self._bucket = Bucket(kind.calls_per_second)
        self._retreat = Retreat(random.random)
        self._joined = asyncio.Event()
        self._worked = False  # the client at hand has had an answer
        # In a context of its own: what it logs is no trigger's, least of all of one that has ended.
        self._task = self._loop.create_task(self._run(), context=Context())

    async def ended(self, job: str, limit: float, longest: float) -> Sight:
        """See :func:`ended`."""
        now = self._loop.time()
        wait = _Wait(job, limit, longest, now, self._loop.create_future())
        self._agenda.set(wait, now)
        self._joined.set()
        try:
            return await wait.outcome
        finally:
            self._agenda.drop(wait)

    async def _run(self) -> None:
        try:
            while await self._use_a_client():
                pass
        except LogAuditError as error:
            self._tell_all(error)
        except Exception as error:
            log.exception("the poller of %s broke", self.kind.__name__)
            self._tell_all(LogAuditError(f"{type(error).__name__}: {error}"))
        finally:
            self._tell_all(LogAuditError("the triggerer stops"))

    async def _use_a_client(self) -> bool:
        """Look at jobs until the client is of no use, which is true, or nobody waits any more."""
        self._worked = False
        async with await self.kind.hook_class(**self.hook).get_async_conn() as client:
            while await self._anybody():
                now = self._loop.time()
                ready = max(self._agenda.due(), self._retreat.until, self._bucket.ready(now))
                if ready > now:
                    await self._pass(ready - now)
                elif not await self._look(client, self._agenda.next()):
                    return True
        return False

    async def _anybody(self) -> bool:
        if not self._agenda:
            await self._pass(LINGER)
        if not self._agenda:
            self._forget(self)  # whoever comes while the client is closed has another poller
        return bool(self._agenda)

    async def _pass(self, seconds: float) -> None:
        """Wait, but no longer than until somebody joins."""
        self._joined.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._joined.wait(), seconds)

    async def _look(self, client: Any, waits: Sequence[_Wait]) -> bool:
        """Look at these jobs; whether the client can go on being used."""
        from botocore.exceptions import ClientError

        self._bucket.take(self._loop.time())
        jobs = list(dict.fromkeys(wait.job for wait in waits))
        try:
            sights = await asyncio.wait_for(self.kind.look(client, jobs), CALL_LIMIT)
        except BrokenAnswerError as error:
            self._step_back(error)
        except LogAuditError as error:
            if not self._worked:
                raise
            log.warning("the connection is read anew: %s", error)
            return False
        except ClientError as error:
            if _may_pass(error):
                self._step_back(error)
            else:
                self._worked = True
                await self._refused(client, waits, error)
        except Exception as error:  # no answer, or one that cannot be read: the wait goes on
            self._step_back(error)
        else:
            self._worked = True
            self._retreat.over()
            self._judge(waits, sights)
        return True

    async def _refused(self, client: Any, waits: Sequence[_Wait], error: Exception) -> None:
        if len(waits) == 1:
            waits[0].tell(LogAuditError(str(error)))
            self._agenda.drop(waits[0])
            return
        for wait in waits:  # one of them may be at fault, such as a query of a workgroup that is not ours to read
            await asyncio.sleep(self._bucket.ready(self._loop.time()) - self._loop.time())
            await self._look(client, [wait])

    def _judge(self, waits: Sequence[_Wait], sights: Mapping[str, Sight | LogAuditError]) -> None:
        now = self._loop.time()
        for wait in waits:
            sight = sights.get(wait.job)
            if isinstance(sight, Sight) and sight.age is not None:
                wait.born = now - sight.age
            left = wait.limit - (now - wait.born)
            if isinstance(sight, LogAuditError) or (sight and (sight.ended or left <= 0)):
                wait.tell(sight)
                self._agenda.drop(wait)
            elif sight is None and left <= 0:
                self._give_up(wait, "AWS tells nothing of it")
            else:
                pause = min(self.kind.pause(now - wait.born), wait.longest, max(left, 0.0))
                self._agenda.set(wait, now + pause)

    def _step_back(self, error: Exception) -> None:
        now = self._loop.time()
        log.warning("%s: looking again in %.1f s: %r", self.kind.__name__, self._retreat.fault(now), error)
        for wait in self._agenda:
            if now - wait.born >= wait.limit:
                self._give_up(wait, str(error) or type(error).__name__)

    def _give_up(self, wait: _Wait, why: str) -> None:
        wait.tell(LogAuditError(f"{wait.job} could not be looked at until its time was over: {why}"))
        self._agenda.drop(wait)

    def _tell_all(self, error: LogAuditError) -> None:
        self._forget(self)
        for wait in self._agenda:
            wait.tell(error)


_Key = tuple[asyncio.AbstractEventLoop, type[Kind], str]
_pollers: dict[_Key, Poller] = {}


def _forget(key: _Key, poller: Poller) -> None:
    """Unless another one has taken its place, while it closed its client."""
    if _pollers.get(key) is poller:
        del _pollers[key]


async def ended(
    kind: type[Kind], hook: Mapping[str, Any], job: str, *, limit: float, longest: float = float("inf")
) -> Sight:
    """Wait until a job has ended, together with all who wait for jobs of this kind through the same connection.

    :param hook: the fields of the kind's hook: connection, region and whatever else its client depends on
    :param job: the id of the job
    :param limit: how old it may become, in seconds; then it is returned as it is
    :param longest: the longest pause between two looks, in seconds
    :raises LogAuditError: AWS cannot be asked, or refuses to tell of this job
    """
    key = asyncio.get_running_loop(), kind, json.dumps(hook, sort_keys=True, default=str)
    if key not in _pollers:
        _pollers[key] = Poller(kind, hook, lambda poller: _forget(key, poller))
    return await _pollers[key].ended(job, limit, longest)


def _may_pass(error: Any) -> bool:
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or answer.get("Error", {}).get("Code") in RETRIABLE_ERROR_CODES
