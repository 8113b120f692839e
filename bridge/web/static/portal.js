/**
 * The demo's page around its embeds: says on which path they are, what the tenant says about their reader, and why
 * something is not drawn. Everything here comes from embed.js, its events, and the tenant itself.
 *
 * @typedef {{name: string, providerType?: string}} Group
 * @typedef {{id: string, name: string, assignedGroups?: Group[]}} Me
 * @typedef {{region: string, rows: number}} Share
 */
(() => {
  "use strict";

  const main = /** @type {HTMLElement} */ (document.querySelector("main[data-path]"));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const COOKIE = { oauth: "not needed", ready: "kept by this browser", "cookies-blocked": "blocked by this browser" };
  /** The code with which Qlik closes the websocket of somebody who may not open the app. */
  const NO_ACCESS = 4203;
  const EVERYONE = /(^|\.)everyone$/i;

  /** Rows by region, as the engine gives them to this person. */
  const ROWS_BY_REGION = {
    qInfo: { qType: "rows-by-region" },
    qHyperCubeDef: {
      qDimensions: [{ qDef: { qFieldDefs: ["Region"] } }],
      qMeasures: [{ qDef: { qDef: "Count(Sales)" } }],
      qInitialDataFetch: [{ qTop: 0, qLeft: 0, qWidth: 2, qHeight: 50 }],
    },
  };

  /** @type {Group[]} */
  let groups = [];

  /** @param {string} id */
  const part = (id) => document.getElementById(id);

  /**
   * @param {string} id
   * @param {...(string | Node)} content
   */
  const put = (id, ...content) => part(id)?.replaceChildren(...content);

  /**
   * @param {string} tag
   * @param {...(string | Node)} content
   */
  function made(tag, ...content) {
    const element = document.createElement(tag);
    element.append(...content);
    return element;
  }

  /** @param {number} count */
  const rows = (count) => (count === 1 ? "1 row" : `${count} rows`);

  /** @param {string} words */
  const tag = (words) => Object.assign(made("span", words), { className: "tag" });

  // --- the state of the page -------------------------------------------------------------------------------

  /**
   * @param {string} state
   * @param {string} reason the id of a template, without its prefix
   */
  function explain(state, reason) {
    const words = /** @type {HTMLTemplateElement | null} */ (part(`why-${reason}`));
    if (words) put("explanation", words.content.cloneNode(true)); // else the page leaves it to embed.js
    main.dataset.state = state;
    showCookie();
  }

  function showCookie() {
    const { path, state } = main.dataset;
    put("cookie", path === "oauth" ? COOKIE.oauth : (COOKIE[/** @type {"ready"} */ (state)] ?? "…"));
  }

  /** @param {{path: string, stage: string}} now */
  function showPath({ path, stage }) {
    main.dataset.path = path;
    put("path", path);
    put("stage", stage);
    for (const step of document.querySelectorAll(".rail li")) {
      if (/** @type {HTMLElement} */ (step).dataset.stage === stage) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    showCookie();
  }

  /** @typedef {{kind?: string, message: string, code?: string, requestId?: string, retrying?: boolean}} Trouble */

  /** @param {Trouble} trouble */
  function admit({ kind = "", message, code, requestId, retrying }) {
    explain("error", retrying ? "retrying" : "error");
    put("problem", message);
    put("problem-code", code ? `${code}, request ${requestId}` : kind);
    // @ts-ignore - embed.js defines it; where it did not load, only the whole page can try again
    part("retry")?.addEventListener("click", () => (window.qlikBridge ? window.qlikBridge.retry() : location.reload()));
  }

  /** @type {Trouble} */
  let trouble = { message: "The bridge's script could not be loaded.", kind: "embed.js" };

  /** @param {Trouble} told */
  function note(told) {
    if (!told.retrying) trouble = told;
    else if (main.dataset.state === "loading") admit(told);
  }

  /** Follow what embed.js says on the root element. */
  function follow() {
    const state = document.documentElement.dataset.bridgeState;
    if (state === "starting") return;
    if (state === "ready") return askTenant();
    if (state === "error" || !state) admit(trouble);
    else explain(state, state);
    showNobody();
  }

  // --- what the tenant says ------------------------------------------------------------------------------------

  /** @param {Me} me */
  function show(me) {
    groups = me.assignedGroups ?? [];
    put("caller-id", me.id);
    put("caller-name", me.name);
    const lines = groups.map((each) => made("li", each.name, " ", tag(each.providerType ?? "no provider type")));
    put("caller-groups", ...(lines.length ? lines : [made("li", "none")]));
    explain("ready", main.dataset.path === "oauth" ? "oauth" : "jwt");
  }

  function showNobody() {
    for (const id of ["caller-id", "caller-name"]) put(id, "not known");
    put("caller-groups", made("li", "not known"));
    put("caller-rows", made("li", "No rows: the engine was not asked."));
    put("caller-total");
  }

  const isReady = () => document.documentElement.dataset.bridgeState === "ready";

  async function askTenant() {
    try {
      // @ts-ignore - embed.js defines it, and said that it is ready
      const me = await window.qlikBridge.whoami();
      if (!isReady()) return; // any more: what is true now was said already
      show(me);
      await askForRows();
    } catch (error) {
      if (isReady()) admit(/** @type {Trouble} */ (error));
    }
  }

  // --- where the groups lead -----------------------------------------------------------------------------------

  /** Ask the engine on the connection of a chart. Later selections change the total, not what groups open. */
  async function askForRows() {
    const embed = /** @type {any} */ (document.querySelector('qlik-embed[object-id="sales-by-region"]'));
    if (!embed || !part("caller-rows")) return;
    await customElements.whenDefined("qlik-embed");
    if (!embed.getRefApi) return put("caller-rows", made("li", "Nothing here can ask the engine.")); // a stand-in
    const doc = await (await embed.getRefApi()).getDoc();
    const model = await doc.createSessionObject(ROWS_BY_REGION);
    const regions = shares(await model.getLayout());
    if (!isReady()) return;
    put("caller-rows", ...leads(regions).map(([group, where]) => made("li", tag(group), " → ", where)));
    showTotal(regions);
    model.on("changed", async () => showTotal(shares(await model.getLayout())));
  }

  /** @returns {Share[]} */
  function shares(/** @type {any} */ layout) {
    const matrix = layout.qHyperCube.qDataPages[0]?.qMatrix ?? [];
    return matrix.map((/** @type {any} */ [region, count]) => ({ region: region.qText, rows: count.qNum }));
  }

  /** @param {Share[]} regions */
  function showTotal(regions) {
    const all = regions.reduce((sum, each) => sum + each.rows, 0);
    const names = regions.map(({ region }) => region).join(", ");
    put("caller-total", `${rows(all)} of Retail sales, in ${names || "no region"}.`);
  }

  /**
   * Say which group leads where. A region belongs to the group of its name; what is left over is what everyone may
   * see, or, where that is more than one region, what the person's other groups open.
   * @param {Share[]} regions
   * @returns {[group: string, where: string][]}
   */
  function leads(regions) {
    const names = groups.map(({ name }) => name);
    const own = regions.filter(({ region }) => names.includes(region));
    const rest = regions.filter(({ region }) => !names.includes(region));
    const others = names.filter((name) => !EVERYONE.test(name) && !own.some(({ region }) => region === name));
    const opens = rest.length > 1;
    return [
      ...own.map(words),
      ...others.map((name) => pair(name, opens ? "rows of every region" : "no rows of this app")),
      ...(opens ? [] : rest.map((each) => words({ ...each, group: "Everyone" }))),
    ];
  }

  /** @type {(group: string, where: string) => [string, string]} */
  const pair = (group, where) => [group, where];

  /** @param {Share & {group?: string}} share */
  const words = ({ region, rows: count, group = region }) => pair(group, `rows of region ${region} (${count})`);

  // --- the embeds around it --------------------------------------------------------------------------------

  function dressForTheDark() {
    const theme = dark.matches ? "dark" : "light";
    for (const embed of document.querySelectorAll("qlik-embed")) embed.setAttribute("theme", theme);
  }

  /** Say why the Ledger stays shut, beside what is said in its place. */
  function watchLedger() {
    const words = /** @type {HTMLElement | null} */ (document.querySelector(".ledger .refusal"));
    document.querySelector(".ledger qlik-embed")?.addEventListener("fatalerror", (event) => {
      const { original, code } = /** @type {CustomEvent} */ (event).detail ?? {};
      if (words) words.hidden = (original?.code ?? code) !== NO_ACCESS;
    });
  }

  // --- the operator's control --------------------------------------------------------------------------------------

  /** @param {SubmitEvent} event */
  async function moveStage(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const back = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value;
    const fields = new FormData(form);
    const percent = !back && fields.get("percent");
    const body = { to: back || fields.get("to"), reason: fields.get("reason"), ...(percent && { percent: Number(percent) }) };
    const headers = { "Content-Type": "application/json", "CSRF-Token": String(fields.get("csrf_token")) };
    const answer = await fetch(form.action, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return location.reload();
    const refusal = await answer.json();
    const reasons = (refusal.unmet ?? [refusal]).map((/** @type {{message: string}} */ each) => each.message);
    put("stage-refusal", reasons.join(" "));
  }

  // --- at work ---------------------------------------------------------------------------------------------------

  dressForTheDark();
  dark.addEventListener("change", dressForTheDark);
  watchLedger();
  document.addEventListener("bridge:path", (event) => showPath(/** @type {CustomEvent} */ (event).detail));
  document.addEventListener("bridge:frame", dressForTheDark);
  document.addEventListener("bridge:error", (event) => note(/** @type {CustomEvent} */ (event).detail));
  new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-bridge-state"] });
  document.addEventListener("DOMContentLoaded", follow); // when embed.js has started, unless it is not there
  part("stage-control")?.addEventListener("submit", moveStage);
})();
