// The names of states, and what they mean. A shape goes with each colour.

export const STATES = {
  final: ["final", "Archived and verified. What could arrive late has arrived; nothing more can come."],
  provisional: ["provisional", "Archived and verified. Events may still arrive until 15 days after the month's end."],
  incomplete: ["incomplete", "Archived and verified, but the export could not hold the whole month."],
  missing: ["missing", "Nothing is archived, and nobody tried."],
  failed: ["failed", "The last try failed."],
  running: ["running", "Under way, or queued."],
  nothing: ["nothing to export", "There was nothing to export for this month."],
  waiting: ["not due yet", "It is too early."],
  audited: ["audited", "Every audit has looked."],
  found: ["findings", "Every audit has looked, and something was found."],
  empty: ["empty", "Audited, but the window had not a single line."],
  not_delivered: ["not delivered", "No audit log was delivered for this window."],
  not_audited: ["not audited", "Nobody has looked. Is the DAG paused?"],
  unknown: ["no record", "Airflow knows nothing of it: it is older than what is watched, or was purged."],
  clean: ["clean", "Looked at; nothing found."],
  gap: ["not looked at", "No run has covered this time."],
};

export const label = (state) => STATES[state]?.[0] ?? state;
export const meaning = (state) => STATES[state]?.[1] ?? "";
