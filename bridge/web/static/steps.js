/**
 * "How this page got there": writes down each step of the flow as it happens, with its times.
 *
 * It loads before all other scripts, looks at what they do from outside (the browser's own resource timing, the opening
 * of websockets, elements that get drawn) and changes nothing for them. Words stand in the page; this script fills in.
 */
(() => {
  "use strict";

  const main = /** @type {HTMLElement} */ (document.querySelector("main[data-path]"));
  const { base = "", host = "" } = main.dataset;

  /** Which step a request belongs to, by the beginning of its address. */
  const REQUESTS = Object.entries({
    [`${location.origin}${base}session`]: "session",
    [`${location.origin}${base}config`]: "config",
    [`${location.origin}${base}token`]: "token",
    [`${location.origin}${base}access-token`]: "access-token",
    [`${host}/login/jwt-session`]: "login",
    [`${host}/api/v1/csrf-token`]: "csrf",
    [`${host}/oauth/token`]: "exchange",
    [`${host}/npm/@qlik/embed-web-components`]: "load",
    [`${host}/qlik-embed/`]: "load",
  });

  /** What the bridge says in `Server-Timing` about the making of a token. */
  const PARTS = new Map([
    ["jwt-login", "backend login"],
    ["groups", "groups read back"],
    ["mint", "token minted"],
    ["kept", "from the bridge's store; the tenant was not asked"],
    ["shared", "shared with another request of yours"],
    ["check", "old token looked at"],
  ]);

  /** Steps of which the browser tells more than one thing: they last until the last of them. */
  const GROWING = new Set(["load"]);
  const DRAWN = 'qlik-embed[object-id] > [data-ready="1"], #chart canvas, #chart svg';

  /** @typedef {{start: number, end: number, trouble: string, times: number}} Taken */
  /** @type {Map<string, Taken>} */
  const taken = new Map();
  /** @type {string[]} */
  const troubles = [];

  /** @param {string} name */
  const line = (name) => /** @type {HTMLElement | null} */ (document.querySelector(`#steps [data-step="${name}"]`));

  /** @param {number} ms */
  const duration = (ms) => (ms < 1 ? "under 1 ms" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);

  /**
   * Note a step. The first success stays; a failure gives way to the next attempt.
   * @param {string} name
   * @param {number} start milliseconds after the page was opened
   * @param {number} end
   * @param {string} [trouble]
   */
  function note(name, start, end, trouble = "") {
    const before = taken.get(name);
    if (before && !before.trouble) {
      before.times += 1;
      if (GROWING.has(name) && !taken.has("chart")) before.end = Math.max(before.end, end);
    } else {
      taken.set(name, { start, end, trouble, times: (before?.times ?? 0) + 1 });
    }
    draw();
  }

  function draw() {
    const whole = Math.max(1, ...[...taken.values()].map((step) => step.end));
    for (const [name, step] of taken) drawStep(name, step, whole);
    const rest = main.dataset.chart === "waiting" ? "waiting" : "not reached";
    for (const item of document.querySelectorAll("#steps > li:not([data-outcome])")) fill(item, ".step-time", rest);
  }

  /**
   * @param {string} name
   * @param {Taken} step
   * @param {number} whole what the full width of a track stands for
   */
  function drawStep(name, { start, end, trouble, times }, whole) {
    const item = line(name);
    if (!item) return;
    item.dataset.outcome = trouble ? "failed" : "done";
    const again = times > 1 && !GROWING.has(name) ? `, ${times} times` : "";
    fill(item, ".step-time", `${duration(end - start)}${again}`);
    fill(item, ".step-result", trouble);
    const bar = /** @type {HTMLElement} */ (item.querySelector(".track span"));
    bar.style.marginInlineStart = `${(start / whole) * 100}%`;
    bar.style.inlineSize = `${((end - start) / whole) * 100}%`;
  }

  /**
   * @param {Element} item
   * @param {string} selector
   * @param {string} words
   */
  function fill(item, selector, words) {
    const place = /** @type {HTMLElement} */ (item.querySelector(selector));
    place.hidden = !words;
    place.textContent = words;
  }

  /** @param {PerformanceResourceTiming} entry */
  function noteRequest(entry) {
    const address = entry.name.split("?")[0];
    const name = stepOf(address);
    if (!name || entry.name.endsWith("?quiet")) return; // news that a drawn page asks for
    const trouble = troubleOf(entry);
    if (trouble) admit(`${address} ${trouble}`, wantsCookie(name) ? "refused" : "failed");
    note(name, entry.startTime, entry.responseEnd, trouble && `It ${trouble}.`);
    if (name === "access-token") showParts(entry);
  }

  /**
   * embed.js asks for a CSRF token to see whether the browser kept the cookie; qlik-embed asks again, to use it.
   * @param {string} address
   */
  function stepOf(address) {
    const name = REQUESTS.find(([beginning]) => address.startsWith(beginning))?.[1];
    return name === "csrf" && line("cookies") && !taken.has("cookies") ? "cookies" : name;
  }

  /**
   * Tell whether a refusal of this step means that the browser did not keep the cookie of a login that was accepted.
   * @param {string} name
   */
  const wantsCookie = (name) => ["csrf", "cookies"].includes(name) && taken.get("login")?.trouble === "";

  /** @param {PerformanceResourceTiming} entry */
  function troubleOf({ responseStatus, initiatorType }) {
    if (responseStatus >= 400) return `was answered with ${responseStatus}`;
    return responseStatus === 0 && initiatorType === "fetch" ? "was not answered" : "";
  }

  /** @param {PerformanceResourceTiming} entry */
  function showParts({ serverTiming }) {
    const known = serverTiming.filter(({ name }) => PARTS.has(name));
    if (!known.length) return;
    const parts = known.map(({ name, duration: ms, description }) => {
      const part = document.createElement("li");
      part.textContent = [PARTS.get(name), ms && duration(ms), description].filter(Boolean).join(" · ");
      return part;
    });
    const list = /** @type {HTMLElement} */ (line("access-token")?.querySelector(".parts"));
    list.replaceChildren(...parts);
    list.hidden = false;
  }

  /** @param {WebSocket} socket */
  function noteSocket(socket) {
    if (!socket.url.startsWith(host.replace("http", "ws"))) return;
    const start = performance.now();
    let isOpen = false;
    socket.addEventListener("open", () => {
      isOpen = true;
      note("socket", start, performance.now());
    });
    socket.addEventListener("close", ({ code }) => {
      if (isOpen) return;
      note("socket", start, performance.now(), `It closed with code ${code} before it was open.`);
      admit(`the websocket closed with code ${code}`, "failed");
    });
  }

  /**
   * Say what went wrong on a page that does not say so itself.
   * @param {string} words
   * @param {"refused" | "failed"} outcome
   */
  function admit(words, outcome) {
    troubles.push(words);
    if (main.dataset.chart === "waiting" || outcome === "refused") main.dataset.chart = outcome;
    for (const place of document.querySelectorAll(".real-error")) place.textContent = troubles.join("; ");
    draw();
  }

  function watchSockets() {
    window.WebSocket = new Proxy(window.WebSocket, {
      construct(target, values) {
        const socket = Reflect.construct(target, values);
        noteSocket(socket);
        return socket;
      },
    });
  }

  function watchCharts() {
    const observer = new MutationObserver(() => {
      if (!main.querySelector(DRAWN)) return;
      observer.disconnect();
      main.dataset.chart = "drawn";
      note("chart", taken.get("socket")?.end ?? 0, performance.now());
      const summary = document.getElementById("steps-summary");
      if (summary) summary.textContent = `First chart after ${duration(performance.now())}.`;
    });
    observer.observe(main, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });
  }

  watchSockets();
  watchCharts();
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) noteRequest(/** @type {PerformanceResourceTiming} */ (entry));
  }).observe({ type: "resource", buffered: true });
  const noteScript = (/** @type {Event} */ { target }) => {
    if (target instanceof HTMLScriptElement) admit(`${target.src} could not be loaded`, "failed");
  };
  window.addEventListener("error", noteScript, { capture: true }); // it does not bubble
  window.addEventListener("unhandledrejection", ({ reason }) => {
    if (!(reason instanceof Event)) admit(String(reason?.message ?? reason), "failed"); // else a socket's, which is noted
  });
})();
