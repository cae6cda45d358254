// What was found, where and when.
import { ask } from "./api.js";
import { runPage } from "./airflow.js";
import { address, go, where } from "./address.js";
import { bytes, debounced, foreign, h, number, outside, plural, s } from "./dom.js";
import { empty, facts, followAddress, headline, hideTip, notice, openSheet, pages, showTip, table } from "./parts.js";
import { day as dayOf, moment, shift, span } from "./time.js";

const SEVERITIES = ["critical", "high", "medium", "low", "info"];
const KINDS = { insights_checks: "check", insights_late_sweep: "late sweep", aurora_audits: "Aurora audit", cloudtrail_audits: "CloudTrail audit" };

export async function draw(place, signal, show) {
  const { first, last, severity, query, target, text } = place;
  const answer = await ask("findings", { first, last, severity, query, target, text, page: place.page }, signal);
  show(answer, summary(answer), controls(answer, place), chart(answer), list(answer, place),
    pages(answer.page, answer.size, answer.total, (page) => go({ page: page || "" })));
  followAddress("finding", (id) => openFinding(id, signal));
}

function summary(answer) {
  const sums = {};
  for (const day of Object.values(answer.days)) for (const [severity, count] of Object.entries(day)) sums[severity] = (sums[severity] ?? 0) + count;
  const parts = SEVERITIES.filter((severity) => sums[severity]).map((severity) => `${number(sums[severity])} ${severity}`);
  const when = `${answer.first} to ${answer.last}`;
  if (!answer.total) return headline("good", "Nothing was found", h("p", { class: "muted" }, `${when}, with these filters.`));
  const worst = sums.critical ? "bad" : sums.high ? "warn" : "plain";
  const more = answer.more ? h("p", {}, "There are more than can be read at once: ask for fewer days.") : null;
  return headline(worst, `${plural(answer.total, "window")} with findings: ${parts.join(", ")}`, h("p", { class: "muted" }, when), more);
}

function controls(answer, place) {
  const set = (changes) => go({ ...changes, page: "", finding: "" });
  const choose = (name, values, all) => h("select", { id: `by-${name}`, "aria-label": name, onchange: (event) => set({ [name]: event.target.value }) },
    h("option", { value: "" }, all), withChosen(values, place[name]).map((value) => h("option", { value, selected: value === place[name] }, value)));
  const date = (name) => h("input", { type: "date", id: `by-${name}`, value: answer[name], onchange: (event) => set({ [name]: event.target.value }) });
  const ranges = [["7", "7 days"], ["31", "31 days"], ["366", "1 year"]].map(([days, name]) => h("button", { type: "button", class: "quiet", id: `range-${days}`, onclick: () => set({ first: shift(dayOf(answer.now), 1 - Number(days)), last: "" }) }, name));
  return h("div", { class: "controls" },
    h("label", {}, "From ", date("first")), h("label", {}, "to ", date("last")), h("span", { class: "row" }, ranges),
    choose("severity", SEVERITIES, "Every severity"), choose("query", answer.choices.query, "Every query"), choose("target", answer.choices.target, "Every account"),
    h("input", { type: "search", id: "by-text", placeholder: "Text in a finding", "aria-label": "Text in a finding", value: place.text ?? "", oninput: debounced((event) => set({ text: event.target.value })) }));
}

const withChosen = (values, chosen) => (chosen && !values.includes(chosen) ? [chosen, ...values] : values);

const HEIGHT = 170;
const FOOT = 22;

function chart(answer) {
  const WIDTH = Math.max(320, document.getElementById("view").clientWidth - 40);
  const days = [];
  const from = [answer.first, ...Object.keys(answer.days)].sort()[0]; // a day is audited on the day after
  for (let day = from; day <= answer.last && days.length < 400; day = shift(day, 1)) days.push(day);
  const sum = (day) => Object.values(answer.days[day] ?? {}).reduce((a, b) => a + b, 0);
  const top = Math.max(1, ...days.map(sum));
  if (!answer.total || days.length < 2) return null;
  const step = (WIDTH - 40) / days.length;
  const scale = (HEIGHT - FOOT - 14) / top;
  const bars = days.flatMap((day, at) => {
    let y = HEIGHT - FOOT;
    return [...SEVERITIES].reverse().flatMap((severity) => {
      const count = answer.days[day]?.[severity] ?? 0;
      if (!count) return [];
      y -= count * scale;
      const box = { x: 40 + at * step + step * 0.12, y, width: step * 0.76, height: count * scale };
      return s("g", { data: { day, severity, count } }, s("rect", { class: `bar ${severity}`, ...box }), texture(severity, box));
    });
  });
  const every = Math.ceil(days.length / 10);
  const texts = days.map((day, at) => (at % every ? null : s("text", { x: 40 + at * step + step / 2, y: HEIGHT - 6, "text-anchor": "middle" }, day.slice(5))));
  const lines = [0, 0.5, 1].map((part) => [s("line", { x1: 38, x2: WIDTH, y1: HEIGHT - FOOT - part * top * scale, y2: HEIGHT - FOOT - part * top * scale }),
    part && top > 1 ? s("text", { x: 32, y: HEIGHT - FOOT - part * top * scale + 4, "text-anchor": "end" }, number(Math.round(part * top))) : null]);
  const said = `Windows with findings by day, from ${answer.first} to ${answer.last}; at most ${top} on a day`;
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said }, lines.flat().filter(Boolean), texts, bars);
  svg.addEventListener("mousemove", (event) => {
    const { day, severity, count } = event.target.closest("g[data-day]")?.dataset ?? {};
    if (day) showTip(event.target, `${day}\n${count} ${severity}`);
    else hideTip();
  });
  svg.addEventListener("mouseleave", hideTip);
  svg.addEventListener("click", (event) => {
    const { day, severity } = event.target.closest("g[data-day]")?.dataset ?? {};
    if (day) go({ first: day, last: day, severity, page: "", finding: "" });
  });
  const used = SEVERITIES.filter((severity) => days.some((day) => answer.days[day]?.[severity]));
  const keys = h("ul", { class: "legend", "aria-label": "Severities" }, used.map((severity) => h("li", {}, s("svg", { class: "key", viewBox: "0 0 14 14", "aria-hidden": "true" }, s("rect", { class: `bar ${severity}`, width: 14, height: 14 }), texture(severity, { x: 0, y: 0, width: 14, height: 14 })), severity)));
  return h("section", { class: "block chart" }, h("h2", {}, "By day and severity"), svg, keys, asTable(answer, days, used));
}

