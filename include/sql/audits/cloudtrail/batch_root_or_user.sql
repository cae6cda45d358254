-- title: Root or an IAM user called AWS Batch
-- severity: critical
-- description: |
--   Calls of AWS Batch by the root user, with credentials that root made, or with the keys of an IAM user, which live
--   until somebody takes them away. signed_with says what the call was signed with: a long-lived access key, or the
--   session that a user gets in the console or with MFA, which comes from a password or key all the same. by_service is
--   the AWS service that made the call for the user, if one did. Times are in UTC.
-- runbook: |
--   1. Root: who has its password, and was this announced? If not, change password and MFA, delete its access keys.
--   2. An IAM user: ask its owner. Nobody knows: deactivate the access key, then read what else it did.
--   3. The work is meant to be done: give it a role, or a person single sign-on, and delete the user's keys.
-- false_positives: |
--   Break-glass users and services outside AWS that cannot take on a role: tell them apart by who and source_ip.

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
  -- By the key's first letters, which IAM documents.
  CASE
    WHEN accesskeyid LIKE 'AKIA%' THEN 'access key'
    WHEN accesskeyid LIKE 'ASIA%' THEN 'session'
    ELSE 'unknown'
  END AS signed_with,
  count(*) AS calls,
  count_if(failed) AS errors,
  min(eventtime) AS first_time,
  max(eventtime) AS last_time
FROM events
WHERE eventsource = 'batch.amazonaws.com'
  AND (identity = 'Root' OR issuer_type = 'Root' OR (identity = 'IAMUser' AND NOT temporary))
GROUP BY
  account, region, identity, who, temporary, by_service, sourceipaddress, substr(useragent, 1, 200), eventname,
  CASE
    WHEN accesskeyid LIKE 'AKIA%' THEN 'access key'
    WHEN accesskeyid LIKE 'ASIA%' THEN 'session'
    ELSE 'unknown'
  END
ORDER BY identity DESC, calls DESC, account, region, who, temporary, by_service, source_ip, agent, event, signed_with
