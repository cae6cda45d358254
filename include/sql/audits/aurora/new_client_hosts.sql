-- title: A user of Aurora logged in from a new host
-- severity: medium
-- description: |
--   Successful logins from a host that the user has not logged in from in the history: the days before (history_days)
--   and the earlier hours of the same day. first_seen is user where the user has no login in the history at all, from
--   any host, else host; known_hosts is how many hosts the user came from. Times are in UTC.
--   Silent where the days before hold no log of the cluster at all: in the archive's first day nothing is new. While
--   the archive is younger than the history, what is done seldom looks new.
-- runbook: |
--   1. Whose address is it: a new server or container of ours, an office, a VPN, or nobody's?
--   2. first_seen is user: who created the account, and when? Look in privileged_statements for its CREATE USER.
--   3. Nobody knows: close the security group to the host, change the password, read what was done from first_time on.
-- false_positives: |
--   Services on hosts that come and go (containers, functions, auto scaling): list their accounts in ignored_users,
--   with commas between them.
-- history_days: 30
-- parameters: {ignored_users: ""}

-- Every line counts as history of the cluster, Aurora's own health checks too: they prove that its log was there.
WITH events AS (
  SELECT
    username, host, true AS in_days_before, false AS in_window,
    operation = 'CONNECT' AND retcode = '0' AS is_login,
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day >= :history_start AND day < :day
  UNION ALL
  SELECT
    username, host, false AS in_days_before, false AS in_window,
    operation = 'CONNECT' AND retcode = '0' AS is_login,
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour < :first_hour
  UNION ALL
  SELECT
    username, host, false AS in_days_before, true AS in_window,
    operation = 'CONNECT' AND retcode = '0' AS is_login,
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
), hosts AS (
  SELECT
    username,
    host,
    count_if(in_days_before) AS lines_before,
    count_if(is_login AND NOT in_window) AS logins_before,
    count_if(is_login AND in_window) AS logins,
    min(CASE WHEN is_login AND in_window THEN micros END) AS first_micros,
    max(CASE WHEN is_login AND in_window THEN micros END) AS last_micros
  FROM events
  GROUP BY username, host
), compared AS (
  SELECT
    *,
    sum(lines_before) OVER () AS lines_of_cluster,
    count_if(logins_before > 0) OVER (PARTITION BY username) AS known_hosts
  FROM hosts
)
SELECT
  username,
  host,
  CASE WHEN known_hosts = 0 THEN 'user' ELSE 'host' END AS first_seen,
  known_hosts,
  logins,
  to_iso8601(from_unixtime(first_micros / 1e6)) AS first_time,
  to_iso8601(from_unixtime(last_micros / 1e6)) AS last_time
FROM compared
WHERE logins > 0 AND logins_before = 0 AND lines_of_cluster > 0
  AND username <> 'rdsadmin' AND NOT contains(split(:ignored_users, ','), username)
ORDER BY first_seen DESC, username, host