/** A texture for each severity, since colours alone say nothing to many. */
function texture(severity, { x, y, width, height }) {
  const lines = [];
  if (severity === "critical") for (let at = 4; at < height; at += 5) lines.push(`M${x} ${y + at}H${x + width}`);
  if (severity === "high") for (let at = 4; at < width; at += 6) lines.push(`M${x + at} ${y}V${y + height}`);
  if (severity === "medium") for (let at = 5; at < height; at += 10) lines.push(`M${x + width * 0.3} ${y + at}H${x + width * 0.7}`);
  return lines.length ? s("path", { class: "pattern", d: lines.join("") }) : null;
}

function asTable(answer, days, used) {
  const rows = days.filter((day) => answer.days[day]).reverse();
  return h("details", { data: { key: "chart-table" } }, h("summary", { class: "muted small" }, "The same as a table"),
    table("Windows with findings by day and severity", [{ head: "Day", cell: (day) => day }, ...used.map((severity) => ({ head: severity, class: "num", cell: (day) => number(answer.days[day][severity] ?? 0) }))], rows));
}

function list(answer, place) {
  if (!answer.findings.length) return empty("No finding fits", "Ask for more days, or clear the filters.");
  return h("ul", { class: "finds", "aria-label": "Findings, the newest first" }, answer.findings.map((entry) => {
    const to = address({ ...place, finding: entry.id });
    const open = (event) => {
      if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go({ finding: entry.id }, { quiet: true });
      openFinding(entry.id);
    };
    return h("li", {}, h("a", { class: "find", href: to, onclick: open, data: { key: entry.id } },
      h("span", {}, h("span", { class: `badge sev-${entry.severity}` }, entry.severity)),
      foreign(entry.title, { class: "title" }),
      h("span", { class: "count" }, plural(entry.total, "finding")),
      h("span", { class: "about" }, `${span(entry.start, entry.end)} · ${entry.query} · ${entry.target} · ${KINDS[entry.asset] ?? entry.asset}`, entry.key ? [" · ", foreign(entry.key)] : null)));
  }));
}

async function openFinding(id, signal) {
  const closed = () => go({ finding: "" }, { quiet: true });
  try {
    const { finding, query } = await ask("finding", { id }, signal);
    if (where().finding !== id) return; // closed meanwhile
    openSheet(foreign(finding.title), details(finding, query), closed);
  } catch (error) {
    if (error.name !== "AbortError") openSheet("This finding cannot be shown", notice("warn", error.message), closed);
  }
}

function details(finding, query) {
  const text = (title, value) => (value ? h("section", { class: "block" }, h("h3", {}, title), h("pre", {}, foreign(value))) : null);
  return [
    facts([
      ["Severity", h("span", { class: `badge sev-${finding.severity}` }, finding.severity)],
      ["Findings", number(finding.total)],
      ["Said", finding.said ? foreign(finding.said) : ""],
      ["Window", span(finding.start, finding.end)],
      ["Key", finding.key ? h("code", {}, foreign(finding.key)) : ""],
      ["Query", `${finding.query} @ ${finding.target}`],
      ["Found", moment(finding.at)],
      ["Scanned", bytes(finding.bytes_scanned ?? 0)],
      ["Notes", finding.notes?.length ? h("ul", {}, finding.notes.map((note) => h("li", {}, foreign(note)))) : ""],
    ]),
    h("div", { class: "links" }, outside(finding.console, "AWS console"), finding.slack ? outside(finding.slack, "Slack message") : null, h("a", { href: runPage(finding.dag, finding.run) }, "Airflow run")),
    sample(finding),
    text("What it means", query.description),
    text("Runbook", query.runbook),
    text("When it is no trouble", query.false_positives),
  ];
}

function sample(finding) {
  const rows = finding.rows ?? [];
  const left = finding.total - rows.length;
  return h("section", { class: "block sample" }, h("h3", {}, rows.length ? `Sample: ${rows.length} of ${number(finding.total)}` : "Sample"),
    rows.length ? h("div", { class: "cards" }, rows.map((row) => h("div", { class: "card" }, h("dl", {}, Object.entries(row).map(([name, value]) => [h("dt", {}, foreign(name)), h("dd", { class: "mono" }, foreign(value))])))))
      : h("p", { class: "muted" }, "There is no sample in Airflow's record; the console link shows the rows."),
    left > 0 && rows.length ? h("p", { class: "muted small" }, `${number(left)} more; secrets and e-mail addresses are masked.`) : null);
}
