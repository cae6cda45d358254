-- title: Calls of EventBridge Scheduler failed
-- severity: high
-- description: |
--   Calls that EventBridge Scheduler made and that failed: by role, service, event, what the request names, error code
--   and error message, in which long ids count as alike. error_message and request_parameters are those of the last
--   one; values of name and value pairs, such as environment variables, are left out. Times are in UTC.
--   Scheduler tries again as its retry policy says, so one execution may fail several times, and a later try may have
--   gone well: scheduler_executions has both numbers.
-- runbook: |
--   1. Which schedule is it? The one with this role and target; of an ECS task, startedBy in the parameters names it.
--   2. AccessDenied: mend the role's policy. NotFound: the target is gone or was renamed. Throttling: spread the
--      schedules, or use flexible time windows.
--   3. Do by hand what the schedule did not do, if it cannot wait for the next time.
--   4. Look in the schedule's dead-letter queue for executions that were given up.
-- false_positives: |
--   A target that is meant to refuse a second start while the first one runs (Glue: ConcurrentRunsExceededException).

WITH {{ cloudtrail_events }}, failures AS (
  SELECT
    account, region, eventtime, eventsource, eventname, errorcode, resource,
    coalesce(role, who) AS role,
    substr(errormessage, 1, 1000) AS message,
    -- The name of a session, a request's id: they differ from call to call.
    regexp_replace(substr(errormessage, 1, 1000), '[0-9A-Fa-f-]{20,}', '*') AS likeness,
    -- Before it is cut: of a value that was cut in two the first half would stay.
    substr(
      regexp_replace(requestparameters, '(?i)"value"\s*:\s*"[^"\\]*(\\.[^"\\]*)*"', '"value":"***"'), 1, 1000
    ) AS parameters,
    coalesce(eventtime, '') || coalesce(eventid, '') AS place
  FROM events
  WHERE useragent LIKE 'AmazonEventBridgeScheduler%' AND failed
)
SELECT
  account,
  region,
  role,
  eventsource AS service,
  eventname AS event,
  errorcode AS error_code,
  max_by(message, place) AS error_message,
  count(*) AS failures,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time,
  max_by(parameters, place) AS request_parameters
FROM failures
GROUP BY account, region, role, eventsource, eventname, errorcode, resource, likeness
ORDER BY failures DESC, first_time, account, region, role, service, event, resource, error_code, likeness
