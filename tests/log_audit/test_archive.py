"""The archive's decisions: where things go, how they are cut for reading, when a month is sound and final."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.samples import export_policy
from log_audit.archive import (
    CHUNK_BYTES,
    CHUNK_OBJECTS,
    CHUNKS,
    FINAL,
    LOG_GROUPS,
    PROVISIONAL,
    ArchiveJob,
    Chunk,
    Count,
    Manifest,
    StoredObject,
    build_manifest,
    chunk_limits,
    chunks,
    colliding,
    default_destination,
    export_statements,
    month_prefix,
    reconcile,
    removed_by_retention,
    shortfalls,
    state_when_exported,
    surely_exported_before,
    uncountable,
)
from log_audit.errors import PermanentError, VerificationError
from log_audit.window import Window, iso, to_ms

TOKYO = "Asia/Tokyo"
WINDOW = Window.month("2026-10", TOKYO)
EXPORTED = datetime(2026, 11, 1, 4, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
GIGABYTE = 1024**3
JOB = ArchiveJob(
    log_group="/aws/lambda/orders",
    month="2026-10",
    time_zone=TOKYO,
    bucket="log-audit-archive",
    prefix="2026/10/logs/aws/lambda/orders",
)


def through_json(value):
    return json.loads(json.dumps(value))


def stored(sizes):
    return [StoredObject(f"{JOB.prefix}/task/{n:06d}.gz", size, f"{n:x}") for n, size in enumerate(sizes)]


# Where things go


@pytest.mark.parametrize(
    ("log_group", "destination"),
    [
        ("/aws/lambda/orders", "aws/lambda/orders"),
        ("orders", "orders"),
        ("//aws//orders/", "aws/orders"),
        ("API-Gateway-Execution-Logs_a1b2/prod", "API-Gateway-Execution-Logs_a1b2/prod"),
        ("/", ""),
    ],
)
def test_a_log_group_goes_to_its_name_without_empty_parts(log_group, destination):
    assert default_destination(log_group) == destination


@pytest.mark.parametrize(
    ("prefix", "destination", "expected"),
    [
        ("logs", "aws/orders", "2026/10/logs/aws/orders"),
        ("a/b", "orders", "2026/10/a/b/orders"),
        (None, "orders", "2026/10/orders"),
        ("logs", "", "2026/10/logs"),
    ],
)
def test_a_months_prefix_has_no_empty_parts(prefix, destination, expected):
    assert month_prefix("2026-10", prefix, destination) == expected


def test_jobs_with_one_place_collide():
    other = replace(JOB, log_group="aws/lambda/orders")
    third = replace(JOB, log_group="/third")
    assert colliding([JOB, other, third]) == [
        "/aws/lambda/orders and aws/lambda/orders would both go to "
        "s3://log-audit-archive/2026/10/logs/aws/lambda/orders/",
        "/aws/lambda/orders and /third would both go to s3://log-audit-archive/2026/10/logs/aws/lambda/orders/",
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(JOB, id="the same log group"),
        pytest.param(replace(JOB, log_group="/b", bucket="another"), id="another bucket"),
        pytest.param(replace(JOB, log_group="/b", prefix="2026/10/logs/b"), id="another prefix"),
        pytest.param(replace(JOB, log_group="/b", prefix=f"{JOB.prefix}/b"), id="a prefix beneath"),
        pytest.param(replace(JOB, log_group="/b", prefix="2026/11/logs/aws/lambda/orders"), id="another month"),
    ],
)
def test_jobs_with_places_of_their_own_do_not_collide(other):
    assert colliding([JOB, other]) == []
    assert colliding([]) == []


# What tasks hand to each other


@pytest.mark.parametrize(
    "job",
    [JOB, replace(JOB, reconcile=True, skip="no such group", again="late events", notes=("created late", "removed"))],
)
def test_a_job_comes_back_from_json_as_it_was(job):
    assert ArchiveJob.of(through_json(job.to_json())) == job
    assert ArchiveJob.of(job) is job


def test_a_job_knows_its_window_and_its_manifest():
    assert JOB.window == WINDOW
    assert JOB.manifest_key == "2026/10/logs/aws/lambda/orders/manifest.json"


def test_a_chunk_comes_back_from_json_as_it_was():
    chunk = Chunk(3, replace(JOB, notes=("a note",)), "task", "", f"{JOB.prefix}/task/000001.gz", 2, 17)
    assert Chunk.of(through_json(chunk.to_json())) == chunk
    assert Chunk.of(chunk) is chunk
    assert chunk.prefix == f"{JOB.prefix}/task"


# How an export is cut for reading


@given(
    sizes=st.lists(st.integers(0, 100), max_size=60),
    max_bytes=st.integers(1, 200),
    max_objects=st.integers(1, 20),
)
def test_chunks_cover_all_objects_once_in_order_and_keep_their_bounds(sizes, max_bytes, max_objects):
    listed = stored(sizes)
    made = list(chunks(7, JOB, "task", iter(listed), max_bytes, max_objects))
    read = [[item for item in listed if chunk.after < item.key <= chunk.through] for chunk in made]
    assert [item for part in read for item in part] == listed
    for chunk, part in zip(made, read, strict=True):
        assert (chunk.index, chunk.job, chunk.task_id) == (7, JOB, "task")
        assert (chunk.objects, chunk.bytes) == (len(part), sum(item.bytes for item in part))
        assert 1 <= chunk.objects <= max_objects
        assert chunk.bytes <= max_bytes or chunk.objects == 1
    for left, right in pairwise(made):
        assert left.objects == max_objects or left.bytes + right.bytes > max_bytes, "no chunk is cut in vain"


def test_an_export_without_objects_has_no_chunks():
    assert list(chunks(0, JOB, "task", [])) == []


sizes_of_objects = st.lists(
    st.one_of(st.integers(0, 50 * GIGABYTE), st.sampled_from([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])),
    min_size=1,
    max_size=4,
)


@st.composite
def exports(draw, most):
    """Sizes of the objects of up to ``most`` exports: a few kinds of export, in turn."""
    number = draw(st.integers(1, most))
    kinds = draw(st.lists(st.tuples(st.integers(0, 20_000 // number + 1), sizes_of_objects), min_size=1, max_size=4))
    return [list(islice(cycle(sizes), objects)) for objects, sizes in islice(cycle(kinds), number)]


def number_of_chunks(made, limits):
    return sum(len(list(chunks(0, JOB, "task", (StoredObject("k", n, "e") for n in sizes), *limits))) for sizes in made)


@settings(max_examples=60, deadline=None)  # tens of thousands of objects each
@given(made=exports(LOG_GROUPS))
def test_airflow_can_map_over_the_chunks_of_any_thousand_exports(made):
    limits = chunk_limits([(len(sizes), sum(sizes)) for sizes in made])
    assert number_of_chunks(made, limits) <= CHUNKS


@settings(deadline=None)
@given(made=exports(20), spare=st.integers(0, 20))
def test_any_number_of_chunks_can_be_kept_that_leaves_one_for_each_export(made, spare):
    limits = chunk_limits([(len(sizes), sum(sizes)) for sizes in made], most=len(made) + spare)
    assert number_of_chunks(made, limits) <= len(made) + spare


def test_few_objects_are_cut_as_fine_as_usual():
    assert chunk_limits([]) == (CHUNK_BYTES, CHUNK_OBJECTS)
    assert chunk_limits([(400, GIGABYTE)] * LOG_GROUPS) == (CHUNK_BYTES, CHUNK_OBJECTS)


def test_limits_grow_together():
    max_bytes, max_objects = chunk_limits([(1_000_000, 20 * 1024 * GIGABYTE)])
    assert max_bytes // CHUNK_BYTES == max_objects // CHUNK_OBJECTS > 1


# When an export is whole


@pytest.mark.parametrize(
    ("created", "days", "exported", "reasons"),
    [
        pytest.param(WINDOW.start, None, EXPORTED, [], id="kept for ever"),
        pytest.param(WINDOW.start, 60, EXPORTED, [], id="kept long enough"),
        pytest.param(WINDOW.start, 40, WINDOW.start + timedelta(days=40), [], id="kept just long enough"),
        pytest.param(
            WINDOW.start + MILLISECOND,
            None,
            EXPORTED,
            ["the log group was created at 2026-09-30T15:00:00.001Z, after the month began"],
            id="created a millisecond late",
        ),
        pytest.param(
            WINDOW.start,
            40,
            WINDOW.start + timedelta(days=40) + MILLISECOND,
            ["the log group's retention of 40 days had removed events before 2026-09-30T15:00:00.001Z"],
            id="kept a millisecond too short",
        ),
        pytest.param(
            datetime(2026, 10, 5, tzinfo=UTC),
            7,
            EXPORTED,
            [
                "the log group was created at 2026-10-05T00:00:00.000Z, after the month began",
                "the log group's retention of 7 days had removed events before 2026-10-25T04:00:00.000Z",
            ],
            id="both",
        ),
    ],
)
def test_an_export_tells_what_it_cannot_hold(created, days, exported, reasons):
    assert shortfalls(WINDOW, created, days, exported) == reasons


def test_retention_is_told_in_utc_whatever_zone_the_time_is_in():
    in_tokyo = EXPORTED.astimezone(ZoneInfo(TOKYO))
    said = "the log group's retention of 7 days had removed events before 2026-10-25T04:00:00.000Z"
    assert removed_by_retention(WINDOW, 7, in_tokyo) == said


@pytest.mark.parametrize(
    ("created", "days", "now", "said"),
    [
        pytest.param(WINDOW.start, None, EXPORTED + timedelta(days=4000), None, id="kept for ever"),
        pytest.param(EXPORTED, 7, WINDOW.end + timedelta(days=7) - MILLISECOND, None, id="a millisecond remains"),
        pytest.param(
            WINDOW.start,
            7,
            WINDOW.end + timedelta(days=7),
            "the log group's retention of 7 days had removed the whole month",
            id="nothing remains",
        ),
        pytest.param(
            EXPORTED + MILLISECOND,
            None,
            EXPORTED + timedelta(days=15),
            "the log group was deleted, and created again at 2026-11-01T04:00:00.001Z",
            id="another group of the name",
        ),
        pytest.param(None, None, EXPORTED, "the log group was deleted", id="deleted"),
    ],
)
def test_what_insights_cannot_count_any_more(created, days, now, said):
    assert uncountable(WINDOW, created, days, EXPORTED, now) == said


def test_the_statements_for_an_account_are_those_that_the_stand_in_is_set_up_with():
    statements = json.loads(export_policy("archive", "eu-west-1", "210987654321"))["Statement"]
    assert export_statements("archive", "eu-west-1", "210987654321") == statements
    assert statements[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "210987654321"}


def test_the_statements_for_any_account_have_no_source():
    acl, put = export_statements("archive", "eu-west-1", None)
    assert "Condition" not in acl
    assert put["Condition"] == {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}


@pytest.mark.parametrize(
    ("after_the_end", "state"),
    [
        (timedelta(hours=12), PROVISIONAL),
        (timedelta(days=15) - MILLISECOND, PROVISIONAL),
        (timedelta(days=15), FINAL),
        (timedelta(days=400), FINAL),
    ],
)
def test_a_month_is_final_when_nothing_can_arrive_any_more(after_the_end, state):
    assert state_when_exported(WINDOW, WINDOW.end + after_the_end) == state


# The count by Logs Insights


@pytest.mark.parametrize(
    ("count", "insights", "difference"),
    [
        pytest.param(Count(100), 100, 0, id="equal"),
        pytest.param(Count(103), 100, 3, id="more in the archive, arrived later"),
        pytest.param(Count(98, 2), 100, -2, id="as many as the ambiguous lines allow"),
        pytest.param(Count(), 0, 0, id="none"),
    ],
)
def test_an_archive_with_all_that_insights_counts_is_whole_and_tells_its_surplus(count, insights, difference):
    assert reconcile(count, insights, EXPORTED) == {
        "insights_events": insights,
        "arrived_before": "2026-11-01T04:00:00.000Z",
        "difference": difference,
    }


@pytest.mark.parametrize("count", [Count(99), Count(97, 2), Count()])
def test_events_that_insights_counts_and_the_archive_lacks_are_missing(count):
    with pytest.raises(VerificationError, match=r"100 events that arrived before 2026-11-01T04:00:00.000Z") as caught:
        reconcile(count, 100, EXPORTED)
    assert f"holds {count.events} (and {count.ambiguous} ambiguous lines): events are missing" in str(caught.value)
    assert isinstance(caught.value, PermanentError)


# The manifest


def part(number, sizes, count):
    """What the task that read one chunk returned."""
    objects = [
        {**asdict(item), "key": f"{JOB.prefix}/task/{number}-{item.key[-9:]}", "events": 1} for item in stored(sizes)
    ]
    return {"objects": objects, "count": asdict(count)}


def export(objects, size, exported=EXPORTED, notes=()):
    """What the export task returned."""
    return {"task_id": "task", "exported_at": to_ms(exported), "objects": objects, "bytes": size, "notes": list(notes)}


READ = [
    part(0, [10, 20], Count(4, 1, 30, "2026-10-02T00:00:00.000Z", "2026-10-03T00:00:00.000Z")),
    part(1, [5], Count(3, 0, 5, "2026-10-01T00:00:00.000Z", "2026-10-02T12:00:00.000Z")),
]


def manifest(**changes):
    return replace(build_manifest(JOB, export(3, 35), READ, None), **changes)


def test_a_manifest_adds_up_what_was_read():
    assert manifest().to_json() == {
        "version": 1,
        "log_group": "/aws/lambda/orders",
        "month": "2026-10",
        "time_zone": "Asia/Tokyo",
        "window": {"start": "2026-09-30T15:00:00.000Z", "end": "2026-10-31T15:00:00.000Z"},
        "bucket": "log-audit-archive",
        "prefix": "2026/10/logs/aws/lambda/orders",
        "export_task_id": "task",
        "exported_at": "2026-11-01T04:00:00.000Z",
        "objects": READ[0]["objects"] + READ[1]["objects"],
        "events": 7,
        "ambiguous_lines": 1,
        "bytes": 35,
        "first_event": "2026-10-01T00:00:00.000Z",
        "last_event": "2026-10-03T00:00:00.000Z",
        "complete": True,
        "notes": [],
        "state": "provisional",
        "reconciliation": None,
    }


def test_an_export_of_nothing_has_a_manifest_of_nothing():
    made = build_manifest(JOB, export(0, 0), [], 0)
    assert (made.objects, made.events, made.first_event, made.last_event) == ([], 0, None, None)
    assert made.complete


@pytest.mark.parametrize(
    ("listed", "size"),
    [
        pytest.param(4, 40, id="an object was not read"),
        pytest.param(3, 36, id="an object has shrunk"),
        pytest.param(2, 35, id="an object was read that was not listed"),
        pytest.param(0, 0, id="nothing was listed"),
    ],
)
def test_a_manifest_is_refused_unless_all_that_was_listed_was_read(listed, size):
    with pytest.raises(VerificationError) as caught:
        build_manifest(JOB, export(listed, size), READ, None)
    assert str(caught.value).startswith(
        f"/aws/lambda/orders: the export wrote {listed} objects of {size} bytes, but 3 were read"
    )


@pytest.mark.parametrize(
    ("of_the_job", "of_the_export"), [(("a",), ()), ((), ("b",)), (("a",), ("b", "c"))], ids=["job", "export", "both"]
)
def test_notes_make_a_manifest_incomplete(of_the_job, of_the_export):
    made = build_manifest(replace(JOB, notes=of_the_job), export(3, 35, notes=of_the_export), READ, None)
    assert made.notes == [*of_the_job, *of_the_export]
    assert not made.complete


def test_a_manifest_of_a_late_export_is_final():
    assert build_manifest(JOB, export(3, 35, WINDOW.end + timedelta(days=15)), READ, None).state == FINAL


def test_a_manifest_is_reconciled_with_what_had_arrived_twelve_hours_before_the_export():
    assert surely_exported_before(EXPORTED) == EXPORTED - timedelta(hours=12)
    assert build_manifest(JOB, export(3, 35), READ, 6).reconciliation == {
        "insights_events": 6,
        "arrived_before": iso(EXPORTED - timedelta(hours=12)),
        "difference": 1,
    }
    with pytest.raises(VerificationError, match="events are missing"):
        build_manifest(JOB, export(3, 35), READ, 9)


@pytest.mark.parametrize("made", [manifest(), manifest(notes=["日本"], complete=False, reconciliation={"n": 1})])
def test_a_manifest_comes_back_from_json_as_it_was(made):
    assert Manifest.from_json(through_json(made.to_json())) == made


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty"),
        pytest.param({"objects": []}, id="keys missing"),
        pytest.param({**manifest().to_json(), "more": 1}, id="a key too many"),
        pytest.param([], id="a list"),
        pytest.param(None, id="null"),
        pytest.param("text", id="text"),
    ],
)
def test_what_is_no_manifest_is_refused(value):
    with pytest.raises(VerificationError, match="not a manifest of this project"):
        Manifest.from_json(value)


def test_a_summary_counts_the_objects_instead_of_listing_them():
    whole = manifest().to_json()
    assert manifest().summary() == {**whole, "objects": 3, "manifest": JOB.manifest_key}


def sound():
    return [StoredObject(item["key"], item["bytes"], item["etag"]) for item in manifest().objects]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(sound(), [], id="sound"),
        pytest.param(sound()[::-1], [], id="in another order"),
        pytest.param([*sound(), StoredObject("more", 1, "e")], [], id="with an object of somebody else"),
        pytest.param(sound()[1:], [f"{sound()[0].key} is missing"], id="missing"),
        pytest.param(
            [replace(sound()[0], bytes=11), *sound()[1:]], [f"{sound()[0].key} has changed"], id="of another size"
        ),
        pytest.param(
            [sound()[0], replace(sound()[1], etag="f"), sound()[2]], [f"{sound()[1].key} has changed"], id="overwritten"
        ),
        pytest.param([], [f"{item.key} is missing" for item in sound()], id="all gone"),
    ],
)
def test_a_manifest_tells_what_is_missing_or_has_changed(found, said):
    assert manifest().differences(iter(found)) == said
