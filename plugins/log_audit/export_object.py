"""Reading one object of an export task: gzip text, a line for each event and for each further line of its message.

A line that begins an event starts with an ISO-8601 UTC timestamp with milliseconds and a space. A message may
hold line breaks, and after one of them a timestamp too; such a line is told apart as far as it can be:

- its time lies outside the exported window: it cannot be an event;
- its time steps back from the event before it: applications print the time of writing, which is not after the
  event's own, while events of an object stand in order of time, if only in long runs.

Both are counted as ambiguous. What is left is a message line whose time lies in the window and not before its event's:
it is counted as an event. Where the exact number matters, let Logs Insights count as well (``reconcile``).
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3Export.html
"""

from __future__ import annotations

import re
from typing import IO, Protocol, cast

from isal import igzip, isal_zlib  # as gzip and zlib, in less than half of their time

from log_audit.archive import Count
from log_audit.errors import VerificationError
from log_audit.window import Window, iso

BLOCK = 1 << 20
DAMAGE = cast(tuple[type[Exception], ...], (EOFError, igzip.BadGzipFile, isal_zlib.error))  # its stubs name no class
SHAPE = b"0000-00-00T00:00:00.000Z "  # a line that begins an event, every digit a 0
DIGITS = bytes.maketrans(b"123456789", b"000000000")
STAMP = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ", re.MULTILINE)


class _Readable(Protocol):
    def read(self, amount: int = ..., /) -> bytes: ...
    def readinto(self, into: bytearray, /) -> int | None: ...


def count_events(key: str, body: _Readable, window: Window, size: int) -> Count:
    """Read a gzip object to its end, in memory of a few blocks.

    :param key: the object's key, for messages
    :param body: the compressed bytes
    :param size: its stored size in bytes, handed on in the count
    :raises VerificationError: damaged, truncated, or it does not begin with an event of the window
    """
    scan = _Scan(key, window)
    try:
        with igzip.IGzipFile(fileobj=cast(IO[bytes], body)) as text:  # it needs no more than these two
            while block := text.read(BLOCK):
                scan.feed(block)
    except DAMAGE as error:
        raise VerificationError(f"{key} is damaged: {error}") from error
    scan.finish()
    return Count(scan.events, scan.ambiguous, size, scan.first, scan.last)


class _Scan:
    """Timestamps compare as text, so no line is ever parsed or even decoded."""

    def __init__(self, key: str, window: Window) -> None:
        self.key = key
        self.low, self.high = iso(window.start).encode(), iso(window.end).encode()
        self.events = self.ambiguous = 0
        self.earliest = self.latest = self.previous = b""
        self.rest = b""
        self.started = False

    @property
    def first(self) -> str | None:
        return self.earliest.decode() or None

    @property
    def last(self) -> str | None:
        return self.latest.decode() or None

    def feed(self, block: bytes) -> None:
        text = self.rest + block
        end = text.rfind(b"\n") + 1
        self.rest = text[end:]
        if end:
            self._lines(text[:end])

    def finish(self) -> None:
        if self.rest:
            self._lines(self.rest)
        if not self.started:
            raise VerificationError(f"{self.key} is empty: an export writes no empty objects")

    def _lines(self, text: bytes) -> None:
        if not self.started:
            self._check_beginning(text)
        stamps = _stamps(text)
        if stamps and stamps == sorted(stamps) and self._follow(stamps[0], stamps[-1]):
            self.events += len(stamps)
            self.earliest = min(self.earliest or stamps[0], stamps[0])
            self.latest = max(self.latest, stamps[-1])
            self.previous = stamps[-1]
        else:
            self._one_by_one(stamps)

    def _follow(self, first: bytes, last: bytes) -> bool:
        """Whether events from the first to the last of these times can come next."""
        return self.low <= first and last < self.high and first >= self.previous

    def _one_by_one(self, stamps: list[bytes]) -> None:
        for stamp in stamps:
            if self.low <= stamp < self.high and stamp >= self.previous:
                self.events += 1
                self.earliest = min(self.earliest or stamp, stamp)
                self.latest = max(self.latest, stamp)
            else:
                self.ambiguous += 1
            if self.low <= stamp < self.high:
                self.previous = stamp

    def _check_beginning(self, text: bytes) -> None:
        self.started = True
        match = STAMP.match(text)
        if match is None:
            raise VerificationError(f"{self.key} does not begin with a timestamp: it is no export of log events")
        if not self.low <= match[1] < self.high:
            raise VerificationError(
                f"{self.key} begins with an event of {match[1].decode()}, outside the window "
                f"{self.low.decode()} .. {self.high.decode()}"
            )


def _stamps(text: bytes) -> list[bytes]:
    """The times of lines that begin with one. Where all do, it takes no regular expression to see that."""
    heads = [line[: len(SHAPE)] for line in text.removesuffix(b"\n").split(b"\n")]
    if b"".join(heads).translate(DIGITS) == SHAPE * len(heads):
        return [head[:-1] for head in heads]
    return STAMP.findall(text)
