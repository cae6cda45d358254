-- title: A schedule did not run, or its call failed
-- severity: high
-- description: |
--   Each schedule of EventBridge Scheduler is held against the calls that CloudTrail has of it: those that should have
--   come and did not, and those that failed. A call belongs to a schedule by role, service and event, within the
--   flexible window; of an ECS task also by startedBy, which names the schedule. Not told: schedules that cannot be
--   seen (data planes, a role that schedules share), and whether the job that was begun went well. Times are in UTC.
-- runbook: |
--   1. Failed: error_code and error_message say why; mend the role's policy, or the target that is gone.
--   2. Missing: was the schedule disabled or changed, and by whom (UpdateSchedule in CloudTrail)? May
--      scheduler.amazonaws.com still assume its role? The group's metrics in AWS/Scheduler tell of errors and drops.
--   3. Look in the schedule's dead-letter queue: what was given up lies there, with the reason.
--   4. Do by hand what was not done, if it cannot wait for the next time.
-- false_positives: |
--   A schedule that was changed within the window, records that CloudTrail delivers later than the settings allow, and
--   an account or region that the trail does not cover.
-- parameters: {calls_end: ""}

-- All calls of Scheduler, one row each: expected and actual are compared elsewhere. A call may come a while after its
-- time, so they go on until calls_end; where that is empty, until the window's end. For this it cannot use the macro
-- cloudtrail_events, which explains what is the same here. error_code is there for each call that failed.
SELECT
  eventtime AS time,
  role,
  eventsource AS source,
  eventname AS event,
  errorcode AS error_code,
  errormessage AS error_message,
  json_extract_scalar(requestparameters, '$.startedBy') AS started_by,
  eventid AS event_id,
  account,
  region
FROM (
  SELECT
    account, region, eventtime, eventid, eventsource, eventname, requestparameters,
    coalesce(
      CASE WHEN coalesce(useridentity.sessioncontext.sessionissuer.type, 'Role') = 'Role'
        THEN nullif(useridentity.sessioncontext.sessionissuer.username, '') END,
      regexp_extract(useridentity.arn, ':assumed-role/([^/]+)', 1)
    ) AS role,
    coalesce(nullif(errorcode, ''), nullif(substr(errormessage, 1, 100), '')) AS errorcode,
    nullif(substr(errormessage, 1, 1000), '') AS errormessage,
    row_number() OVER (PARTITION BY eventid ORDER BY day, account, region, eventtime, requestid) AS copy_number
  FROM (
    SELECT
      *,
      CASE
        WHEN regexp_like(eventtime, '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$')
          THEN substr(eventtime, 1, 19) || 'Z'
        ELSE replace(day, '/', '-') || 'T00:00:00Z'
      END AS happened
    FROM cloudtrail
    WHERE day BETWEEN :first_day AND :last_day AND useragent LIKE 'AmazonEventBridgeScheduler%'
  ) AS published
  WHERE happened >= :window_start AND happened < coalesce(nullif(:calls_end, ''), :window_end)
) AS happenings
WHERE copy_number = 1 OR nullif(eventid, '') IS NULL
ORDER BY time, account, region, source, event, role, event_id
