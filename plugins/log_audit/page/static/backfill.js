// Having months archived: Airflow's own backfill, its dry run first.
import { airflowApi } from "./api.js";
import { airflow } from "./airflow.js";
import { announce, h, listed, plural, replace } from "./dom.js";
import { notice } from "./parts.js";

const DAG = "monthly_log_export";
const modal = document.getElementById("modal");

/** What Airflow is asked: the keys' own dates on the business zone's clock, one run at a time, the oldest first. */
function request(months, ran) {
  return {
    dag_id: DAG,
    from_date: `${months[0]}-01T00:00:00Z`,
    to_date: `${months.at(-1)}-28T00:00:00Z`, // every month has one, and its run is due on the 1st
    run_backwards: false,
    max_active_runs: 1,
    // A run that succeeded without this log group must be made again; what is archived and sound is not exported twice.
    reprocess_behavior: months.some((month) => ran.includes(month)) ? "completed" : "failed",
    dag_run_conf: {},
  };
}

export async function offerBackfill(months, answer, done) {
  const wanted = [...months].sort();
  const body = request(wanted, answer.ran);
  const content = h("div", { class: "modal-body" }, h("p", { class: "muted", role: "status" }, "Asking Airflow what it would run …"));
  const start = h("button", { type: "button", class: "primary", disabled: true }, "Start");
  const cancel = h("button", { type: "button", onclick: () => modal.close() }, "Cancel");
  replace(modal, h("div", { class: "sheet-head" }, h("h2", { id: "modal-title" }, `Backfill ${listed(wanted)}`)), content, h("div", { class: "modal-foot" }, cancel, start));
  if (!modal.open) modal.showModal();
  try {
    const dry = await airflowApi("POST", "backfills/dry_run", body);
    const keys = dry.backfills.map((entry) => entry.partition_key).sort();
    const unpause = drawPlan(content, keys, wanted, answer);
    start.textContent = `Start ${plural(keys.length, "run")}`;
    start.disabled = !keys.length;
    start.onclick = () => run(body, unpause, content, start, cancel, done);
  } catch (error) {
    replace(content, refused(error));
  }
}

function drawPlan(content, keys, wanted, answer) {
  const between = keys.filter((key) => !wanted.includes(key));
  const without = wanted.filter((key) => !keys.includes(key));
  const paused = answer.paused.includes(DAG);
  const box = h("input", { type: "checkbox", id: "unpause", checked: true });
  replace(
    content,
    h("p", {}, keys.length ? `Airflow would make ${plural(keys.length, "run")} of ${DAG}${keys.length > 1 ? ", one at a time, the oldest first" : ""}:` : "Airflow would run nothing: these months have a run already. Open the run and clear what is red."),
    h("ul", { class: "months", "aria-label": "Months that would run" }, keys.map((key) => h("li", { class: between.includes(key) ? "between" : "" }, key))),
    between.length ? notice("plain", `${listed(between)} ${between.length === 1 ? "lies" : "lie"} between the months you marked, and would run too.`) : null,
    without.length && keys.length ? notice("warn", `${listed(without)} would not run: a run of ${without.length === 1 ? "it" : "them"} is there already. Open that run and clear what is red.`) : null,
    paused && keys.length ? notice("warn", h("label", {}, box, ` Un-pause ${DAG} as well: while it is paused the runs only queue`)) : null,
    h("p", { class: "muted small" }, "All log groups of the settings are archived for these months. What is archived and sound is not exported again; nothing is ever deleted. Exports run one at a time in an account."),
  );
  return () => paused && box.checked;
}

async function run(body, unpause, content, start, cancel, done) {
  start.disabled = true;
  start.textContent = "Starting …";
  try {
    if (unpause()) await airflowApi("PATCH", `dags/${DAG}`, { is_paused: false });
    const made = await airflowApi("POST", "backfills", body);
    replace(content, h("p", { class: "strong", role: "status" }, "The backfill has started."), h("p", {}, "The months turn to running, then to provisional or final, in the grid. "),
      h("p", {}, h("a", { href: airflow(`/dags/${DAG}/backfills`) }, `Backfill ${made.id} in Airflow`)));
    announce("The backfill has started.");
    start.remove();
    cancel.textContent = "Close";
    cancel.focus();
    done?.();
  } catch (error) {
    content.append(refused(error));
    start.textContent = "Try again";
    start.disabled = false;
  }
  document.dispatchEvent(new CustomEvent("log-audit:again"));
}

function refused(error) {
  if (error.kind === "forbidden") return notice("bad", "You may not start a backfill: Airflow's roles say so.");
  return notice("bad", `Airflow refuses: ${error.message}`);
}
