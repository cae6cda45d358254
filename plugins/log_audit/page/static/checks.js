// The last day of each check, and what is still going on.
import { ask } from "./api.js";
import { runPage } from "./airflow.js";
import { address, go } from "./address.js";
import { foreign, h, icon, number, outside, plural, s } from "./dom.js";
import { empty, headline, hideTip, legend, notice, showTip } from "./parts.js";
import { label } from "./states.js";
import { ago, minute, moment, span } from "./time.js";

const WIDTH = 1000;
const HEIGHT = 30;

export async function draw(place, signal, show) {
  const hours = Number(place.hours) || 24;
  const answer = await ask("checks", { hours }, signal);
  const names = Object.keys(answer.strips).sort((a, b) => rank(answer, a) - rank(answer, b) || a.localeCompare(b));
  show(answer, summary(answer, names, hours), incidents(answer), controls(answer, hours),
    names.length ? strips(answer, names) : empty("No check has looked yet", "Un-pause insights_checks: it looks every five minutes."),
    untried(answer, names),
    legend(["clean", "found", "failed", "gap", "unknown"]));
}

const open = (answer, name) => answer.incidents.some((entry) => `${entry.target}/${entry.query}` === name);

function rank(answer, name) {
  const strip = answer.strips[name];
  return open(answer, name) ? 0 : strip.failed || strip.gap ? 1 : strip.windows.found ? 2 : 3;
}

function summary(answer, names, hours) {
  const blind = names.filter((name) => answer.strips[name].failed || answer.strips[name].gap);
  const going = answer.incidents.length;
  const found = names.filter((name) => answer.strips[name].windows.found).length;
  const parts = [going ? `${plural(going, "incident")} ${going === 1 ? "is" : "are"} open` : "", blind.length ? `${plural(blind.length, "check")} did not see everything` : ""].filter(Boolean);
  const rest = h("p", { class: "muted" }, `${plural(names.length, "check")} over the last ${hours} hours; ${found ? `${number(found)} found something` : "none found anything"}.`);
  if (parts.length) return headline(going ? "bad" : "warn", parts.join(", "), rest);
  if (!names.length) return headline("plain", "No check has looked in this time");
  return headline("good", found ? "No incident is open, and every check has seen everything" : "All is quiet: every check has seen everything", rest);
}

function incidents(answer) {
  if (!answer.incidents.length) return null;
  const cards = answer.incidents.map((entry) => {
    const query = answer.queries[entry.query] ?? {};
    return h("li", { class: "incident" },
      h("div", { class: "row" }, h("span", { class: `badge sev-${query.severity ?? "info"}` }, query.severity ?? "?"), h("span", { class: "strong" }, query.title ?? entry.query)),
      h("div", {}, `since ${moment(entry.since)} (${ago(entry.since, answer.now)})`),
      h("div", { class: "muted" }, `${plural(entry.total, "finding")}, the last at ${minute(entry.until)} · ${entry.target}`),
      h("div", { class: "row" }, outside(entry.slack, "Slack thread"), h("a", { href: address({ view: "findings", query: entry.query }) }, "Findings")),
      query.runbook ? h("details", { data: { key: `runbook ${entry.target} ${entry.query}` } }, h("summary", {}, "Runbook"), h("pre", {}, query.runbook)) : null);
  });
  return h("section", { class: "block" }, h("h2", {}, "Open incidents"), h("ul", { class: "incidents" }, cards));
}

function controls(answer, hours) {
  const choose = h("select", { id: "hours", onchange: (event) => go({ hours: event.target.value }) }, ["6", "24", "72"].map((value) => h("option", { value, selected: value === String(hours) }, `${value} hours`)));
  return h("div", { class: "controls" }, h("label", {}, "Show the last ", choose), h("span", { class: "muted small" }, "A window is a span of arrival time. What a later run has covered does not count as failed."));
}

