"""Reading one exported object: what is counted, what is refused, and in how much memory."""

import gzip
import io
import random
import tracemalloc
import zlib
from datetime import timedelta
from itertools import accumulate, pairwise, repeat
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from log_audit import export_object
from log_audit.archive import Count
from log_audit.errors import VerificationError
from log_audit.export_object import STAMP, count_events
from log_audit.window import Window, from_ms, iso, to_ms

WINDOW = Window.month("2026-10", "Asia/Tokyo")  # 2026-09-30T15:00Z .. 2026-10-31T15:00Z
KEY = "2026/10/logs/orders/5f0c/stream/000000.gz"
MEGABYTE = 1 << 20


class Body:
    """What S3 hands out: compressed bytes, from ``read`` and ``readinto`` alone."""

    def __init__(self, data):
        stream = io.BytesIO(data)
        self.read, self.readinto = stream.read, stream.readinto


def count(data):
    return count_events(KEY, Body(data), WINDOW, len(data))


def exported(*lines):
    return "".join(f"{line}\n" for line in lines).encode()


def members(text, cuts=()):
    """The text as concatenated gzip members, cut at the given places."""
    borders = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return b"".join(gzip.compress(text[a:b]) for a, b in pairwise(borders))


first_lines = st.one_of(
    st.text().filter(lambda text: "\n" not in text),
    # applications print the time themselves: behind the event's own timestamp it begins no line
    st.sampled_from(["", " ", "2026-10-01T00:00:00.000Z printed", "1999-01-01T00:00:00.000Z printed", "日本語 🗻"]),
)
further_lines = st.text().map(lambda text: "\n" + text).filter(lambda text: not STAMP.search(text.encode()))
messages = st.tuples(first_lines, st.one_of(st.just(""), further_lines)).map("".join)
steps = st.integers(0, to_ms(WINDOW.end) - 1 - to_ms(WINDOW.start))


@st.composite
def events(draw):
    """Milliseconds in order, and a message for each."""
    drawn = draw(st.lists(messages, min_size=1, max_size=12))
    offsets = sorted(draw(st.lists(steps, min_size=len(drawn), max_size=len(drawn))))
    return [(to_ms(WINDOW.start) + offset, message) for offset, message in zip(offsets, drawn, strict=True)]


@given(
    events=events(),
    cuts=st.lists(st.integers(0, 1 << 16), max_size=5),
    block=st.sampled_from([1, 2, 3, 7, 24, 25, 26, 64, MEGABYTE]),
    last_break=st.booleans(),
)
@example(events=[(to_ms(WINDOW.start), "\r\n\x0b\x0c\x1c\u2028\x85")], cuts=[], block=1, last_break=False)
def test_every_event_is_counted_once_whatever_its_message_members_and_blocks(events, cuts, block, last_break):
    text = exported(*(f"{iso(from_ms(ms))} {message}" for ms, message in events))
    data = members(text if last_break else text[:-1], cuts)
    with patch.object(export_object, "BLOCK", block):
        found = count(data)
    times = [iso(from_ms(ms)) for ms, _ in events]
    assert found == Count(len(events), 0, len(data), min(times), max(times))


@pytest.mark.parametrize("block", [1, MEGABYTE])
@pytest.mark.parametrize(
    "further",
    [
        pytest.param("2026-09-30T14:59:59.999Z before", id="outside the window, before it"),
        pytest.param("2026-10-31T15:00:00.000Z at its end", id="outside the window, at its end"),
        pytest.param("2026-10-02T00:00:04.999Z earlier", id="inside the window, a step back"),
    ],
)
def test_a_message_with_a_line_that_begins_with_another_time_is_one_event(further, block):
    text = exported("2026-10-02T00:00:05.000Z an error", "  at a.b.C", further, "2026-10-02T00:00:06.000Z the next")
    with patch.object(export_object, "BLOCK", block):
        found = count(members(text))
    assert (found.events, found.ambiguous) == (2, 1)
    assert (found.first_event, found.last_event) == ("2026-10-02T00:00:05.000Z", "2026-10-02T00:00:06.000Z")


@pytest.mark.parametrize(
    "line",
    [
        "2026-10-02T00:00:00Z without milliseconds",
        "2026-10-02T00:00:00.000 without a zone",
        "2026-10-02T00:00:00.000Z",  # without a space behind it
        " 2026-10-02T00:00:00.000Z indented",
        "x 2026-10-02T00:00:00.000Z within the line",
        "２０２６-10-02T00:00:00.000Z in wide digits",
    ],
)
def test_a_line_that_only_resembles_the_beginning_of_an_event_is_part_of_a_message(line):
    found = count(members(exported("2026-10-02T00:00:05.000Z an error", line)))
    assert (found.events, found.ambiguous) == (1, 0)


def test_first_and_last_times_are_those_of_the_earliest_and_latest_events_in_whatever_order():
    stamps = ["2026-10-02T00:00:00.000Z", "2026-10-30T00:00:00.000Z", "2026-10-01T00:00:00.000Z"]
    lines = [f"{stamps[number]} event" for number in (0, 0, 0, 1, 2, 2)]
    found = count(members(exported(*lines)))
    # the one that steps back may be a message's line: it is not among those that are surely events
    assert (found.events, found.ambiguous) == (5, 1)
    assert (found.first_event, found.last_event) == (stamps[2], stamps[1])


@pytest.mark.parametrize("bound", ["2026-09-30T15:00:00.000Z", "2026-10-31T14:59:59.999Z"])
def test_the_first_and_the_last_millisecond_belong_to_the_window(bound):
    data = members(exported(f"{bound} event"))
    assert count(data) == Count(1, 0, len(data), bound, bound)


