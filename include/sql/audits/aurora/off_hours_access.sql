-- title: People's accounts used Aurora outside working hours
-- severity: medium
-- description: |
--   What accounts other than service_users did before from_hour or from to_hour on, or on a day that is none of
--   workdays, all in the business time zone: by user and host, with first and last time in UTC. events are logins,
--   statements and uses of tables; failed logins (another audit's) and ends of sessions are no use.
-- runbook: |
--   1. Ask the account's owner whether it was them, from that host.
--   2. It was not: change the password, end the sessions with CALL mysql.rds_kill(...), read what was done since then.
--   3. It is a service that works at night: add its account to service_users.
-- false_positives: |
--   People on call, holidays that are worked through, and accounts of services that are not in service_users yet.
-- parameters:
--   service_users: [shop_app, shop_batch, backoffice]
--   workdays: [Mon, Tue, Wed, Thu, Fri]
--   from_hour: 7
--   to_hour: 21

-- Services are listed and people are not: an account that nobody thought of is told, not passed over.
WITH uses AS (
  SELECT username, host, operation, try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
    AND username <> 'rdsadmin' AND NOT contains(split(:service_users, ','), username)
    AND (
      operation IN ('QUERY', 'READ', 'WRITE', 'CREATE', 'ALTER', 'RENAME', 'DROP')
      OR (operation = 'CONNECT' AND retcode = '0')
    )
    AND NOT (
      CAST(hour AS integer) >= :from_hour AND CAST(hour AS integer) < :to_hour
      AND contains(split(:workdays, ','), element_at(
        ARRAY['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], day_of_week(CAST(day AS date))
      ))
    )
)
SELECT
  username,
  host,
  count(*) AS events,
  count_if(operation = 'CONNECT') AS logins,
  count_if(operation = 'QUERY') AS statements,
  to_iso8601(from_unixtime(min(micros) / 1e6)) AS first_time,
  to_iso8601(from_unixtime(max(micros) / 1e6)) AS last_time
FROM uses
GROUP BY username, host
ORDER BY events DESC, username, host
