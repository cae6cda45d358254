// What looking costs: AWS charges for the bytes that queries read.
import { ask } from "./api.js";
import { go } from "./address.js";
import { bytes, dollars, h } from "./dom.js";
import { empty, headline, table } from "./parts.js";
import { day as dayOf, shift } from "./time.js";

const ENGINES = { athena: "Athena", insights: "Logs Insights" };

export async function draw(place, signal, show) {
  const answer = await ask("cost", { first: place.first, last: place.last }, signal);
  show(answer, summary(answer), controls(answer), list(answer));
}

const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0);

function summary(answer) {
  const { price } = answer;
  const prices = h("p", { class: "muted" }, `Prices from the settings' cost: Athena ${price.athena_usd_per_tb} USD per TB (at least 10 MB a query), Logs Insights ${price.insights_usd_per_gb} USD per GB. What exports are counted with again is not in it, nor what others query.`);
  const total = sum(answer.rows, (row) => row.usd);
  if (!answer.rows.length) return headline("plain", "No query has scanned anything in this time", prices);
  const days = answer.days.length;
  return headline("plain", `${dollars(total)} from ${answer.first} to ${answer.last}`, h("p", {}, `${bytes(sum(answer.rows, (row) => row.bytes))} scanned; at this pace ${dollars((total / days) * 30)} in 30 days.`), prices);
}

function controls(answer) {
  const date = (name) => h("input", { type: "date", id: `by-${name}`, value: answer[name], onchange: (event) => go({ [name]: event.target.value }) });
  const ranges = [["7", "7 days"], ["14", "14 days"], ["31", "31 days"]].map(([days, name]) => h("button", { type: "button", class: "quiet", id: `range-${days}`, onclick: () => go({ first: shift(dayOf(answer.now), 1 - Number(days)), last: "" }) }, name));
  return h("div", { class: "controls" }, h("label", {}, "From ", date("first")), h("label", {}, "to ", date("last")), h("span", { class: "row" }, ranges));
}

function list(answer) {
  if (!answer.rows.length) return empty("Nothing was scanned", "Ask for more days.");
  const days = [...answer.days].reverse();
  const total = { name: "All", engine: "", bytes: sum(answer.rows, (row) => row.bytes), usd: sum(answer.rows, (row) => row.usd), class: "total",
    days: Object.fromEntries(days.map((day) => [day, [sum(answer.rows, (row) => row.days[day]?.[0] ?? 0), sum(answer.rows, (row) => row.days[day]?.[1] ?? 0)]])) };
  return table("Bytes scanned and their price, by query and day", [
    { head: "Query", cell: (row) => row.name.split("/").reverse().join(" @ ") },
    { head: "Service", cell: (row) => ENGINES[row.engine] ?? "" },
    { head: "Scanned", class: "num", cell: (row) => bytes(row.bytes) },
    { head: "Price", class: "num", cell: (row) => dollars(row.usd) },
    ...days.map((day) => ({ head: day.slice(5), class: "num", cell: (row) => (row.days[day] ? [bytes(row.days[day][0]), h("div", { class: "muted small" }, dollars(row.days[day][1]))] : "–") })),
  ], [total, ...answer.rows]);
}
