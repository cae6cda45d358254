// Do the schedules of EventBridge Scheduler run?
import { ask } from "./api.js";
import { runPage } from "./airflow.js";
import { go } from "./address.js";
import { debounced, foreign, h, icon, listed, number, plural } from "./dom.js";
import { empty, headline, pages, table } from "./parts.js";

const MARKS = { failed: "failed", missing: "missing", late: "incomplete", "not observable": "unknown", ok: "final", "nothing expected": "nothing" };

export async function draw(place, signal, show) {
  const answer = await ask("schedules", { first: place.first, last: place.last, status: place.status, text: place.text, page: place.page }, signal);
  show(answer, summary(answer), controls(answer, place), list(answer), pages(answer.page, answer.size, answer.total, (page) => go({ page: page || "" })));
}

function summary({ counts, first, last }) {
  const bad = ["failed", "missing", "late"].filter((state) => counts[state]).map((state) => `${plural(counts[state], "schedule day")} ${state === "missing" ? "with missing calls" : state}`);
  const when = h("p", { class: "muted" }, `${first} to ${last}: ${number(counts.ok ?? 0)} as expected${counts["not observable"] ? `, ${number(counts["not observable"])} not observable` : ""}. A schedule counts once a day.`);
  if (bad.length) return headline(counts.failed || counts.missing ? "bad" : "warn", listed(bad), when);
  if (!counts.ok) return headline("plain", "No schedule was judged in this time", when);
  return headline("good", "Every schedule ran as expected", when);
}

function controls(answer, place) {
  const set = (changes) => go({ ...changes, page: "" });
  const date = (name) => h("input", { type: "date", id: `by-${name}`, value: answer[name], onchange: (event) => set({ [name]: event.target.value }) });
  return h("div", { class: "controls" }, h("label", {}, "From ", date("first")), h("label", {}, "to ", date("last")),
    h("select", { id: "by-status", "aria-label": "Status", onchange: (event) => set({ status: event.target.value }) }, h("option", { value: "" }, "Every status"),
      Object.keys(MARKS).map((status) => h("option", { value: status, selected: status === place.status }, status))),
    h("input", { type: "search", id: "by-text", placeholder: "Find a schedule", "aria-label": "Find a schedule", value: place.text ?? "", oninput: debounced((event) => set({ text: event.target.value })) }));
}

function list(answer) {
  if (!answer.rows.length) return empty("No schedule fits", "The DAG cloudtrail_audit judges the schedules of each day on the day after.");
  const count = (name) => ({ head: name[0].toUpperCase() + name.slice(1), class: "num", cell: (row) => number(row[name] ?? 0) });
  return table("Schedules by day", [
    { head: "Schedule", cell: (row) => foreign(row.schedule) },
    { head: "Day", cell: (row) => h("a", { href: runPage(row.dag, row.run) }, row.day) },
    { head: "Status", cell: (row) => h("span", { class: "state" }, icon(MARKS[row.status] ?? "unknown"), row.status) },
    ...["expected", "seen", "failed", "missing", "late"].map(count),
    { head: "Why", cell: (row) => foreign(row.note ?? "") },
    { head: "Account", cell: (row) => row.target },
  ], answer.rows);
}
