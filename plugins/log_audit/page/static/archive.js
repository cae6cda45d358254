// Months by log groups: is every month archived and sound?
import { ask } from "./api.js";
import { runPage, taskPage } from "./airflow.js";
import { go, where } from "./address.js";
import { bytes, debounced, foreign, h, listed, number, outside, plural, replace, short } from "./dom.js";
import { closeSheet, empty, facts, followAddress, grid, headline, legend, notice, openSheet, stateName } from "./parts.js";
import { label, meaning } from "./states.js";
import { moment, monthName } from "./time.js";
import { offerBackfill } from "./backfill.js";

const BAD = ["failed", "missing", "incomplete"];
const SAID = 8; // problems that the headline names; the grid shows all of them
const VERBS = { failed: ["failed", "failed"], missing: ["is missing", "are missing"], incomplete: ["is incomplete", "are incomplete"] };
const marked = new Set();
let looked = 0; // how many months were looked for in the bucket: the API server keeps what it found there

export async function draw(place, signal, show) {
  const months = Number(place.months) || 12;
  const before = looked === months;
  let answer = await ask("archive", { months, stored: before || undefined }, signal);
  const unproven = before ? 0 : answer.unproven.length;
  drawAll(answer, place, show, unproven ? `Looking into the bucket for ${plural(unproven, "month")} that Airflow knows nothing of …` : "");
  if (unproven) {
    answer = await ask("archive", { months, stored: true }, signal);
    looked = months;
    drawAll(answer, place, show, "");
  }
  return { soon: answer.counts.running ? 5_000 : undefined };
}

function drawAll(answer, place, show, looking) {
  const backfillable = new Set(answer.problems.filter((problem) => problem.state !== "incomplete").map((problem) => problem.month));
  [...marked].filter((month) => !backfillable.has(month)).forEach((month) => marked.delete(month));
  const marks = h("div");
  const drawMarks = () => replace(marks, marksBar(answer, drawMarks));
  show(
    answer,
    summary(answer, looking),
    looking ? notice("plain", looking) : null,
    answer.trouble.length ? notice("warn", answer.trouble.join(" "), " Months without an event in Airflow are shown as missing; they may be archived all the same.") : null,
    controls(answer, place),
    drawGrid(answer, place, backfillable, drawMarks),
    marks,
    legend(["final", "provisional", "incomplete", "missing", "failed", "running", "nothing"]),
  );
  drawMarks();
  followAddress("cell", (key) => openFromAddress(answer, key));
}

function summary(answer, looking) {
  const by = Object.groupBy(answer.problems, (problem) => problem.state);
  const parts = BAD.filter((state) => by[state]).map((state, at) => {
    const count = by[state].length;
    return `${at ? number(count) : plural(count, "month")} ${VERBS[state][count === 1 ? 0 : 1]}`;
  });
  const counts = answer.counts;
  const good = [["final", counts.final], ["provisional", counts.provisional], ["running", counts.running]].filter(([, count]) => count).map(([state, count]) => `${number(count)} ${state}`);
  const sound = good.length ? h("p", { class: "muted" }, `Of ${plural(answer.rows.length, "log group")} over ${plural(answer.months.length, "month")}: ${good.join(", ")}.`) : null;
  if (!answer.rows.length) return headline("plain", "No log group is known yet", h("p", {}, "The settings name prefixes only, and no month has been archived. Trigger monthly_log_export for the last month, or mark months below once they show."));
  if (!parts.length) {
    const all = counts.running ? "Every month that is over is archived, or under way" : "Every month is archived and sound";
    return headline(looking ? "plain" : "good", all, sound);
  }
  const said = BAD.flatMap((state) => by[state] ?? []);
  return headline(by.failed || by.missing ? "bad" : "warn", listed(parts), h("ul", {}, said.slice(0, SAID).map(sentence), said.length > SAID ? h("li", {}, `and ${said.length - SAID} more, in the grid`) : null), sound);
}

function sentence(problem) {
  const whole = problem.count === problem.of;
  const which = whole ? `all ${plural(problem.of, "log group")}` : `${number(problem.count)} of ${plural(problem.of, "log group")}`;
  return h("li", {}, h("button", { type: "button", class: "link", onclick: () => focusMonth(problem.month, problem.state) }, problem.month), ` ${label(problem.state)}: ${problem.of === 1 ? "the only log group" : which}`);
}

function focusMonth(month, state) {
  const cell = [...document.querySelectorAll(`td[data-state="${state}"]`)].find((td) => td.dataset.key.endsWith(` ${month}`));
  cell?.scrollIntoView({ block: "center", inline: "center" });
  cell?.focus();
}