GOOD = members(exported(*(f"2026-10-02T00:00:05.000Z event {number}" for number in range(50))), [700])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(GOOD[:-1], "is damaged", id="a byte short"),
        pytest.param(GOOD[: len(GOOD) // 2], "is damaged", id="half of it"),
        pytest.param(GOOD[:5], "is damaged", id="cut in its header"),
        pytest.param(GOOD[:30] + bytes([GOOD[30] ^ 0xFF]) + GOOD[31:], "is damaged", id="a byte changed"),
        pytest.param(GOOD[:-8] + bytes(4) + GOOD[-4:], "is damaged", id="a wrong checksum"),
        pytest.param(GOOD + b"rest", "is damaged", id="something behind its end"),
        pytest.param(exported("2026-10-02T00:00:05.000Z event"), "is damaged", id="not compressed"),
        pytest.param(zlib.compress(b"2026-10-02T00:00:05.000Z event"), "is damaged", id="compressed, but no gzip"),
        pytest.param(b"", "is empty", id="no bytes"),
        pytest.param(gzip.compress(b""), "is empty", id="a gzip of nothing"),
        pytest.param(members(b"\n"), "does not begin with a timestamp", id="a line break"),
        pytest.param(members(b"Permission check"), "does not begin with a timestamp", id="other text"),
        pytest.param(
            members(exported("a line", "2026-10-02T00:00:05.000Z event")),
            "does not begin with a timestamp",
            id="first line without a timestamp",
        ),
        pytest.param(
            members(exported("2026-09-30T14:59:59.999Z event", "2026-10-02T00:00:05.000Z event")),
            "begins with an event of 2026-09-30T14:59:59.999Z, outside the window "
            "2026-09-30T15:00:00.000Z .. 2026-10-31T15:00:00.000Z",
            id="of the month before",
        ),
        pytest.param(
            members(exported("2026-10-31T15:00:00.000Z event")),
            "begins with an event of 2026-10-31T15:00:00.000Z, outside the window",
            id="of the month after",
        ),
    ],
)
@pytest.mark.parametrize("block", [1, MEGABYTE])
def test_what_is_no_sound_export_of_the_window_is_refused_with_its_key(data, reason, block):
    with patch.object(export_object, "BLOCK", block), pytest.raises(VerificationError) as caught:
        count(data)
    assert str(caught.value).startswith(f"{KEY} {reason}")


@given(place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_no_changed_byte_makes_a_wrong_count(place, value):
    try:
        found = count(GOOD[:place] + bytes([value]) + GOOD[place + 1 :])
    except VerificationError as error:
        assert str(error).startswith(KEY)
    else:  # the byte was the same, or one of the header's that mean nothing to us
        assert found == count(GOOD)


@given(length=st.integers(0, len(GOOD) - 1))
def test_every_cut_is_seen_but_one_between_members(length):
    second = GOOD.index(b"\x1f\x8b", 1)
    if length == second:
        return  # what is left is sound gzip: only its size and ETag tell
    with pytest.raises(VerificationError, match=KEY):
        count(GOOD[:length])


def many_members(size):
    """Noise that gzip cannot shrink, a member a megabyte; the parts, and how many events they hold."""
    chance = random.Random(1)  # noqa: S311 - the same bytes in every run
    noise = (chance.randbytes(MEGABYTE // 100).replace(b"\n", b"") for _ in range(100))
    member = gzip.compress(b"".join(b"2026-10-02T00:00:05.000Z " + line + b"\n" for line in noise))
    return repeat(member, size // MEGABYTE), 100 * (size // MEGABYTE)


def one_member(size):
    """Many short events, in one member that unpacks to hundreds of times its size."""
    line, packer = b"2026-10-02T00:00:05.000Z GET /health 200\n", zlib.compressobj(wbits=31)
    lines = MEGABYTE // len(line)
    parts = [packer.compress(line * lines) for _ in range(size // MEGABYTE)]
    return iter([*parts, packer.flush()]), lines * (size // MEGABYTE)


class Stream:
    """A body that is made while it is read."""

    def __init__(self, parts):
        self.parts, self.part = parts, io.BytesIO()

    def read(self, amount):
        while not (piece := self.part.read(amount)):
            if (part := next(self.parts, None)) is None:
                return b""
            self.part = io.BytesIO(part)
        return piece

    def readinto(self, into):
        piece = self.read(len(into))
        into[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("make", [many_members, one_member])
def test_sixty_megabytes_are_read_in_the_memory_of_a_few_blocks(make):
    parts, expected = make(60 * MEGABYTE)
    body = Stream(parts)
    tracemalloc.start()
    try:
        found = count_events(KEY, body, WINDOW, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.events, found.ambiguous) == (expected, 0)
    assert peak < 16 * MEGABYTE


def test_a_message_as_long_as_aws_takes_is_read_across_block_borders():
    long = "2026-10-02T00:00:05.000Z " + "x" * MEGABYTE
    with patch.object(export_object, "BLOCK", 1 << 16):
        found = count(members(exported(long, long, long)))
    assert (found.events, found.ambiguous) == (3, 0)


def test_halves_of_an_export_add_up_to_the_whole():
    times = [iso(WINDOW.start + step) for step in accumulate(repeat(timedelta(hours=1), 20))]
    halves = [count(members(exported(*(f"{time} event" for time in part)))) for part in (times[:7], times[7:])]
    assert sum(halves, Count()) == Count(20, 0, sum(half.bytes for half in halves), times[0], times[-1])
    assert Count() + Count() == Count()
