/** Fills the portal page with what the tenant says about its reader, or with an honest reason why it cannot. */
(() => {
  "use strict";

  const main = /** @type {HTMLElement} */ (document.querySelector("main[data-path]"));
  const KNOWN = ["cookies_blocked"];

  /** @param {string} id */
  const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

  /** @param {{name: string, providerType?: string}} group */
  function groupLine(group) {
    const line = document.createElement("li");
    const type = document.createElement("span");
    type.className = "tag";
    type.textContent = group.providerType ?? "no provider type";
    line.append(group.name, " ", type);
    return line;
  }

  /** @param {string} reason the id of a template, without its prefix */
  function explain(reason) {
    const words = /** @type {HTMLTemplateElement} */ (part(`why-${reason}`));
    part("explanation").replaceChildren(words.content.cloneNode(true));
  }

  /** @param {{id: string, name: string, assignedGroups?: {name: string, providerType?: string}[]}} me */
  function show(me) {
    part("caller-id").textContent = me.id;
    part("caller-name").textContent = me.name;
    part("caller-groups").replaceChildren(...(me.assignedGroups ?? []).map(groupLine));
    explain(main.dataset.path === "oauth" ? "oauth" : "jwt");
    main.dataset.state = "ready";
  }

  /** @param {Error & {kind?: string, code?: string, requestId?: string}} error */
  function admit(error) {
    const isKnown = KNOWN.includes(error.kind ?? "");
    explain(isKnown ? "cookies-blocked" : "error");
    if (!isKnown) {
      part("problem").textContent = error.message;
      part("problem-code").textContent = error.code ? `${error.code}, request ${error.requestId}` : (error.kind ?? "");
    }
    for (const id of ["caller-id", "caller-name", "caller-groups"]) part(id).textContent = "not known";
    main.dataset.state = isKnown ? "cookies-blocked" : "error";
  }

  async function fill() {
    try {
      // @ts-ignore - embed.js defines it; when it did not load, this throws and is explained like the rest
      show(await window.qlikBridge.whoami());
    } catch (error) {
      admit(/** @type {Error} */ (error));
    }
  }

  /** @param {SubmitEvent} event */
  async function moveStage(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const fields = new FormData(form);
    const percent = fields.get("percent");
    const body = { to: fields.get("to"), reason: fields.get("reason"), ...(percent && { percent: Number(percent) }) };
    const headers = { "Content-Type": "application/json", "CSRF-Token": String(fields.get("csrf_token")) };
    const answer = await fetch(form.action, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return location.reload();
    const refusal = await answer.json();
    const reasons = (refusal.unmet ?? [refusal]).map((/** @type {{message: string}} */ each) => each.message);
    part("stage-refusal").textContent = reasons.join(" ");
  }

  document.getElementById("stage-control")?.addEventListener("submit", moveStage);
  fill();
})();