function controls(answer, place) {
  const search = h("input", { type: "search", id: "group-filter", placeholder: "Find a log group", "aria-label": "Find a log group", value: place.q ?? "", oninput: debounced((event) => go({ q: event.target.value })) });
  const months = h("select", { id: "months", onchange: (event) => go({ months: event.target.value }) }, ["6", "12", "24", "36"].map((count) => h("option", { value: count, selected: count === String(answer.months.length) }, `${count} months`)));
  const only = h("input", { type: "checkbox", id: "only", checked: place.only === "trouble", onchange: (event) => go({ only: event.target.checked ? "trouble" : "" }) });
  return h("div", { class: "controls" }, search, h("label", {}, "Show ", months), h("label", {}, only, " Only log groups with trouble"));
}

function drawGrid(answer, place, backfillable, drawMarks) {
  const wanted = (place.q ?? "").toLowerCase();
  const rows = answer.rows
    .filter((row) => row.group.toLowerCase().includes(wanted))
    .filter((row) => place.only !== "trouble" || row.cells.some((cell) => BAD.includes(cell.state)))
    .map((row) => ({ ...row, key: `${row.target}:${row.group}`, label: row.group, head: [h("bdi", {}, row.group), Object.keys(answer.targets).length > 1 ? h("span", { class: "target" }, ` ${row.target}`) : null] }));
  if (!rows.length) return empty("No log group fits", answer.rows.length ? "Clear the filter to see all." : "Un-pause monthly_log_export, or trigger it once, to archive the last month.");
  const columns = answer.months.map((month, at) => ({
    key: month, at, label: month,
    head: [h("span", { class: "year" }, month.slice(0, 4)), monthName(month), answer.may_backfill && backfillable.has(month) ? h("div", {}, markBox(month, drawMarks)) : null],
  }));
  return grid({
    caption: "Archived months by log group", atEnd: true, corner: "Log group", columns, rows,
    cell: (row, column) => shown(row, column, row.cells[column.at]),
    open: (row, column) => openCell(answer, row, column.key, row.cells[column.at]),
  });
}

function markBox(month, drawMarks) {
  return h("input", {
    type: "checkbox", id: `mark-${month}`, checked: marked.has(month), "aria-label": `Mark ${month} for a backfill`, title: `Mark ${month} for a backfill`,
    onchange: (event) => {
      if (event.target.checked) marked.add(month);
      else marked.delete(month);
      drawMarks();
    },
  });
}

function shown(row, column, cell) {
  const size = cell.events === undefined ? "" : `\n${plural(cell.events, "event")}, ${bytes(cell.bytes ?? 0)}${cell.objects ? ` in ${plural(cell.objects, "object")}` : ""}`;
  const why = (cell.why ?? []).map((text) => `\n${text}`).join("");
  const before = cell.before ? `\nAn earlier archive is there: ${label(cell.before)}.` : "";
  const mark = { final: "final", provisional: "provisional" }[cell.state] ?? label(cell.state);
  return {
    state: cell.state,
    text: cell.events !== undefined && cell.state !== "failed" ? short(cell.events) : "",
    label: `${mark}${size}${why}`.replaceAll("\n", ". "),
    tip: `${row.group} · ${column.key}\n${mark}${size}${why}${before}`,
    selected: where().cell === cellKey(row, column.key),
  };
}

const cellKey = (row, month) => `${row.target}:${row.group}:${month}`;

function openFromAddress(answer, key) {
  const month = key.slice(-7);
  const row = answer.rows.find((entry) => cellKey(entry, month) === key);
  const at = answer.months.indexOf(month);
  if (row && at >= 0) openCell(answer, row, month, row.cells[at]);
}

