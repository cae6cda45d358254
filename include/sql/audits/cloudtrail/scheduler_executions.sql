-- title: What EventBridge Scheduler called
-- severity: info
-- description: |
--   The calls that EventBridge Scheduler made, by role, service and event, with how many of them failed. Times are in
--   UTC. CloudTrail names no schedule: a schedule shows up here by a role that no other schedule has.
--   Calls to data planes (Lambda Invoke, SQS SendMessage, ...) are not recorded unless the trail records data events,
--   and a call that went well says nothing about the job that it began.
-- runbook: |
--   1. failures: the audit scheduler_failures has the reasons.
--   2. A role is missing that should be there, or has fewer calls than before: look at its schedule's state, its end
--      date, and whether scheduler.amazonaws.com may still assume the role.
--   3. A role that nobody knows: find the schedule that uses it, and who made it (CreateSchedule in CloudTrail).
-- false_positives: |
--   None: this is a list of what happened. Whoever wants to pass for Scheduler can write its name into a user agent.

WITH {{ cloudtrail_events }}
SELECT
  account,
  region,
  coalesce(role, who) AS role,
  eventsource AS service,
  eventname AS event,
  count(*) AS calls,
  count_if(failed) AS failures,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time
FROM events
-- A comma follows in older records, a space in newer ones.
WHERE useragent LIKE 'AmazonEventBridgeScheduler%'
GROUP BY account, region, coalesce(role, who), eventsource, eventname
ORDER BY failures DESC, calls DESC, account, region, role, service, event
