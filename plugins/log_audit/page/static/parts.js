// What several views are made of: grids, legends, headlines, sheets.
import { announce, h, icon, replace } from "./dom.js";
import { label, meaning } from "./states.js";
import { sharedAddress } from "./airflow.js";
import { where } from "./address.js";

/**
 * A grid of states to walk through with the arrow keys.
 * columns: [{key, head (node or text), label}], rows: [{key, head, label}];
 * atEnd: begin at the last columns, where not all fit.
 * cell(row, column): {state, text, label, tip} or null; open(row, column): what Enter and a click do.
 */
export function grid({ caption, corner, columns, rows, cell, open, compact = false, atEnd = false }) {
  const head = h("tr", {}, h("th", { scope: "col", class: "corner" }, corner), columns.map((column) =>
    h("th", { scope: "col", class: column.class }, column.head)));
  const body = h("tbody");
  const table = h("table", { class: compact ? "grid compact" : "grid", role: "grid", "aria-label": caption }, h("thead", {}, head), body);
  for (const row of rows) {
    const line = h("tr", {}, h("th", { scope: "row" }, row.head));
    for (const column of columns) line.append(gridCell(row, column, cell(row, column)));
    body.append(line);
  }
  const first = body.querySelector("td[tabindex]");
  if (first) first.tabIndex = 0;
  const find = (target) => target.closest?.("td[data-state]");
  const at = (td) => [rows[td.parentNode.rowIndex - 1], columns[td.cellIndex - 1]];
  table.addEventListener("click", (event) => {
    const td = find(event.target);
    if (td && open) open(...at(td));
  });
  table.addEventListener("keydown", (event) => {
    const td = find(event.target);
    if (!td) return;
    if ((event.key === "Enter" || event.key === " ") && open) {
      event.preventDefault();
      open(...at(td));
    } else walk(event, td, body);
  });
  table.addEventListener("focusin", (event) => {
    const td = find(event.target);
    if (!td) return;
    body.querySelectorAll('td[tabindex="0"]').forEach((other) => (other.tabIndex = -1));
    td.tabIndex = 0;
    showTip(td, td.dataset.tip);
  });
  table.addEventListener("focusout", hideTip);
  table.addEventListener("mouseover", (event) => {
    const td = find(event.target);
    if (td) showTip(td, td.dataset.tip);
    else hideTip();
  });
  table.addEventListener("mouseleave", hideTip);
  return h("div", { class: "scroller", tabindex: "-1", data: { from: atEnd ? "end" : "start" } }, table);
}

function gridCell(row, column, shown) {
  if (!shown) return h("td", { class: "none" });
  return h(
    "td",
    {
      role: "gridcell",
      tabindex: "-1",
      "aria-label": `${column.label ?? column.key}, ${row.label ?? row.key}: ${shown.label}`,
      data: { state: shown.state, tip: shown.tip ?? shown.label, key: `${row.key} ${column.key}` },
      "aria-selected": shown.selected ? "true" : undefined,
    },
    h("span", {}, shown.text ?? ""),
  );
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-10, 0], PageDown: [10, 0] };

function walk(event, td, body) {
  let row = td.parentNode.rowIndex - 1;
  let column = td.cellIndex;
  const last = td.parentNode.cells.length - 1;
  if (event.key in STEPS) {
    row = Math.min(Math.max(row + STEPS[event.key][0], 0), body.rows.length - 1);
    column = Math.min(Math.max(column + STEPS[event.key][1], 1), last);
  } else if (event.key === "Home") column = 1;
  else if (event.key === "End") column = last;
  else return;
  event.preventDefault();
  const next = body.rows[row].cells[column];
  if (next?.dataset.state) next.focus();
}

const tip = document.getElementById("tip");

export function showTip(target, text) {
  if (!text) return hideTip();
  tip.textContent = text;
  tip.hidden = false;
  const box = target.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - own.width / 2), window.innerWidth - own.width - 8);
  const above = box.top - own.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
}

export function hideTip() {
  tip.hidden = true;
}

export function legend(states) {
  return h("ul", { class: "legend", "aria-label": "What the signs mean" }, states.map((state) =>
    h("li", {}, h("span", { class: "swatch", data: { state }, "aria-hidden": "true" }), h("span", { title: meaning(state) }, label(state)))));
}

/** What is wrong first, in a sentence. `level`: bad, warn, good, plain. */
export function headline(level, title, ...more) {
  return h("section", { class: `headline ${level}`, "aria-label": "Summary" }, h("i", { class: "mark", "aria-hidden": "true" }),
    h("div", {}, h("h2", {}, title), ...more));
}

export function notice(level, ...content) {
  return h("p", { class: `notice ${level}`, role: level === "bad" ? "alert" : undefined }, ...content);
}

export function empty(title, ...more) {
  return h("div", { class: "blank" }, h("p", { class: "strong" }, title), more.length ? h("p", { class: "muted" }, ...more) : null);
}

/** A table of plain values; columns: {head, cell(row), class}. */
export function table(caption, columns, rows) {
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "plain" }, h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.class }, column.head)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: row.class }, columns.map((column, number) =>
        h(number ? "td" : "th", { class: column.class, scope: number ? undefined : "row" }, column.cell(row))))))));
}

/** Pages of a long list. */
export function pages(page, size, total, turn) {
  if (total <= size) return null;
  const last = Math.ceil(total / size) - 1;
  const to = (number, text) => h("button", { type: "button", disabled: number < 0 || number > last || number === page, onclick: () => turn(number) }, text);
  return h("nav", { class: "pages", "aria-label": "Pages" }, to(page - 1, "Newer"), h("span", {}, `${page * size + 1} to ${Math.min(total, (page + 1) * size)} of ${total}`), to(page + 1, "Older"));
}

/** A row of name and value. */
export const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

const sheet = document.getElementById("sheet");

/** The details of one thing, at the side; closing it calls `closed`. */
export function openSheet(title, content, closed) {
  hideTip();
  replace(sheet,
    h("div", { class: "sheet-head" }, h("h2", { id: "sheet-title" }, title),
      h("div", { class: "row" }, h("button", { type: "button", class: "quiet", onclick: copyAddress }, "Copy link"),
        h("button", { type: "button", class: "quiet", onclick: () => sheet.close() }, "Close"))),
    h("div", { class: "sheet-body" }, content));
  sheet.onclose = () => closed?.();
  if (!sheet.open) sheet.showModal();
  sheet.scrollTop = 0;
}

export function closeSheet() {
  if (sheet.open) {
    sheet.onclose = null;
    sheet.close();
  }
}

/** After a drawing: open what the address names, by `open`. It is read now: who waited for data has opened or closed things. */
export function followAddress(name, open) {
  const value = where()[name];
  if (!value) closeSheet();
  else if (!sheet.open) open(value);
}

sheet.addEventListener("click", (event) => {
  if (event.target === sheet) sheet.close(); // beside it
});

async function copyAddress() {
  try {
    await navigator.clipboard.writeText(sharedAddress());
    announce("The link is copied.");
  } catch {
    announce("The browser does not let this page copy; take the link from the address bar.");
  }
}

export const stateName = (state) => h("span", { class: "state" }, icon(state), label(state));
