-- title: Many failed logins to Aurora
-- severity: high
-- description: |
--   A user who failed to log in from one host at least so many times (burst) within so many minutes, the last
--   moment included. attempts, retcodes, first_time and last_time are of all failures in the window; burst_time is when
--   the first burst began. Times are in UTC. Each window is looked at by itself: a burst across its end counts in two
--   parts.
-- runbook: |
--   1. retcode 1045 is a wrong password or an unknown user, 1044 a database without a right to it, 1040 no connection
--      left. Is the host one of ours?
--   2. One of ours: look for a password that was changed in one place only, and what was deployed at burst_time.
--   3. A stranger: close the security group to it, then look in admin_logins and new_client_hosts whether it got in.
-- false_positives: |
--   A service that retries with an old password after a rotation, and security scanners of our own.
-- parameters: {burst: 5, minutes: 10}

WITH failures AS (
  SELECT username, host, retcode, try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
    AND username <> 'rdsadmin'
    AND (operation = 'FAILED_CONNECT' OR (operation = 'CONNECT' AND retcode NOT IN ('0', '')))
), numbered AS (
  SELECT *, row_number() OVER (PARTITION BY username, host) AS place
  FROM failures
), users AS (
  SELECT
    username,
    host,
    count(*) AS attempts,
    array_join(array_sort(array_agg(DISTINCT nullif(retcode, ''))), ', ') AS retcodes,
    min(micros) AS first_micros,
    max(micros) AS last_micros,
    array_sort(array_agg(micros)) AS times,  -- NULLs come last
    array_agg(place) AS places               -- 1 to attempts, in any order
  FROM numbered
  GROUP BY username, host
), bursts AS (
  -- The times that begin a burst: the last of as many failures as make one came soon enough. It is not found by lag or
  -- HAVING, since Athena takes parameters in WHERE only, nor by joining the failures, which would read the log twice.
  SELECT *, element_at(times, place) AS begun
  FROM users CROSS JOIN UNNEST(places) AS p(place)
  WHERE (element_at(times, place + :burst - 1) - element_at(times, place)) / 1e6 <= :minutes * 60
    -- Where a time cannot be read nobody knows how close the failures were: enough of them are told.
    OR (element_at(times, place) IS NULL AND attempts >= :burst)
)
SELECT
  username,
  host,
  attempts,
  retcodes,
  to_iso8601(from_unixtime(min(begun) / 1e6)) AS burst_time,
  to_iso8601(from_unixtime(first_micros / 1e6)) AS first_time,
  to_iso8601(from_unixtime(last_micros / 1e6)) AS last_time
FROM bursts
GROUP BY username, host, attempts, retcodes, first_micros, last_micros
ORDER BY attempts DESC, username, host
