-- title: Rights, accounts, settings or tables of Aurora were changed outside the change window
-- severity: high
-- description: |
--   Statements that change rights and accounts (GRANT, REVOKE, CREATE USER, SET PASSWORD, ...), settings (SET GLOBAL,
--   FLUSH, CALL mysql.rds_..., ...) or tables and other objects (CREATE, ALTER, DROP, RENAME, TRUNCATE), and LOAD DATA,
--   whether they went well (retcode 0) or not. Temporary tables are left out. Times are in UTC.
--   Silent on change_days from change_from_hour until change_to_hour (itself not included) of the business time zone;
--   a window past midnight, such as 22 until 2, belongs to the day on which it begins.
--   The cluster's server_audit_events must have QUERY, or QUERY_DDL and QUERY_DCL.
-- runbook: |
--   1. Find the change request or the deployment that this belongs to; ask whoever owns username and host.
--   2. Nobody knows: take the rights back (REVOKE, DROP USER), change the account's password, end its sessions.
--   3. retcode is not 0: it was refused, so somebody tried. Look at what else the user and host did.
--   4. A table is gone or emptied: a clone of the cluster from a point in time just before brings it back.
-- false_positives: |
--   Migrations and emergencies outside the change window. The log loses line breaks, so a statement that begins with
--   a -- comment may be told for words of that comment.
-- parameters: {change_days: [Tue, Thu], change_from_hour: 10, change_to_hour: 12}

-- Each statement stands in the log as a QUERY and, where it changes a table, as CREATE, ALTER, DROP or RENAME events
-- of that table with the same queryid as well. Only the QUERY is read, so nothing is told twice.
--
-- Aurora writes line breaks, tabs and form feeds as \n, \r, \t and \f, and OpenCSVSerde drops the backslash: so
-- [\snrtf] is any blank, and [\nnr] may be where a -- comment ends.
WITH statements AS (
  SELECT
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros,
    username, host, "database", object, retcode, queryid,
    CAST(hour AS integer) AS at_hour,
    CAST(day AS date) AS at_day,
    -- Without comments, and with what MySQL reads in /*! ... */. Not the whole of a long text: a hostile one, all of
    -- beginnings of comments, would keep Athena busy for very long.
    regexp_replace(
      substr(object, 1, 10000),
      '/\*([^*!][^*]*)?\*+([^/*][^*]*\*+)*/|/\*![0-9]*|\*/',
      ' '
    ) AS words
  FROM aurora_audit_log
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
    AND operation = 'QUERY' AND username <> 'rdsadmin'
)
SELECT
  to_iso8601(from_unixtime(micros / 1e6)) AS time,
  username,
  host,
  "database",
  object AS statement,
  retcode
FROM statements
WHERE (
    regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?(alter|create|drop|rename|truncate)([^a-z0-9_]|[nrtf])')
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?(change|flush|grant|purge|revoke)([^a-z0-9_]|[nrtf])')
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?((un)?install|reset|shutdown)([^a-z0-9_]|[nrtf]|$)')
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?load[\snrtf]+(data|xml)([^a-z0-9_]|[nrtf])')
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?call[\snrtf]*`?mysql`?[\snrtf]*\.')
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?set[\snrtf]+(password|default[\snrtf]+role)([^a-z0-9_]|[nrtf])')
    -- It may stand behind another variable, but not in quotes.
    OR regexp_like(words,
      '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?set[\snrtf]*([^''"]*,[\snrtf]*)?(@@)?(global|persist)[\snrtf_.]')
    -- Behind a comment that is longer than what is read here may stand anything.
    OR regexp_like(words, '^[\snrtf(]*/\*')
  )
  AND NOT regexp_like(words,
    '(?is)^[\snrtf(]*((--|#).*[\nnr][\snrtf]{0,40})?(create|drop)[\snrtf]+(temporary|prepare)([^a-z0-9_]|[nrtf])')
  AND NOT (
    contains(split(:change_days, ','), element_at(
      ARRAY['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'],
      day_of_week(CASE
        WHEN :change_from_hour >= :change_to_hour AND at_hour < :change_to_hour THEN date_add('day', -1, at_day)
        ELSE at_day
      END)
    ))
    AND CASE
      WHEN :change_from_hour < :change_to_hour THEN at_hour >= :change_from_hour AND at_hour < :change_to_hour
      ELSE at_hour >= :change_from_hour OR at_hour < :change_to_hour
    END
  )
ORDER BY micros, username, host, queryid, object, retcode
