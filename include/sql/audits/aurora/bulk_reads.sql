-- title: A user read unusually much from Aurora
-- severity: medium
-- description: |
--   A user who read very often from one host within an hour of the business time zone, or exported data; why says which
--   of these: so many READ events of tables (many_reads) or SELECT statements (many_selects), SELECT INTO OUTFILE, a
--   dump as mysqldump makes it. The log does not tell how many rows were read. service_users are told for exports
--   only. statement is one of the exports. Times are in UTC.
-- runbook: |
--   1. Ask the account's owner: a report, a backup, a migration?
--   2. Nobody knows: end the sessions with CALL mysql.rds_kill(...) and change the password.
--   3. What was read? Look at the READ events of the user and host: are there personal data among those tables?
--   4. A report or job that is meant to read so much: give it an account of its own, and add that to service_users.
-- false_positives: |
--   Backups and exports that are planned, BI tools, load tests.
-- parameters:
--   service_users: [shop_app, shop_batch, backoffice]
--   many_reads: 10000
--   many_selects: 5000

-- Aurora writes line breaks, tabs and form feeds as \n, \r, \t and \f, and OpenCSVSerde drops the backslash: so
-- [\snrtf] is any blank, and [\nnr] may be where a -- comment ends.
WITH events AS (
  SELECT
    username, host, hour, operation, "database", object,
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros,
    -- Without comments, and with what MySQL reads in /*! ... */.
    regexp_replace(
      substr(object, 1, 10000),
      '/\*([^*!][^*]*)?\*+([^/*][^*]*\*+)*/|/\*![0-9]*|\*/',
      ' '
    ) AS words,
    -- Without what stands in quotes and comments. Not the whole of a very long text: a hostile one, all of beginnings
    -- of comments, would keep Athena busy for very long.
    regexp_replace(
      substr(object, 1, 50000),
      '(?s)''[^''\\]*(\\.[^''\\]*)*''|"[^"\\]*(\\.[^"\\]*)*"|`[^`]*`|/\*([^*!][^*]*)?\*+([^/*][^*]*\*+)*/',
      ' '
    ) AS bare
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
    AND operation IN ('READ', 'QUERY') AND username <> 'rdsadmin'
), told AS (
  SELECT
    *,
    operation = 'READ' AS is_read,
    operation = 'QUERY' AND regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?(select|with)([^a-z0-9_]|[nrtf])') AS is_select,
    operation = 'QUERY' AND regexp_like(bare, '(?i)into[\snrtf]+(outfile|dumpfile)([^a-z0-9_]|[nrtf])') AS is_file,
    operation = 'QUERY' AND regexp_like(object, '(?i)^[\snrtf]*select[\snrtf]+/\*!40001 sql_no_cache \*/') AS is_dump
  FROM events
), counted AS (
  SELECT
    username,
    host,
    hour,
    count_if(is_read) AS reads,
    count_if(is_select) AS selects,
    count_if(is_file) AS files,
    count_if(is_dump) AS dumps,
    count(DISTINCT CASE WHEN is_read THEN "database" || '.' || object END) AS tables,
    min(CASE WHEN is_file OR is_dump THEN object END) AS statement,
    min(micros) AS first_micros,
    max(micros) AS last_micros
  FROM told
  GROUP BY username, host, hour
), judged AS (
  -- Each with every reason that holds, since Athena takes parameters in WHERE only.
  SELECT *
  FROM counted
  CROSS JOIN (VALUES (1, 'many reads'), (2, 'many selects'), (3, 'into outfile'), (4, 'dump')) AS reasons(place, reason)
  WHERE (reason = 'many reads' AND reads >= :many_reads AND NOT contains(split(:service_users, ','), username))
    OR (reason = 'many selects' AND selects >= :many_selects AND NOT contains(split(:service_users, ','), username))
    OR (reason = 'into outfile' AND files > 0)
    OR (reason = 'dump' AND dumps > 0)
)
SELECT
  username,
  host,
  hour,
  reads,
  selects,
  tables,
  array_join(array_agg(reason ORDER BY place), ', ') AS why,
  statement,
  to_iso8601(from_unixtime(first_micros / 1e6)) AS first_time,
  to_iso8601(from_unixtime(last_micros / 1e6)) AS last_time
FROM judged
GROUP BY username, host, hour, reads, selects, tables, statement, first_micros, last_micros
ORDER BY hour, reads DESC, selects DESC, username, host
