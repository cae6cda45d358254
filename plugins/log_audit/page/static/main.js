// The frame of all views: tabs, time zone, refreshing, and what to show while there is nothing to show.
import { airflow, followTheme, mirrorAddress, openLinksOutside } from "./airflow.js";
import { address, go, onMove, where } from "./address.js";
import { onZone } from "./api.js";
import { announce, h, listed, replace } from "./dom.js";
import { minute, useZone } from "./time.js";
import { closeSheet, hideTip, notice } from "./parts.js";
import * as archive from "./archive.js";
import * as audits from "./audits.js";
import * as checks from "./checks.js";
import * as findings from "./findings.js";
import * as schedules from "./schedules.js";
import * as cost from "./cost.js";

const VIEWS = { archive, audits, checks, findings, schedules, cost };
const NAMES = { archive: "Archive", audits: "Audits", checks: "Checks", findings: "Findings", schedules: "Schedules", cost: "Cost" };
const EVERY = 60_000; // a quiet page asks again so often
const view = document.getElementById("view");
const fresh = document.getElementById("fresh");
let asking = null;
let timer = 0;
let shown = "";

const current = () => (where().view in VIEWS ? where().view : "archive");

function drawTabs() {
  const items = Object.entries(NAMES).map(([key, name]) => {
    const here = key === current();
    const to = address({ view: key, zone: where().zone });
    return h("li", {}, h("a", { href: to, "aria-current": here ? "page" : undefined, onclick: (event) => follow(event, to) }, name));
  });
  replace(document.getElementById("tabs"), items);
  document.title = `${NAMES[current()]} · Log audit`;
}

function follow(event, to) {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(Object.fromEntries(new URLSearchParams(to)), { anew: true });
}

function drawZones(business) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const short = business === "Asia/Tokyo" ? "JST" : business;
  const choices = [["business", `${short} (business)`], ["utc", "UTC"], ["browser", `${own} (browser)`]];
  const chosen = where().zone ?? "business";
  useZone({ utc: "UTC", browser: own }[chosen] ?? business);
  const select = document.getElementById("zone");
  replace(select, choices.map(([value, text]) => h("option", { value }, text)));
  select.value = chosen;
}

/** Ask and draw. `again`: the same view with newer data, so what is on the screen stays until then. */
async function show({ again = false } = {}) {
  asking?.abort();
  const mine = (asking = new AbortController());
  clearTimeout(timer);
  const name = current();
  if (!again && name !== shown) {
    closeSheet();
    replace(view, h("div", { class: "loading", role: "status" }, h("span", { class: "hidden" }, "Loading"), Array.from({ length: 6 }, () => h("i"))));
  }
  drawTabs();
  hideTip();
  try {
    const frame = await VIEWS[name].draw(where(), mine.signal, (answer, ...content) => {
      if (mine.signal.aborted) return;
      drawNotices(answer);
      put(content.flat());
      fresh.textContent = `at ${minute(answer.now)}`;
    });
    if (mine.signal.aborted) return;
    shown = name;
    timer = setTimeout(() => document.hidden || show({ again: true }), frame?.soon ?? EVERY);
  } catch (error) {
    if (error.name === "AbortError" || mine.signal.aborted) return;
    shown = "";
    drawRefusal(error);
    timer = setTimeout(() => document.hidden || show(), EVERY);
    if (!error.kind) console.error(error);
  }
}

/** Scroll a grid sideways until a column can be seen. */
function showColumn(box, column) {
  if (column) box.scrollLeft += column.getBoundingClientRect().right - box.getBoundingClientRect().right;
}

/** Put new content in the place of the old; who was walking in it goes on where he was. */
function put(content) {
  const active = document.activeElement;
  const key = view.contains(active) ? (active.dataset.key ?? active.id) : "";
  const caret = active?.selectionStart;
  const scrolled = view.querySelector(".loading") ? [] : [...view.querySelectorAll(".scroller")].map((box) => [box.scrollLeft, box.scrollTop]);
  const opened = [...view.querySelectorAll("details[open][data-key]")].map((box) => box.dataset.key);
  replace(view, content);
  [...view.querySelectorAll(".scroller")].forEach((box, number) => {
    if (scrolled[number]) [box.scrollLeft, box.scrollTop] = scrolled[number];
    else if (box.dataset.from === "end") box.scrollLeft = box.scrollWidth;
    else showColumn(box, box.querySelector("th.today"));
  });
  opened.forEach((name) => view.querySelectorAll("details[data-key]").forEach((box) => (box.open ||= box.dataset.key === name)));
  if (!key) return;
  const again = [...view.querySelectorAll("[data-key], [id]")].find((node) => node.dataset.key === key || node.id === key);
  again?.focus({ preventScroll: true });
  if (again?.type === "search" && caret != null) again.setSelectionRange(caret, caret);
}

function drawNotices(answer) {
  const hidden = answer.hidden?.length ? notice("warn", `You may not see ${listed(answer.hidden)}: what it found is not shown here.`) : null;
  const paused = (answer.paused ?? []).map((dag, number) => [number ? ", " : "", h("a", { href: airflow(`/dags/${dag}`) }, dag)]);
  const still = paused.length ? notice("warn", paused, paused.length === 1 ? " is paused: " : " are paused: ", "nothing new will come of it until somebody un-pauses it.") : null;
  replace(document.getElementById("notices"), hidden, still);
}

const WORDS = {
  "signed-out": ["You are signed out", "Sign in to Airflow, and this page comes back where it was."],
  forbidden: ["You may not see this", "Ask the administrators of this Airflow for the right to read these DAGs and their assets."],
  gone: ["This is not there any more", "Airflow may have purged it; the archive in S3 is not touched by that."],
  broken: ["This cannot be shown", ""],
};

function drawRefusal(error) {
  const [title, advice] = WORDS[error.kind] ?? WORDS.broken;
  replace(document.getElementById("notices"));
  const link = error.kind === "signed-out" ? h("a", { href: airflow("/") }, "Sign in") : h("button", { type: "button", onclick: () => show() }, "Try again");
  replace(view, h("div", { class: "blank", role: "alert" }, h("p", { class: "strong" }, title), h("p", {}, error.message), h("p", { class: "muted" }, advice), link));
  announce(title);
}

document.getElementById("zone").addEventListener("change", (event) => go({ zone: event.target.value === "business" ? "" : event.target.value }));
document.getElementById("refresh").addEventListener("click", () => show({ again: true }));
document.addEventListener("log-audit:again", () => show({ again: true }));
document.addEventListener("visibilitychange", () => document.hidden || show({ again: true }));
followTheme();
onZone(drawZones);
openLinksOutside();
onMove(() => show({ again: current() === shown }));
mirrorAddress();
show();
