-- title: An administrator logged in to Aurora
-- severity: high
-- description: |
--   Successful logins by the administrators' accounts (admin_users), by user and host. Times are in UTC.
--   Failed ones are another audit's: failed_logins.
-- runbook: |
--   1. Who is behind username and host, and was this work announced? Ask them.
--   2. If nobody knows, change the account's password, and end its sessions with CALL mysql.rds_kill(...).
--   3. Read what was done: the same user and host in the audit log from first_time on, and privileged_statements.
-- false_positives: |
--   Announced maintenance, and jobs that use the administrator's account: give each of them an account of its own.
-- parameters: {admin_users: [admin, root]}

WITH logins AS (
  SELECT username, host, try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
    AND operation = 'CONNECT' AND retcode = '0'
    AND username <> 'rdsadmin' AND contains(split(:admin_users, ','), username)
)
SELECT
  username,
  host,
  count(*) AS logins,
  to_iso8601(from_unixtime(min(micros) / 1e6)) AS first_time,
  to_iso8601(from_unixtime(max(micros) / 1e6)) AS last_time
FROM logins
GROUP BY username, host
ORDER BY logins DESC, username, host
