// Building the page. Whatever is shown goes in as text, never as markup: findings quote logs, and logs are hostile.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "checked" || name === "disabled" || name === "open" || name === "value") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** An element: `h("p", {class: "muted"}, "text", child)`. */
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function s(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Text from outside: its direction is its own affair, and it breaks wherever it must. */
export function foreign(text, attributes) {
  return h("bdi", { dir: "auto", class: "foreign", ...attributes }, String(text ?? ""));
}

/** A link to another site: console, Slack. Only http(s) is a link; anything else is text. */
export function outside(url, text) {
  if (!/^https?:\/\//i.test(url ?? "")) return h("span", { class: "muted" }, `${text}: none`);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer", class: "outside" }, text);
}

export const icon = (state) => h("i", { class: "icon", data: { state }, "aria-hidden": "true" });

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(3).filter(Boolean));
  return node;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en");

export const number = (value) => whole.format(value);
export const short = (value) => compact.format(value);
export const plural = (count, one, many = `${one}s`) => `${whole.format(count)} ${count === 1 ? one : many}`;

/** Bytes as AWS bills them: 1 GB is 10⁹ bytes. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export const dollars = (value) => (value && value < 0.01 ? `${value.toFixed(4)} USD` : `${value.toFixed(2)} USD`);

/** "a", "a and b", "a, b and c" */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

export function debounced(action, wait = 250) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait);
  };
}

export function announce(text) {
  document.getElementById("said").textContent = text;
}
