// Was every hour and every day audited?
import { ask } from "./api.js";
import { runPage } from "./airflow.js";
import { address, go } from "./address.js";
import { h, listed, number, plural } from "./dom.js";
import { facts, followAddress, grid, headline, legend, openSheet, stateName } from "./parts.js";
import { label, meaning } from "./states.js";
import { shiftMonth, weekday } from "./time.js";

const BAD = ["failed", "not_delivered", "not_audited"];

export async function draw(place, signal, show) {
  const answer = await ask("audits", { month: place.month, day: place.day }, signal);
  show(answer, summary(answer), months(answer), aurora(answer), hours(answer), accounts(answer),
    legend(["audited", "found", "empty", "failed", "not_delivered", "not_audited", "running", "waiting", "unknown"]));
  followAddress("window", (window) => openFromAddress(answer, window));
}

function summary(answer) {
  const counts = {};
  for (const cluster of answer.clusters) for (const day of Object.values(cluster.days)) add(counts, day.counts);
  const days = {};
  for (const account of answer.accounts) for (const day of Object.values(account.days)) add(days, { [day.state]: 1 });
  const parts = [...troubles(counts, "window"), ...troubles(days, "CloudTrail day")];
  const looked = `${plural((counts.audited ?? 0) + (counts.empty ?? 0), "window")} of ${plural(answer.clusters.length, "Aurora cluster")} and ${plural(days.audited ?? 0, "CloudTrail day")} audited in ${answer.month}.`;
  const none = counts.empty ? ` ${plural(counts.empty, "window")} had not a single line.` : "";
  if (parts.length) return headline("bad", listed(parts), h("p", { class: "muted" }, looked, none));
  if (!answer.clusters.length && !answer.accounts.length) return headline("plain", "Nothing to audit is in the settings");
  if (!counts.audited && !counts.empty && !days.audited) return headline("plain", `No audit is known of ${answer.month}`, h("p", { class: "muted" }, "Nothing has been delivered yet, or Airflow has purged what it knew of it."));
  return headline("good", "Everything that is due was audited", h("p", { class: "muted" }, looked, none));
}

const WORDS = { failed: ["failed", "failed"], not_delivered: ["was not delivered", "were not delivered"], not_audited: ["was not audited", "were not audited"] };

function troubles(counts, thing) {
  return BAD.filter((state) => counts[state]).map((state) => `${plural(counts[state], thing)} ${WORDS[state][counts[state] === 1 ? 0 : 1]}`);
}

function add(sum, counts) {
  for (const [state, count] of Object.entries(counts)) sum[state] = (sum[state] ?? 0) + count;
}

function months(answer) {
  const to = (month) => go({ month, day: "", window: "" });
  const last = answer.today.slice(0, 7);
  return h("div", { class: "controls" },
    h("button", { type: "button", id: "earlier", onclick: () => to(shiftMonth(answer.month, -1)) }, "‹ Earlier"),
    h("label", {}, "Month ", h("input", { type: "month", id: "month", value: answer.month, max: last, onchange: (event) => event.target.value && to(event.target.value) })),
    h("button", { type: "button", id: "later", disabled: answer.month >= last, onclick: () => to(shiftMonth(answer.month, 1)) }, "Later ›"),
    h("span", { class: "muted small" }, `Days and hours begin in ${answer.zone}.`));
}

const dayColumns = (answer) => answer.days.map((day) => ({
  key: day, label: `${weekday(day)} ${day}`, class: day === answer.day ? "today" : "",
  head: [h("span", { class: "year" }, weekday(day).slice(0, 2)), String(Number(day.slice(8)))],
}));

function clusterRows(answer) {
  return answer.clusters.map((cluster) => ({ ...cluster, key: cluster.cluster, label: cluster.cluster, head: h("bdi", {}, cluster.cluster) }));
}

function aurora(answer) {
  if (!answer.clusters.length) return null;
  return h("section", { class: "block" },
    h("div", { class: "block-head" }, h("h2", {}, "Aurora: clusters by day"), h("span", { class: "muted small" }, "A day is called by its worst hour. Choose one to see its hours.")),
    grid({
      caption: "Aurora clusters by day", corner: "Cluster", compact: true, rows: clusterRows(answer), columns: dayColumns(answer),
      cell: (row, column) => dayCell(row.days[column.key], column.key, row, answer),
      open: (row, column) => go({ day: column.key, window: "" }),
    }));
}

function dayCell(day, key, row, answer) {
  if (!day) return null;
  const order = [...BAD, "running", "empty", "audited", "waiting", "unknown"];
  const told = order.filter((state) => day.counts[state]).map((state) => `${number(day.counts[state])} ${label(state)}`);
  const found = day.found ? [plural(day.found, "finding")] : [];
  const bad = BAD.reduce((sum, state) => sum + (day.counts[state] ?? 0), 0);
  return {
    state: day.state === "audited" && day.found ? "found" : day.state,
    text: bad ? number(bad) : "",
    label: [...told, ...found].join(", "),
    tip: `${row.label} · ${weekday(key)} ${key}\n${[...told, ...found].join("\n")}`,
    selected: key === answer.day,
  };
}

