// Asking: the page's own routes, and Airflow's REST API, both with the reader's own session.
import { airflow } from "./airflow.js";

/** What went wrong, in words; `kind` is signed-out, forbidden, gone, or broken. */
export class Refusal extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const zoned = [];

/** Call back with the business zone that an answer names, before anybody draws that answer. */
export const onZone = (listener) => zoned.push(listener);

export const ask = async (path, values = {}, signal) => {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value != null));
  const answer = await request(`api/${path}?${query}`, { signal });
  if (answer?.zone) zoned.forEach((listener) => listener(answer.zone));
  return answer;
};

export const airflowApi = (method, path, body) =>
  request(airflow(`/api/v2/${path}`), {
    method,
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: body && JSON.stringify(body),
  });

async function request(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("broken", "Airflow's API server does not answer. Is it running?");
  }
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  throw new Refusal(KINDS[answer.status] ?? "broken", said(text) || `Airflow answered ${answer.status}.`);
}

const KINDS = { 401: "signed-out", 403: "forbidden", 404: "gone" };

function said(text) {
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") return detail;
    return detail.map((entry) => entry.msg ?? JSON.stringify(entry)).join("; ");
  } catch {
    return text.slice(0, 300);
  }
}
