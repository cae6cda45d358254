-- title: Schedules share a role and cannot be told apart
-- severity: medium
-- description: |
--   Roles with which EventBridge Scheduler called more than one target: different services or events, or the same one
--   for different things, where the request names them (a workflow, a job definition, a state machine, ...; revisions
--   of one definition are one thing). CloudTrail names no schedule, so nobody can say which of them ran or failed.
--   Calls for ECS tasks whose startedBy names the schedule are left out. Schedules that share a role and the target as
--   well are not found here. Times are in UTC.
-- runbook: |
--   1. List the schedules that use the role: aws scheduler list-schedules, then get-schedule for each.
--   2. Give each schedule a role of its own, which may do no more than its one call.
-- false_positives: |
--   One schedule whose target was changed within the day, or whose request names something new each time.

WITH {{ cloudtrail_events }}, calls AS (
  SELECT
    account, region, eventtime,
    coalesce(role, who) AS role,
    coalesce(eventsource, '') || ' ' || coalesce(eventname, '') AS what,
    regexp_replace(resource, ':[0-9]+$', '') AS resource
  FROM events
  WHERE useragent LIKE 'AmazonEventBridgeScheduler%'
    AND coalesce(json_extract_scalar(requestparameters, '$.startedBy'), '') NOT LIKE 'chronos-schedule/%'
), kinds AS (
  SELECT
    account, region, role, what,
    -- A call that was denied may come without its request: that makes no second target.
    greatest(count(DISTINCT resource), 1) AS targets,
    coalesce(array_join(array_sort(array_agg(DISTINCT resource)), ', '), '') AS names,
    count(*) AS calls,
    min(eventtime) AS first_time,
    max(eventtime) AS last_time
  FROM calls
  GROUP BY account, region, role, what
)
SELECT
  account,
  region,
  role,
  sum(targets) AS targets,
  substr(array_join(array_sort(array_agg(trim(what || ' ' || names))), '; '), 1, 1000) AS called,
  sum(calls) AS calls,
  min(first_time) AS first_time,
  max(last_time) AS last_time
FROM kinds
GROUP BY account, region, role
HAVING sum(targets) > 1
ORDER BY targets DESC, calls DESC, account, region, role