function hours(answer) {
  const rows = clusterRows(answer).filter((row) => Object.keys(row.windows).length);
  if (!rows.length) return null;
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.windows)))].sort();
  const head = (key) => (key.length > 10 ? key.slice(11) : "day");
  return h("section", { class: "block" },
    h("div", { class: "block-head" }, h("h2", { id: "hours" }, `Aurora: hours of ${weekday(answer.day)} ${answer.day}`)),
    grid({
      caption: `Aurora clusters by hour of ${answer.day}`, corner: "Cluster", compact: true, rows,
      columns: keys.map((key) => ({ key, head: head(key), label: key.replace("T", " at ") })),
      cell: (row, column) => windowCell(row.windows[column.key], `${row.label} · ${column.key.replace("T", " ")}`),
      open: (row, column) => openWindow(row, column.key, row.windows[column.key], `${row.cluster}/${column.key}`, "aurora_audit"),
    }));
}

function windowCell(cell, name) {
  if (!cell) return null;
  const found = Object.entries(cell.found ?? {});
  const told = found.map(([query, count]) => `${query}: ${number(count)}`).join("\n");
  const state = found.length && cell.state === "audited" ? "found" : cell.state;
  return { state, text: found.length ? number(found.length) : "", label: [label(state), told.replaceAll("\n", ", ")].filter(Boolean).join(": "), tip: [name, label(state), told].filter(Boolean).join("\n") };
}

function accounts(answer) {
  if (!answer.accounts.length) return null;
  const rows = answer.accounts.map((row) => ({ ...row, key: row.target, label: row.target, head: [row.target, h("span", { class: "target" }, ` ${row.accounts.join(", ")}`)] }));
  return h("section", { class: "block" },
    h("div", { class: "block-head" }, h("h2", {}, "CloudTrail: accounts by day"), h("span", { class: "muted small" }, "Schedules and AWS Batch, each day the day before.")),
    grid({
      caption: "CloudTrail accounts by day", corner: "Target", compact: true, rows, columns: dayColumns(answer),
      cell: (row, column) => windowCell(row.days[column.key], `${row.label} · ${weekday(column.key)} ${column.key}`),
      open: (row, column) => openWindow(row, column.key, row.days[column.key], column.key, "cloudtrail_audit"),
    }));
}

function openFromAddress(answer, window) {
  const [dag, key, target] = window.split("|");
  if (dag === "aurora_audit") {
    const [cluster, when] = key.split("/");
    const row = answer.clusters.find((entry) => entry.cluster === cluster);
    if (row?.windows[when]) openWindow(row, when, row.windows[when], key, dag);
  } else {
    const row = answer.accounts.find((entry) => entry.target === target);
    if (row?.days[key]) openWindow(row, key, row.days[key], key, dag);
  }
}

function openWindow(row, when, cell, key, dag) {
  go({ window: [dag, key, row.target].join("|") }, { quiet: true });
  const found = Object.entries(cell.found ?? {});
  const day = when.slice(0, 10);
  const list = (query) => address({ view: "findings", query, text: key, first: day });
  openSheet(
    `${row.cluster ?? row.target} · ${when.replace("T", " ")}`,
    [
      facts([
        ["State", h("span", {}, stateName(found.length && cell.state === "audited" ? "found" : cell.state), h("p", { class: "muted" }, meaning(cell.state)))],
        ["Findings", found.length ? h("ul", {}, found.map(([query, count]) => h("li", {}, h("a", { href: list(query) }, query), `: ${number(count)}`))) : cell.state === "audited" ? "none" : ""],
        ["Target", row.target],
        ["Key", h("code", {}, key)],
      ]),
      h("div", { class: "links" }, cell.run ? h("a", { href: runPage(dag, cell.run) }, `Run of ${dag}`) : null),
      ADVICE[cell.state] ? h("section", { class: "block" }, h("h3", {}, "What to do"), h("p", {}, ADVICE[cell.state])) : null,
    ],
    () => go({ window: "" }, { quiet: true }),
  );
}

const ADVICE = {
  failed: "Open the run: the red task's last lines say what to change. Clear it with the tasks downstream of it; the others have looked.",
  not_delivered: "See in ECS whether the task that ships this window ran, and why it ended. Ship the window again, then audit it with the DAG aurora_replay.",
  not_audited: "See whether the DAG is paused. Windows that came meanwhile are audited by aurora_replay; days of CloudTrail by a backfill of cloudtrail_audit.",
  empty: "The cluster may have been idle, or its data has not arrived: look at the S3 folder of this hour.",
};

