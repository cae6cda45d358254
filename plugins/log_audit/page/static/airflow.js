// The page stands in a frame of Airflow's UI: its colours, its address bar and its links are the frame's around it.

function outer() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // of another origin
  }
}

const frame = outer();
const here = window.location.pathname.slice(0, window.location.pathname.lastIndexOf("/log-audit/"));

/** An address of Airflow's own UI or API. */
export const airflow = (path) => `${here}${path}`;

export const runPage = (dag, run) => airflow(`/dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`);

export function taskPage(dag, run, task, index) {
  const mapped = index >= 0 ? `/mapped/${index}` : "";
  return `${runPage(dag, run)}/tasks/${encodeURIComponent(task)}${mapped}`;
}

/** Follow Airflow's light or dark mode, now and when it changes. */
export function followTheme() {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const root = frame?.document.documentElement;
    let chosen = "";
    if (root?.classList.contains("dark")) chosen = "dark";
    else if (root?.classList.contains("light")) chosen = "light";
    else chosen = stored() ?? (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = chosen;
  };
  apply();
  if (frame) {
    new MutationObserver(apply).observe(frame.document.documentElement, { attributeFilter: ["class"] });
  }
  window.addEventListener("storage", apply);
  system.addEventListener("change", apply);
}

function stored() {
  try {
    const theme = localStorage.getItem("theme");
    return theme === "dark" || theme === "light" ? theme : null;
  } catch {
    return null;
  }
}

/** Show the frame's state in Airflow's address bar: Airflow opens the page there again, at the same place. */
export function mirrorAddress() {
  if (!frame) return;
  const path = frame.location.pathname;
  const at = path.indexOf("/plugin/log-audit");
  if (at < 0) return;
  const base = `${path.slice(0, at)}/plugin/log-audit`;
  const { pathname, search } = window.location;
  frame.history.replaceState(frame.history.state, "", `${base}${pathname}${search}`);
}

/** The address to hand to a colleague. */
export function sharedAddress() {
  return (frame ?? window).location.href;
}

/** Airflow's frame allows neither new windows nor leaving it; the page around it does both. */
export function openLinksOutside() {
  const open = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || !frame || event.defaultPrevented || event.button > 1) return;
    const url = new URL(link.href);
    const within = url.origin === window.location.origin && url.pathname === window.location.pathname;
    if (within) return;
    event.preventDefault();
    const aside = link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    const copy = frame.document.createElement("a");
    copy.href = url.href;
    copy.rel = "noopener noreferrer";
    if (aside) copy.target = "_blank";
    frame.document.body.append(copy);
    copy.click();
    copy.remove();
  };
  document.addEventListener("click", open);
  document.addEventListener("auxclick", open);
}
