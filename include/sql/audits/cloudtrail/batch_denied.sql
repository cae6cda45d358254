-- title: Calls of AWS Batch were denied
-- severity: high
-- description: |
--   Calls of AWS Batch that were refused for want of a right: by error code (AccessDenied, UnauthorizedOperation, keys
--   that AWS does not know, ...), or by a message that says so, as Batch does where a role may not be passed on.
--   error_message is that of the last one. The columns identity, temporary and by_service say whether it was root, an
--   IAM user or a role, with temporary credentials or not, through which AWS service, if any. Times are in UTC.
--   Credentials that have run out are not told.
-- runbook: |
--   1. Who is behind who, sessions and source_ip? Ask them what they were about.
--   2. It is a job or a deployment of ours: give its role the missing right, if it is meant to have it.
--   3. Nobody knows, or it tried many different events: revoke the role's sessions or deactivate the keys, then read
--      in CloudTrail what else they did.
-- false_positives: |
--   A new deployment whose role lacks a right, people who look around in the console, and tools that list everything.

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
  errorcode AS error_code,
  count(*) AS calls,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time,
  nullif(substr(array_join(array_sort(array_agg(DISTINCT session)), ', '), 1, 300), '') AS sessions,
  substr(max_by(errormessage, coalesce(eventtime, '') || coalesce(eventid, '')), 1, 1000) AS error_message
FROM events
WHERE eventsource = 'batch.amazonaws.com'
  AND (
    regexp_like(errorcode, '(?i)denied|unauthori[sz]ed|not_?authori[sz]ed|forbidden|auth_?failure')
    OR regexp_like(errorcode, '(?i)invalidclienttoken|unrecognizedclient|signature|missingauthentication')
    OR regexp_like(errormessage, '(?i)not authori[sz]ed|access ?denied|explicit deny')
  )
GROUP BY
  account, region, identity, who, temporary, by_service, sourceipaddress, substr(useragent, 1, 200), eventname,
  errorcode
ORDER BY calls DESC, account, region, identity, who, temporary, by_service, source_ip, agent, event, error_code
