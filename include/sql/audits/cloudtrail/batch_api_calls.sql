-- title: Calls of AWS Batch
-- severity: info
-- description: |
--   Who called AWS Batch, from which address, with which agent, what, how often, and how many of the calls failed.
--   identity says whether it was root, an IAM user, a role or something else; temporary whether with the temporary
--   credentials of a role or a federated user; by_service which AWS service made the call, or no. Times are in UTC.
-- runbook: |
--   1. A caller, an address or an agent that nobody knows: find its first call in CloudTrail's event history.
--   2. errors: look at the error codes of these calls; batch_denied has those that were denied.
-- false_positives: |
--   None: this is a list of what happened.

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
  count(*) AS calls,
  count_if(failed) AS errors,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time
FROM events
WHERE eventsource = 'batch.amazonaws.com'
GROUP BY
  account, region, identity, who, temporary, by_service, sourceipaddress, substr(useragent, 1, 200), eventname
ORDER BY calls DESC, account, region, identity, who, temporary, by_service, source_ip, agent, event
