-- title: AWS Batch was changed by hand, or by a role that is not known to do so
-- severity: medium
-- description: |
--   Calls that change compute and service environments, job queues, job definitions, scheduling policies, consumable
--   resources, quota shares or tags of AWS Batch, whether they went well or not (error_code), by anybody but
--   allowed_roles. Calls about jobs (submit, cancel, terminate, update) are no changes; an operation that AWS adds is
--   one until it is named here. resource is what the request names. The columns identity, temporary and by_service say
--   whether it was root, an IAM user or a role, with temporary credentials or not, through which AWS service, if any.
--   Times are in UTC.
-- runbook: |
--   1. Find the change request or deployment that this belongs to; sessions and source_ip may tell the person.
--   2. Nobody knows: set it back to what your templates say, and revoke the role's sessions or deactivate the keys.
--   3. A role that is meant to do this: list it in allowed_roles, with commas between roles.
-- false_positives: |
--   Deployments whose role is not in allowed_roles yet, and tools that register a job definition for each run.
-- parameters: {allowed_roles: ""}

WITH {{ cloudtrail_events }}
SELECT
  account,
  region,
  identity,
  who,
  temporary,
  by_service,
  sourceipaddress AS source_ip,
  substr(useragent, 1, 200) AS agent,
  eventname AS event,
  resource,
  errorcode AS error_code,
  count(*) AS calls,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time,
  nullif(substr(array_join(array_sort(array_agg(DISTINCT session)), ', '), 1, 300), '') AS sessions
FROM events
WHERE eventsource = 'batch.amazonaws.com'
  -- Reads and jobs are listed and changes are not: an operation that nobody thought of is told, not passed over.
  AND NOT regexp_like(
    coalesce(eventname, ''), '^((Describe|List|Get)[A-Za-z]*|(Submit|Cancel|Terminate|Update)(Service)?Jobs?)$'
  )
  AND (role IS NULL OR NOT contains(split(:allowed_roles, ','), role))
GROUP BY
  account, region, identity, who, temporary, by_service, sourceipaddress, substr(useragent, 1, 200), eventname,
  resource, errorcode
ORDER BY
  first_time, account, region, identity, who, temporary, by_service, source_ip, agent, event, resource, error_code
