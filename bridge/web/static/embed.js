/**
 * Puts Qlik content into a page, on the path that its reader is on now. Described in docs/reference/embed-js.md.
 *
 *   <script src="https://bridge.example.com/t/acme/embed.js" defer></script>
 *   <qlik-embed ui="classic/chart" app-id="..." object-id="..."></qlik-embed>
 *
 * @typedef {{path: "jwt" | "oauth", stage: string, host: string, clientId: string, webIntegrationId: string,
 *   embedScript: string, csrf: string, subject: {sub: string, name: string, groups: string[]}, session?: string}} Session
 * @typedef {Error & {kind: string, code?: string, requestId?: string, again?: boolean, wait?: number, reason?: string,
 *   told?: boolean}} Trouble `again`: worth another attempt, after `wait` ms at least
 * @typedef {{tag: string, attributes: Record<string, string>, children?: Part[], text?: string}} Part
 */
(() => {
  "use strict";

  if ("qlikBridge" in window) return console.warn("Qlik Bridge: this page has embed.js twice.");

  const script = document.currentScript;
  const { sessionUrl, manual, messages } = script.dataset;
  const base = new URL(".", script.src);
  const root = document.documentElement;

  const ATTEMPTS = 5;
  const PATIENCE = 20_000;
  const BACKOFF = [500, 15_000];
  const LONGEST_WAIT = 300_000;
  const MINUTE = 60_000;
  /** The bridge hands a stored token out until it has this much life left; only then it gets a new one. */
  const RENEWAL = 10 * MINUTE;
  /** What this page knows of its session is out of date. */
  const STALE = ["not_signed_in", "bad_csrf", "still_on_jwt", "jwt_retired"];
  const COMPONENTS = "qlik-initial-selections, qlik-app-open-action, qlik-embed";
  const FRAMES = "iframe[data-bridge-src]";
  const CONTENT = `qlik-embed:not([data-bridge-frame] *), ${FRAMES}, [data-bridge-frame]`;
  const INTEGRATION = "qlik-web-integration-id";

  // What opens doors lives in this closure alone: no storage, no cookie that a script could read.
  let bearer = "";
  let assertion = "";
  /** @type {{id: string, value: string, until: number} | undefined} */
  let token;
  /** Id of the token that Qlik's code got last: when it asks again, that one was refused. */
  let handed = "";

  /** @type {Session | undefined} */
  let session;
  /** What the page's elements are set up for. @type {{path: string, stage: string} | undefined} */
  let shown;
  let state = "";
  let hasStarted = false;
  let hasLeft = false; // signed out here, on purpose
  let hasVouched = false; // the page, by an assertion
  let loggedInAt = 0; // at the tenant, on the path jwt
  let checkedAt = 0;

  // --- telling ---

  /** @param {string} name @param {object} detail */
  const emit = (name, detail) => document.dispatchEvent(new CustomEvent(`bridge:${name}`, { detail }));

  /** @param {string} value */
  const become = (value) => (root.dataset.bridgeState = state = value);

  /** @returns {Trouble} */
  const problem = (kind, message, more) => Object.assign(new Error(message), { kind }, more);
  const garbled = (kind) => problem(kind, "The answer makes no sense.", { again: true });
  const signedOut = (reason) => problem("signed_out", "You are signed out.", { reason });

  /** @param {Trouble} trouble @param {boolean} retrying */
  function tell({ kind, message, code, requestId }, retrying) {
    if (!retrying) console.warn(`Qlik Bridge: ${message}`);
    emit("error", { kind, message, code, requestId, retrying });
  }

  const reported = new Set();

  /** Count a trouble at the bridge, once a page: its kind, nothing else. @param {string} kind */
  function report(kind) {
    if (!session || reported.has(kind)) return;
    reported.add(kind);
    post("client-events", kind, { kind }).catch(() => {});
  }

  /** @template T @param {string} step @param {() => Promise<T>} work */
  async function timed(step, work) {
    const start = performance.now();
    const outcome = await work();
    emit("step", { step, ms: Math.round(performance.now() - start) });
    return outcome;
  }

  // --- asking ---

  /** One request with its whole answer, or a Trouble, within PATIENCE. @param {string | URL} url @param {RequestInit} options */
  async function exchange(url, kind, options) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const answer = await fetch(url, { cache: "no-store", ...options, signal: abort.signal });
      return { ok: answer.ok, status: answer.status, headers: answer.headers, text: await answer.text() };
    } catch {
      throw problem(kind, `${new URL(url).origin} did not answer, or does not allow this page.`, { again: true });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ask the bridge. @param {string} route @param {string} kind @param {RequestInit} [options] */
  function ask(route, kind, options = {}) {
    const proof = bearer ? { Authorization: `Bearer ${bearer}` } : session && options.method && { "CSRF-Token": session.csrf };
    const headers = { ...proof, ...options.headers };
    return exchange(new URL(route, base), kind, { credentials: bearer ? "omit" : "include", ...options, headers });
  }

  /** @param {string} route @param {string} kind @param {object} body */
  const post = (route, kind, body) =>
    ask(route, kind, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

  /** Ask the tenant, with the credential of the path. @param {Session} found @param {string} route @param {RequestInit} [options] */
  function askTenant({ host, path, webIntegrationId }, route, options = {}) {
    const proof = path === "oauth" ? { Authorization: `Bearer ${token?.value}` } : { [INTEGRATION]: webIntegrationId };
    const headers = { ...proof, ...options.headers };
    const credentials = path === "oauth" ? "omit" : "include";
    return exchange(host + route, "tenant_unreachable", { ...options, credentials, headers });
  }

  function parsed(text) {
    try {
      return JSON.parse(text) ?? {};
    } catch {
      return {};
    }
  }

  /** The answer's JSON. Throws the Trouble that it tells of. */
  function demand({ ok, status, headers, text }, kind) {
    const { error: code, message, request_id: requestId } = parsed(text);
    if (ok) return parsed(text);
    const again = STALE.includes(code) || [408, 429].includes(status) || (status >= 500 && code !== "tenant_refused");
    const wait = Number(headers.get("Retry-After")) * 1000 || 0;
    throw problem(kind, message ?? `The answer was ${status}.`, { code, requestId, again, wait });
  }

  /** @type {Set<() => void>} */
  const pauses = new Set();
  const hurry = () => pauses.forEach((end) => end());

  const pause = (ms) =>
    new Promise((resolve) => {
      const timer = setTimeout(end, ms);
      pauses.add(end);
      function end() {
        clearTimeout(timer);
        pauses.delete(end);
        resolve();
      }
    });

  /** Try, and try again where that may help. Throws a Trouble. @template T @param {() => Promise<T>} work */
  async function persist(kind, work) {
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (error) {
        const trouble = error.kind ? error : problem(kind, String(error));
        if (!trouble.again || failures === ATTEMPTS) throw trouble;
        tell(trouble, true);
        // Full jitter: pages that failed together must not come back together.
        const backoff = Math.random() * Math.min(BACKOFF[0] * 2 ** failures, BACKOFF[1]);
        await pause(Math.min(trouble.wait ?? 0, LONGEST_WAIT) + backoff);
      }
    }
  }

  // --- the session ---

  /** @returns {Promise<Session>} */
  async function readSession() {
    if (assertion || (sessionUrl && !hasVouched)) return openSession();
    const answer = await ask("session", "session_failed");
    if (answer.status !== 401) return demand(answer, "session_failed");
    bearer = "";
    if (!sessionUrl || hasLeft) throw signedOut("session-ended");
    return openSession();
  }

  /** Trade an assertion for a session: a bearer for a page of another site, a cookie on the bridge's own. */
  async function openSession() {
    const proof = assertion || (await fetchAssertion());
    assertion = bearer = ""; // an assertion serves once
    const headers = { Authorization: `Bearer ${proof}` };
    const found = demand(await ask("session", "session_failed", { method: "POST", headers }), "session_failed");
    bearer = found.session ?? "";
    hasVouched = true;
    return found;
  }

  async function fetchAssertion() {
    const answer = await exchange(new URL(sessionUrl, document.baseURI), "session_failed", {});
    if ([401, 403].includes(answer.status)) throw signedOut("session-ended");
    const given = demand(answer, "session_failed").assertion ?? answer.text.trim();
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(given)) throw signedOut("session-ended"); // most likely a sign-in page
    return given;
  }

  /** Read the session anew; on the path jwt, log in at the tenant. */
  async function enter() {
    const found = await timed("session", readSession);
    if (!found.path) throw garbled("session_failed");
    checkedAt = Date.now();
    if (session && session.subject.sub !== found.subject.sub) return startClean();
    session = found;
    root.dataset.bridgePath = found.path;
    if (found.path === "oauth") loggedInAt = 0;
    else if (!loggedInAt) await logIn(found);
    return found;
  }

  /** Qlik's code keeps tokens and answers by client, not by person: only a reload forgets them. */
  function startClean() {
    console.info("Qlik Bridge: another person is signed in now, so the page is loaded again.");
    takeDown("");
    emit("signed-out", { reason: "another-person" });
    location.reload();
    return new Promise(() => {});
  }

  /** Trade a signed JWT for the tenant's cookies, and see whether this browser kept them. @param {Session} found */
  async function logIn(found) {
    const { token: jwt } = await timed("jwt", async () => demand(await ask("token", "login_failed"), "login_failed"));
    if (!jwt) throw garbled("login_failed");
    await timed("login", async () => {
      const route = `/login/jwt-session?${INTEGRATION}=${encodeURIComponent(found.webIntegrationId)}`;
      const headers = { Authorization: `Bearer ${jwt}` };
      demand(await askTenant(found, route, { method: "POST", headers }), "login_failed");
      if (!(await knowsUs(found))) throw problem("cookies_blocked", `This browser blocks the cookies of ${found.host}.`);
    });
    loggedInAt = Date.now();
  }

  /** Ask what qlik-embed asks first: where nobody is signed in, it sends the whole page away. @param {Session} found */
  async function knowsUs(found) {
    const answer = await askTenant(found, "/api/v1/csrf-token");
    return answer.status !== 401 && !!demand(answer, "login_failed");
  }

  /** Qlik's code would leave for the tenant's sign-in page now. It stays, as this promise is never answered. */
  function logInAgain() {
    if (!settling && shown?.path === "jwt") settling = revive().finally(() => (settling = undefined));
    return new Promise(() => {});
  }

  async function revive() {
    try {
      if (await knowsUs(session)) return; // an answer from before the last login
      if (Date.now() - loggedInAt < MINUTE) throw problem("login_failed", `${session.host} forgot the login at once.`);
    } catch (trouble) {
      return giveUp(trouble);
    }
    loggedInAt = 0;
    become("starting");
    await bring();
  }

  // --- the way to `ready` ---

  /** @type {Promise<void> | undefined} */
  let settling;
  /** Who waits for the outcome. @type {{resolve: Function, reject: Function}[]} */
  const waiting = [];
  const outcome = () => new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  let announce;
  let news;
  const expectNews = () => (news = new Promise((resolve) => (announce = resolve)));
  expectNews();

  /** Bring the page to where the session says it should be. One at a time; never rejects. */
  const settle = () => (settling ??= bring().finally(() => (settling = undefined)));

  async function bring() {
    try {
      const before = loggedInAt;
      const found = await persist("session_failed", enter);
      await show(found, loggedInAt > before);
      announce();
      expectNews();
      if (found.path === "jwt" || isUsable()) arrive();
      else freshToken();
    } catch (trouble) {
      // A page that works goes on working while the bridge cannot be asked.
      if (state !== "ready" || trouble.kind !== "session_failed" || !trouble.again) giveUp(trouble);
    }
  }

  function arrive() {
    if (down !== undefined || shown?.path !== session.path) return;
    become("ready");
    banner?.remove();
    for (const { resolve } of waiting.splice(0)) resolve(session);
  }

  /** @param {Trouble} trouble */
  function giveUp(trouble) {
    if (trouble.told) return;
    trouble.told = true;
    const { kind, message, reason } = trouble;
    const isOut = kind === "signed_out";
    if (!isOut) {
      tell(trouble, false);
      report(kind);
    } else if (state !== "signed-out") emit("signed-out", { reason });
    if (isOut) forget();
    loggedInAt = 0;
    become(isOut || kind === "cookies_blocked" ? kind.replace("_", "-") : "error");
    const hints = { signed_out: "Sign in again.", cookies_blocked: "Allow third-party cookies for this page, or ask who runs it." };
    const text = `Qlik content cannot be shown. ${message} ${hints[kind] ?? ""}`;
    if (shown && kind === "token_failed") warn(text);
    else {
      shown = undefined;
      takeDown(text);
    }
    for (const { reject } of waiting.splice(0)) reject(trouble);
  }

  function forget() {
    clearTimeout(renewal);
    bearer = "";
    token = undefined;
  }

  // --- the token ---

  let getting;
  let renewing;
  let renewal;

  const isUsable = () => token?.until > Date.now();

  /**
   * What qlik-embed calls by name. Qlik's code keeps one chain of token requests a page, and a rejection ends it until
   * the page is loaded again: so this never rejects. Who asks again says that the last token was refused.
   */
  async function getAccessToken() {
    const { id, value } = await freshToken();
    handed = id;
    return value;
  }

  /** A token that was not handed out before, as soon as there is one. One request for all who ask. */
  const freshToken = () => (getting ??= get().finally(() => (getting = undefined)));

  async function get() {
    for (;;) {
      await renewing?.catch(() => {});
      if (isUsable() && token.id !== handed) return token;
      try {
        if (session?.path === "oauth") return await renew(handed);
      } catch (trouble) {
        giveUp(trouble);
      }
      await news;
    }
  }

  /** @param {string} refused id of a token */
  function renew(refused) {
    const seen = new Set();
    renewing ??= persist("token_failed", () => fetchToken(refused, seen)).finally(() => (renewing = undefined));
    return renewing;
  }

  /** @param {string} refused @param {Set<string>} seen what sent us back to the session already */
  async function fetchToken(refused, seen) {
    const headers = { Accept: "application/json", "X-Rejected-Token": refused };
    const answer = await timed("token", () => ask("access-token", "token_failed", { method: "POST", headers }));
    if (state === "signed-out") throw problem("signed_out", "", { told: true }); // meanwhile
    try {
      return keep(answer.headers.get("Token-Id") ?? "", demand(answer, "token_failed"));
    } catch (trouble) {
      if (!STALE.includes(trouble.code)) throw trouble;
      if (seen.has(trouble.code)) throw Object.assign(trouble, { again: false });
      seen.add(trouble.code);
      await settle(); // may sign the page out, or bring it to the other path
      throw Object.assign(trouble, session.path === "oauth" && state !== "signed-out" ? {} : { again: false, told: true });
    }
  }

  /** @param {string} id */
  function keep(id, { access_token: value, expires_in: seconds }) {
    const life = seconds * 1000;
    if (typeof value !== "string" || !value || !(life > 0)) throw garbled("token_failed");
    token = { id, value, until: Date.now() + life };
    clearTimeout(renewal);
    const ahead = Math.min(RENEWAL, life / 4) * (0.3 + 0.6 * Math.random());
    renewal = setTimeout(() => renew("").catch(() => {}), life - ahead);
    arrive();
    return token;
  }

  // --- the page ---

  /** What stands in the place of content that was taken down. @type {Map<ChildNode, Element>} */
  const held = new Map();
  /** What stands for old frames on the path oauth. @type {Map<Element, HTMLIFrameElement>} */
  const replaced = new Map();
  /** Why nothing is shown. @type {string | undefined} */
  let down;
  let banner;
  let loading;

  /** @param {Session} found @param {boolean} isNew the tenant's cookies are */
  async function show(found, isNew) {
    const { path, stage } = found;
    const was = shown;
    const moved = isNew || was?.path !== path;
    // Qlik's elements read their settings when they are connected, and not again.
    const old = moved && customElements.get("qlik-embed") ? document.querySelectorAll(COMPONENTS) : [];
    shown = { path, stage };
    configure(found);
    putBack();
    // In one go, so that the page's own references and frameworks notice nothing.
    for (const each of old) if (each.isConnected) each.parentNode.insertBefore(each, each.nextSibling);
    if (moved) setFrames(true);
    if (was?.path !== path || was.stage !== stage) emit("path", { path, stage, was: was?.path });
    await load();
  }

  /** Write settings where qlik-embed finds them before those of other scripts. @param {Session} found */
  function configure({ path, host, clientId, webIntegrationId }) {
    const isOauth = path === "oauth";
    const settings = {
      host,
      "auth-type": isOauth ? "Oauth2" : "cookie",
      "client-id": isOauth && clientId,
      "get-access-token": isOauth && "qlikBridgeAccessToken",
      "access-token-storage": isOauth && "memory", // whatever another script's attribute says
      "web-integration-id": !isOauth && webIntegrationId,
      "auth-redirect-user-confirmation": !isOauth && "qlikBridgeLogInAgain",
    };
    for (const [name, value] of Object.entries(settings)) {
      if (value) root.setAttribute(`data-qlik-embed-${name}`, value);
      else root.removeAttribute(`data-qlik-embed-${name}`);
    }
  }

  /** Load Qlik's web components as soon as there is anything to draw. */
  async function load() {
    if (customElements.get("qlik-embed") || !document.querySelector(COMPONENTS)) return;
    loading ??= timed("load", () => persist("embed_failed", addScript)).finally(() => (loading = undefined));
    await loading;
  }

  function addScript() {
    const tag = Object.assign(document.createElement("script"), { src: session.embedScript, nonce: script.nonce });
    return new Promise((resolve, reject) => {
      const fail = () => reject(problem("embed_failed", `${tag.src} cannot be loaded.`, { again: true }));
      tag.onload = resolve;
      tag.onerror = fail;
      setTimeout(fail, PATIENCE);
      document.head.append(tag);
    });
  }

  /** @param {string} text */
  function takeDown(text) {
    down = text;
    banner?.remove();
    for (const { firstChild } of held.keys()) if (firstChild) firstChild.nodeValue = text;
    for (const element of document.querySelectorAll(CONTENT)) {
      const standIn = text && messages !== "off" ? note(text, !held.size) : document.createComment("");
      held.set(standIn, element);
      element.replaceWith(standIn);
    }
  }

  function putBack() {
    down = undefined;
    for (const [standIn, element] of held) standIn.replaceWith(element);
    held.clear();
  }

  /** Say what is wrong, and leave what is drawn. @param {string} text */
  function warn(text) {
    banner?.remove();
    banner = messages === "off" ? undefined : note(text, true);
    if (banner) document.querySelector(CONTENT)?.before(banner);
  }

  /** @param {string} text @param {boolean} isFirst read out once is enough */
  function note(text, isFirst) {
    const box = document.createElement("div");
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
    button.onclick = retry;
    box.className = "qlik-bridge-note";
    if (isFirst) box.setAttribute("role", "alert");
    Object.assign(box.style, { padding: "1em", border: "1px solid" });
    box.append(text, button);
    return box;
  }

  // --- old frames ---

  /** @param {boolean} anew load them again even where the address stays */
  function setFrames(anew) {
    const isOauth = shown.path === "oauth";
    if (!isOauth) for (const [box, frame] of replaced) box.replaceWith(frame);
    if (!isOauth) replaced.clear();
    const frames = [...document.querySelectorAll(FRAMES)];
    if (!isOauth) for (const frame of frames) point(frame, anew);
    else if (frames.length) convert(frames).catch(giveUp);
  }

  /** Give a frame its address, now that the login is there. @param {HTMLIFrameElement} frame @param {boolean} anew */
  function point(frame, anew) {
    const url = new URL(frame.dataset.bridgeSrc, document.baseURI);
    if (!/^https?:$/.test(url.protocol)) return; // no way to run what nothing else would run
    if (url.origin === new URL(session.host).origin && !url.searchParams.has(INTEGRATION)) {
      // Not by `searchParams`, which would write every other value anew.
      url.search += `${url.search ? "&" : "?"}${INTEGRATION}=${encodeURIComponent(session.webIntegrationId)}`;
    }
    if (anew || frame.src !== url.href) frame.src = url.href;
  }

  let converting;

  /** Put Qlik's elements in the place of frames; the bridge knows which. @param {HTMLIFrameElement[]} frames */
  async function convert(frames) {
    if (converting) return;
    converting = true;
    const addresses = frames.map((frame) => frame.dataset.bridgeSrc);
    const ask = async () => demand(await post("frames", "embed_failed", { addresses }), "embed_failed");
    const { replacements } = await persist("embed_failed", ask).finally(() => (converting = false));
    if (shown.path === "oauth") frames.forEach((frame, place) => replace(frame, replacements[place]));
  }

  /** @param {HTMLIFrameElement} frame @param {{elements: Part[], differences: object[]}} replacement */
  function replace(frame, { elements, differences }) {
    const box = document.createElement("div"); // of the frame's size, as Qlik's elements have none
    for (const { name, value } of frame.attributes) {
      if (/^(id|class|title|data-(?!bridge-).+)$/.test(name)) box.setAttribute(name, value);
    }
    box.dataset.bridgeFrame = "";
    box.style.cssText = frame.style.cssText;
    for (const side of ["width", "height"]) if (frame[side]) box.style[side] ||= frame[side] + (+frame[side] ? "px" : "");
    const { offsetHeight } = frame;
    replaced.set(box, frame);
    frame.replaceWith(box);
    if (!box.offsetHeight) box.style.height = `${offsetHeight}px`;
    box.append(...elements.map(make));
    if (!differences.length) return;
    console.warn("Qlik Bridge: a frame has no exact equivalent.", frame, differences);
    emit("frame", { src: frame.dataset.bridgeSrc, unmapped: differences });
    if (elements.length) return;
    report("frame_unmapped");
    if (messages !== "off") box.append(`This Qlik content cannot be shown any more: ${differences[0].name} ${differences[0].why}.`);
  }

  /** @param {Part} part */
  function make({ tag, attributes, children = [], text = "" }) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(text, ...children.map(make));
    return element;
  }

  // --- what pages may use ---

  /** Stop waiting and try again, also after signing out. */
  function retry() {
    hasStarted = true;
    hasLeft = false;
    hurry();
    return settle();
  }

  const qlikBridge = {
    /** The session, once there is something to see. Never rejects. @type {Promise<Session>} */
    ready: new Promise((resolve) => waiting.push({ resolve, reject() {} })),

    get session() {
      return session;
    },

    /** For pages that use @qlik/api or @qlik/embed-react; another one after `bridge:path`. */
    get hostConfig() {
      if (!shown) return undefined;
      const { host, clientId, webIntegrationId } = session;
      if (shown.path === "jwt") return { host, authType: "cookie", webIntegrationId, authRedirectUserConfirmation: logInAgain };
      return { host, authType: "oauth2", clientId, getAccessToken: "qlikBridgeAccessToken" };
    },

    /** Start, or start anew with an assertion. Rejects with a Trouble. @returns {Promise<Session>} */
    async connect(options = {}) {
      if (options.assertion) await settling;
      else if (state === "ready") return session;
      assertion = options.assertion ?? "";
      const end = outcome();
      retry();
      return end;
    },

    getAccessToken,
    retry,
    recheck: () => settle().then(() => session),

    /** What the tenant itself says about the reader. */
    async whoami() {
      const found = await qlikBridge.connect();
      const ask = () => askTenant(found, "/api/v1/users/me");
      try {
        let answer = await ask();
        if (answer.status === 401 && found.path === "oauth") {
          handed = token?.id ?? "";
          await Promise.race([freshToken(), outcome()]);
          answer = await ask();
        }
        return demand(answer, "whoami_failed");
      } catch (error) {
        report(error.kind);
        throw error;
      }
    },

    /** End the session, the person's tokens and what siblings of this tab show. The tenant's own cookies stay. */
    async signOut() {
      if (!session) return;
      const answer = await ask("session", "session_failed", { method: "DELETE" });
      if (answer.status !== 401) demand(answer, "session_failed");
      hasLeft = true;
      siblings.postMessage("left");
      giveUp(signedOut("signed-out"));
    },
  };

  Object.assign(window, { qlikBridge, qlikBridgeAccessToken: getAccessToken, qlikBridgeLogInAgain: logInAgain });

  /** Other tabs of this page's site that show the same tenant. */
  const siblings = new BroadcastChannel(`qlik-bridge ${base}`);
  siblings.onmessage = () => {
    if (bearer) ask("session", "session_failed", { method: "DELETE" }).catch(() => {}); // the sibling ended its own
    if (session) giveUp(signedOut("another-tab"));
  };

  /** Look for news while somebody is looking at the page. @param {number} every */
  function look(every) {
    if (!hasStarted || document.hidden) return;
    if (["error", "signed-out"].includes(state) || Math.abs(Date.now() - checkedAt) >= every) settle();
  }

  document.addEventListener("visibilitychange", () => look(MINUTE));
  addEventListener("pageshow", () => look(MINUTE));
  addEventListener("online", () => (hurry(), look(MINUTE)));
  // Who works in charts for hours asks the bridge nothing, and must not be signed out for being idle.
  addEventListener("pointerdown", () => look(RENEWAL), true);

  // Parts of the page that come later, by the page or by a parser that is still busy.
  new MutationObserver(() => {
    if (down !== undefined) return takeDown(down);
    if (!shown) return;
    setFrames(false);
    load().catch(giveUp);
  }).observe(root, { childList: true, subtree: true, attributeFilter: ["data-bridge-src"] });

  become("starting");
  if (manual === undefined) retry();
})();