function strips(answer, names) {
  const axis = [0, 0.25, 0.5, 0.75, 1].map((part) => h("span", {}, part === 1 ? "now" : minute(answer.start + part * (answer.now - answer.start))));
  return h("section", { class: "block" }, pattern(), h("ul", { class: "strips" }, names.map((name) => strip(answer, name))), h("div", { class: "axis", "aria-hidden": "true" }, axis));
}

function pattern() {
  return s("svg", { width: 0, height: 0, class: "hidden", "aria-hidden": "true" }, s("defs", {},
    s("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { width: 7, height: 7, class: "hatch-bg" }), s("line", { x1: 0, y1: 0, x2: 0, y2: 7, class: "hatch-line" }))));
}

function strip(answer, name) {
  const { spans, windows, failed, gap, total } = answer.strips[name];
  const [target, query] = name.split("/");
  const about = answer.queries[query] ?? {};
  const told = [`${number(windows.clean)} clean`, windows.found ? `${plural(windows.found, "window")} with findings (${number(total)})` : "", failed ? `${number(failed)} failed` : "", gap ? `${Math.round(gap / 60_000)} min not looked at` : ""].filter(Boolean).join(" · ");
  const worth = spans.filter(([state]) => ["found", "failed", "gap"].includes(state)).reverse();
  return h("li", { class: "strip" },
    h("div", { class: "name" }, h("div", { class: "strong" }, failed ? icon("failed") : gap ? icon("gap") : windows.found ? icon("found") : icon("clean"), about.title ?? query), h("div", { class: "muted small" }, `${query} @ ${target}`)),
    h("div", {}, drawing(answer, spans, `${about.title ?? query}: ${told}`), h("div", { class: "small muted" }, told)),
    about.problem ? notice("bad", about.problem) : null,
    worth.length ? h("details", { data: { key: name } }, h("summary", {}, `What is not clean: ${worth.length}`), h("ul", {}, worth.slice(0, 100).map((entry) => event(answer, name, entry)))) : null);
}

function drawing(answer, spans, text) {
  const scale = WIDTH / (answer.now - answer.start);
  const shapes = spans.flatMap((entry) => {
    const [state, from, to] = entry;
    const x = (from - answer.start) * scale;
    const width = Math.max((to - from) * scale, state === "clean" ? 0 : 3);
    const data = { from, to, state, total: entry[3] };
    if (state === "gap") return s("rect", { class: "gap", x: x + 1, y: 4, width: Math.max(width - 2, 2), height: HEIGHT - 8, data });
    if (state === "found") return [s("rect", { class: "found", x, y: 0, width, height: HEIGHT, data }), s("rect", { class: "found-top", x, y: 0, width, height: 8, data })];
    if (state === "clean") return s("rect", { class: "clean", x, y: 8, width, height: HEIGHT - 8, data });
    return s("rect", { class: state, x, y: 0, width, height: HEIGHT, data });
  });
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": text }, shapes);
  svg.addEventListener("mousemove", ({ target }) => {
    const { from, to, state, total } = target.dataset ?? {};
    if (!state) return hideTip();
    showTip(target, `${span(Number(from), Number(to))}\n${label(state)}${Number(total) ? `: ${number(Number(total))}` : ""}`);
  });
  svg.addEventListener("mouseleave", hideTip);
  return svg;
}

function event(answer, name, [state, from, to, total, run]) {
  const [target, query] = name.split("/");
  return h("li", {}, icon(state), `${span(from, to)}: ${state === "found" ? plural(total, "finding") : label(state)} `,
    run ? h("a", { href: runPage("insights_checks", run) }, "run") : null, state === "found" ? [" ", h("a", { href: address({ view: "findings", query, target }) }, "findings")] : null);
}

function untried(answer, names) {
  const seen = new Set(names.map((name) => name.split("/")[1]));
  const rest = Object.entries(answer.queries).filter(([name, query]) => query.kind === "checks" && !seen.has(name));
  if (!rest.length || !names.length) return null;
  return notice("warn", `${plural(rest.length, "check")} ${rest.length === 1 ? "is" : "are"} in the folder and did not look in this time: `, rest.map(([name, query], at) => [at ? ", " : "", foreign(query.title ?? name)]), ".");
}
