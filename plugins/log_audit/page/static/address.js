// Where the reader is: every view and filter is in the address, so that it can be handed on and gone back to.
import { mirrorAddress } from "./airflow.js";

const listeners = [];

export function where() {
  return Object.fromEntries(new URLSearchParams(window.location.search));
}

/** Change the address. Empty values leave it; `quiet` adds no step to go back to and draws nothing. */
export function go(changes, { quiet = false, anew = false } = {}) {
  const values = anew ? { ...changes } : { ...where(), ...changes };
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value != null));
  const address = `${window.location.pathname}${query.size ? `?${query}` : ""}`;
  if (quiet) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
  mirrorAddress();
  if (!quiet) listeners.forEach((listener) => listener());
}

/** The address of another place in the page, for links. */
export function address(changes, anew = true) {
  const values = anew ? changes : { ...where(), ...changes };
  return `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value != null))}`;
}

export function onMove(listener) {
  listeners.push(listener);
}

window.addEventListener("popstate", () => {
  mirrorAddress();
  listeners.forEach((listener) => listener());
});