function openCell(answer, row, month, cell) {
  go({ cell: cellKey(row, month) }, { quiet: true });
  const stored = h("section", { class: "block" }, h("h3", {}, "Manifest"), h("p", { class: "muted" }, "Reading it from S3 …"));
  openSheet(
    `${month} · ${row.group}`,
    [
      facts([
        ["State", h("span", {}, stateName(cell.state), h("p", { class: "muted" }, meaning(cell.state)))],
        ["Why", cell.why?.length ? h("ul", {}, cell.why.map((text) => h("li", {}, foreign(text)))) : ""],
        ["Events", cell.events === undefined ? "" : number(cell.events)],
        ["Size", cell.bytes === undefined ? "" : `${bytes(cell.bytes)} compressed${cell.objects ? `, in ${plural(cell.objects, "object")}` : ""}`],
        ["Earlier archive", cell.before ? label(cell.before) : ""],
        ["Target", row.target],
        ["Known from", cell.from === "s3" ? "the manifest in S3; Airflow has purged its own record" : ""],
      ]),
      h("div", { class: "links" },
        cell.run ? h("a", { href: runPage(cell.dag, cell.run) }, `Run of ${cell.dag}`) : null,
        cell.task ? h("a", { href: taskPage(cell.dag, cell.run, cell.task, cell.index) }, "Task that failed") : null,
        answer.may_backfill && ["missing", "failed"].includes(cell.state) ? h("button", { type: "button", class: "primary", onclick: () => { closeSheet(); go({ cell: "" }, { quiet: true }); offerBackfill([month], answer); } }, `Backfill ${month} …`) : null),
      stored,
    ],
    () => go({ cell: "" }, { quiet: true }),
  );
  if (cell.state === "nothing" || cell.state === "waiting") return stored.remove();
  drawManifest(stored, row, month);
}

async function drawManifest(section, row, month) {
  const title = h("h3", {}, "Manifest");
  try {
    const answer = await ask("manifest", { target: row.target, group: row.group, month });
    if (!answer.manifest) {
      const said = answer.problem || "There is no manifest of this month in the bucket: nothing is archived.";
      return replace(section, title, notice(answer.problem ? "warn" : "plain", said));
    }
    replace(section, title, manifestFacts(answer), h("div", { class: "links" }, outside(answer.links.folder, "Month in the S3 console"), outside(answer.links.file, "Manifest in the S3 console")), objects(answer));
  } catch (error) {
    replace(section, title, notice("warn", error.message));
  }
}

function manifestFacts({ manifest, address }) {
  const time = (text) => (text ? moment(Date.parse(text)) : "");
  const counted = manifest.reconciliation;
  return facts([
    ["Address", h("code", { class: "foreign" }, address)],
    ["State", `${manifest.state}, ${manifest.complete ? "complete" : "incomplete"}`],
    ["Exported", time(manifest.exported_at)],
    ["First event", time(manifest.first_event)],
    ["Last event", time(manifest.last_event)],
    ["Counted again", counted ? `Logs Insights counts ${plural(counted.insights_events, "event")}, ${counted.difference ? `the archive holds ${number(Math.abs(counted.difference))} ${counted.difference > 0 ? "more" : "fewer"}` : "as many as the archive"}` : ""],
    ["Ambiguous lines", manifest.ambiguous_lines ? number(manifest.ambiguous_lines) : ""],
    ["Notes", manifest.notes.length ? h("ul", {}, manifest.notes.map((note) => h("li", {}, foreign(note)))) : ""],
    ["Export task", manifest.export_task_id],
  ]);
}

function objects({ manifest, objects: count }) {
  const rows = manifest.objects.map((item) => h("li", {}, h("code", { class: "foreign" }, item.key.split("/").slice(-2).join("/")), h("span", { class: "muted" }, ` ${plural(item.events, "event")}, ${bytes(item.bytes)}`)));
  const more = count > rows.length ? h("p", { class: "muted" }, `and ${number(count - rows.length)} more, which the manifest names`) : null;
  return h("details", {}, h("summary", {}, plural(count, "object")), h("ul", {}, rows), more);
}

function marksBar(answer, drawMarks) {
  if (!answer.may_backfill) return null;
  const open = [...new Set(answer.problems.filter((problem) => problem.state !== "incomplete").map((problem) => problem.month))].sort();
  if (!open.length) return null;
  const set = (months) => {
    marked.clear();
    months.forEach((month) => marked.add(month));
    document.querySelectorAll('[id^="mark-"]').forEach((box) => (box.checked = marked.has(box.id.slice(5))));
    drawMarks();
  };
  const months = [...marked].sort();
  return h("div", { class: months.length ? "marks" : "controls" },
    months.length ? h("span", {}, h("b", {}, `${plural(months.length, "month")} marked`), `: ${listed(months)}`) : h("span", { class: "muted" }, "Mark months in the grid's head to have them archived, or"),
    months.length ? h("button", { type: "button", class: "quiet", onclick: () => set([]) }, "Mark none") : null,
    months.length < open.length ? h("button", { type: "button", class: "quiet", onclick: () => set(open) }, `Mark all ${open.length}`) : null,
    months.length ? h("button", { type: "button", class: "primary", onclick: () => offerBackfill(months, answer, () => set([])) }, `Backfill ${plural(months.length, "month")} …`) : null);
}
