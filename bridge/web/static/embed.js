/**
 * Puts Qlik content into a page, on the path of its reader: docs/reference/embed-js.md
 *
 * @typedef {{path: "jwt" | "oauth", stage: string, host: string, csrf: string, subject: {sub: string}}} Session
 * @typedef {Error & {kind: string, again?: boolean, wait?: number, told?: boolean}} Trouble
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
  const MINUTE = 60_000;
  /** So long before a token's end the bridge gives new ones. */
  const RENEWAL = 10 * MINUTE;
  /** Answers to a page that knows an old session. */
  const STALE = ["not_signed_in", "bad_csrf", "still_on_jwt", "jwt_retired"];
  const COMPONENTS = "qlik-initial-selections, qlik-app-open-action, qlik-embed";
  const FRAMES = "iframe[data-bridge-src]";
  const CONTENT = `qlik-embed:not([data-bridge-frame] *), ${FRAMES}, [data-bridge-frame]`;
  const INTEGRATION = "qlik-web-integration-id";

  // Credentials live here alone, in no storage.
  let bearer = "";
  let assertion = "";
  /** @type {{id: string, value: string, until: number} | undefined} */
  let token;
  let handed = ""; // to Qlik's code: when it asks again, that one was refused

  /** @type {Session | undefined} */
  let session;
  /** What the page is set up for. @type {Session | undefined} */
  let shown;
  let state = "";
  let hasLeft = false; // on purpose
  let loggedInAt = 0; // at the tenant, on the path jwt
  let checkedAt = 0; // for a person
  let quiet; // nobody may be here

  // --- telling ---

  const emit = (name, detail) => document.dispatchEvent(new CustomEvent(`bridge:${name}`, { detail }));

  const become = (value) => (root.dataset.bridgeState = state = value);

  const problem = (kind, message, more) => Object.assign(new Error(message), { kind }, more);
  const garbled = (kind) => problem(kind, "The answer makes no sense.", { again: true });
  const signedOut = (reason) => problem("signed_out", "You are signed out.", { reason });

  function tell({ kind, message, code, requestId }, retrying) {
    if (!retrying) console.warn(`Qlik Bridge: ${message}`);
    emit("error", { kind, message, code, requestId, retrying });
  }

  const reported = new Set();

  /** Count it at the bridge, once a page. */
  function report(kind) {
    if (!session || reported.has(kind)) return;
    reported.add(kind);
    post("client-events", kind, { kind }).catch(() => {});
  }

  async function timed(step, work) {
    const start = performance.now();
    const outcome = await work();
    emit("step", { step, ms: Math.round(performance.now() - start) });
    return outcome;
  }

  // --- asking ---

  /** The whole answer, or a Trouble, in time. */
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

  function ask(route, kind, options = {}) {
    const csrf = session && options.method && { "CSRF-Token": session.csrf };
    const headers = { ...(bearer ? { Authorization: `Bearer ${bearer}` } : csrf), ...options.headers };
    return exchange(new URL(route, base), kind, { credentials: bearer ? "omit" : "include", ...options, headers });
  }

  const post = (route, kind, body) =>
    ask(route, kind, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

  /** Ask the tenant. @param {Session} found */
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

  /** The answer's JSON, or the Trouble that it tells of. */
  function demand({ ok, status, headers, text }, kind) {
    const { error: code, message, request_id: requestId } = parsed(text);
    if (ok) return parsed(text);
    const isStale = STALE.includes(code) && kind !== "session_failed";
    const again = isStale || [408, 429].includes(status) || (status >= 500 && code !== "tenant_refused");
    const wait = Number(headers.get("Retry-After")) * 1000 || 0;
    throw problem(kind, message ?? `The answer was ${status}.`, { code, requestId, again, wait });
  }

  async function persist(work) {
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (error) {
        if (!error.again || failures === ATTEMPTS) throw error;
        tell(error, true);
        // Full jitter, or pages that failed together come back together.
        const ms = Math.min(error.wait ?? 0, 5 * MINUTE) + Math.random() * 500 * 2 ** failures;
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  }

  // --- the session ---

  /** @returns {Promise<Session>} */
  async function readSession() {
    if (assertion || (sessionUrl && !session)) return openSession();
    const answer = await ask(quiet ? "session?quiet" : "session", "session_failed");
    if (answer.status !== 401) return demand(answer, "session_failed");
    bearer = "";
    if (!sessionUrl || hasLeft) throw signedOut("session-ended");
    return openSession();
  }

  /** Trade an assertion for a session: a bearer on another site, else a cookie. */
  async function openSession() {
    const headers = { Authorization: `Bearer ${assertion || (await fetchAssertion())}` };
    const found = demand(await ask("session", "session_failed", { method: "POST", headers }), "session_failed");
    assertion = ""; // it served; until then, no cookie in its place
    bearer = found.session ?? "";
    return found;
  }

  async function fetchAssertion() {
    const answer = await exchange(new URL(sessionUrl, document.baseURI), "session_failed", {});
    if ([401, 403].includes(answer.status)) throw signedOut("session-ended");
    const given = demand(answer, "session_failed").assertion ?? answer.text.trim();
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(given)) throw signedOut("session-ended"); // a sign-in page
    return given;
  }

  async function enter() {
    const found = await timed("session", readSession);
    if (!found.path) throw garbled("session_failed");
    if (!quiet) checkedAt = Date.now();
    if (session && session.subject.sub !== found.subject.sub) return startClean();
    session = found;
    hasLeft = false;
    if (shown?.path !== found.path) become("starting");
    root.dataset.bridgePath = found.path;
    if (found.path === "oauth") loggedInAt = 0;
    else if (!loggedInAt) await logIn(found);
    return found;
  }

  /** Qlik's code keeps tokens and answers by client, not by person: only a reload forgets them. */
  function startClean() {
    console.info("Qlik Bridge: another person is signed in now.");
    takeDown("");
    emit("signed-out", { reason: "another-person" });
    location.reload();
    return new Promise(() => {});
  }

  /** Trade a JWT for cookies, and see whether they stay. */
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

  /** Ask what Qlik's code asks first: without a session it leaves the page. */
  async function knowsUs(found) {
    const answer = await askTenant(found, "/api/v1/csrf-token");
    return answer.status !== 401 && !!demand(answer, "login_failed");
  }

  /** Were this promise ever answered, Qlik's code would leave for the tenant's sign-in page. */
  function logInAgain() {
    reviving ??= revive().catch(giveUp).finally(() => (reviving = undefined));
    return new Promise(() => {});
  }

  let reviving;

  async function revive() {
    const isFresh = Date.now() - loggedInAt < MINUTE;
    if (isFresh && (await knowsUs(session))) return; // an answer from before the last login
    if (isFresh) throw problem("login_failed", `${session.host} forgot the login at once.`);
    await settling;
    if (shown?.path !== "jwt") return;
    loggedInAt = 0;
    become("starting");
    await settle();
  }

  // --- the way to `ready` ---

  let settling;
  let resolveReady;
  const ready = new Promise((resolve) => (resolveReady = resolve));
  const waiting = [];
  const outcome = () => new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  const end = (how, value) => waiting.splice(0).forEach((each) => each[how](value));

  /** Bring the page where the session says. Never rejects. */
  const settle = () => (settling ??= bring().finally(() => (settling = quiet = undefined)));

  async function bring() {
    try {
      const before = loggedInAt;
      const found = await persist(enter);
      await show(found, loggedInAt > before);
      wake();
      if (found.path === "jwt" || isUsable()) arrive();
      else freshToken();
    } catch (trouble) {
      // A page that works goes on while the bridge is away.
      if (state === "ready" && (quiet || (trouble.kind === "session_failed" && trouble.again))) end("reject", trouble);
      else giveUp(trouble);
    }
  }

  function arrive() {
    if (down !== undefined || shown?.path !== session.path) return;
    become("ready");
    banner?.remove();
    resolveReady(session);
    end("resolve", session);
  }

  const HINTS = { signed_out: "Sign in again.", cookies_blocked: "Allow them for this page, or ask who runs it." };

  /** @param {Trouble} trouble */
  function giveUp(trouble) {
    if (trouble.told) return;
    trouble.told = true;
    const { kind, message, reason } = trouble;
    const isOut = kind === "signed_out";
    const text = `Qlik content cannot be shown. ${message} ${HINTS[kind] ?? ""}`;
    loggedInAt = 0;
    if (isOut) {
      if (state !== "signed-out") emit("signed-out", { reason });
      clearTimeout(renewal);
      bearer = "";
      token = undefined;
    } else {
      tell(trouble, false);
      report(kind);
    }
    become(HINTS[kind] ? kind.replace("_", "-") : "error");
    const isDrawn = kind === "embed_failed" && customElements.get("qlik-embed");
    if (shown && (isDrawn || kind === "token_failed")) warn(text);
    else takeDown(text);
    end("reject", trouble);
  }

  // --- the token ---

  let getting;
  let renewing;
  let renewal;
  let wake = () => {};

  const isUsable = () => token?.until > Date.now();

  /** What Qlik's code calls by name. Never rejects: one rejection ends all its token requests until a reload. */
  async function getAccessToken() {
    const { id, value } = await freshToken();
    handed = id;
    return value;
  }

  /** A token not handed out before, the same for all who ask. */
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
      await new Promise((resolve) => (wake = resolve));
    }
  }

  /** @param {string} refused the id of a token, or "" */
  function renew(refused) {
    let isFirst = true;
    const headers = { Accept: "application/json", "X-Rejected-Token": refused };
    const attempt = async () => {
      const answer = await timed("token", () => ask("access-token", "token_failed", { method: "POST", headers }));
      if (state === "signed-out") throw Object.assign(signedOut(), { told: true }); // meanwhile
      try {
        return keep(answer.headers.get("Token-Id") ?? "", demand(answer, "token_failed"));
      } catch (trouble) {
        if (!STALE.includes(trouble.code)) throw trouble;
        if (isFirst) await settle(); // may change path or person
        trouble.told = session.path === "jwt" || state === "signed-out";
        trouble.again = isFirst && !trouble.told;
        isFirst = false;
        throw trouble;
      }
    };
    renewing ??= persist(attempt).finally(() => (renewing = undefined));
    return renewing;
  }

  function keep(id, { access_token: value, expires_in: seconds }) {
    const life = Math.min(seconds * 1000, 1440 * MINUTE);
    if (typeof value !== "string" || !value || !(life > 0)) throw garbled("token_failed");
    token = { id, value, until: Date.now() + life };
    clearTimeout(renewal);
    const ahead = Math.min(RENEWAL, life / 4) * (0.3 + 0.6 * Math.random());
    renewal = setTimeout(() => renew("").catch(() => {}), Math.max(life - ahead, MINUTE));
    arrive();
    return token;
  }

  // --- the page ---

  /** Content that was taken down, by what stands in its place. @type {Map<ChildNode, Element>} */
  const held = new Map();
  /** Old frames, by what stands for them on oauth. @type {Map<Element, HTMLIFrameElement>} */
  const replaced = new Map();
  let down; // why nothing is shown
  let banner;
  let loading;
  let moves = 0;

  /** @param {Session} found @param {boolean} isNew the tenant's cookies are */
  async function show(found, isNew) {
    const { path, stage } = found;
    const was = shown;
    const moved = isNew || was?.path !== path;
    // Qlik's elements read their settings when they are connected.
    const old = moved && customElements.get("qlik-embed") ? document.querySelectorAll(COMPONENTS) : [];
    shown = found;
    if (moved) setIdentities();
    configure(found);
    putBack();
    // In one go: the page's own code notices nothing.
    for (const each of old) if (each.isConnected) each.parentNode.insertBefore(each, each.nextSibling);
    if (moved) setFrames(true);
    if (was?.path !== path || was.stage !== stage) emit("path", { path, stage, was: was?.path });
    await load();
  }

  /** Write settings where Qlik's code looks first. @param {Session} found */
  function configure({ path, host, clientId, webIntegrationId }) {
    const oauth = { "client-id": clientId, "get-access-token": "qlikBridgeAccessToken", "access-token-storage": "memory" };
    const jwt = { "web-integration-id": webIntegrationId, "auth-redirect-user-confirmation": "qlikBridgeLogInAgain" };
    const settings = path === "oauth" ? { "auth-type": "Oauth2", ...oauth } : { "auth-type": "cookie", ...jwt };
    for (const name of root.getAttributeNames()) if (name.startsWith("data-qlik-embed-")) root.removeAttribute(name);
    if (moves > 1) settings.identity = `bridge-${moves}`;
    for (const [name, value] of Object.entries({ host, ...settings })) root.setAttribute(`data-qlik-embed-${name}`, value);
  }

  /** Qlik's code shares websockets by identity, whatever the credential. */
  function setIdentities() {
    moves += 1;
    if (moves < 2) return;
    for (const each of [...held.values(), ...document.querySelectorAll("[identity]")]) {
      const own = each.getAttribute("identity")?.replace(/-bridge-.*/, "");
      if (own) each.setAttribute("identity", `${own}-bridge-${moves}`);
    }
  }

  /** Load Qlik's elements once there is anything to draw. */
  async function load() {
    if (customElements.get("qlik-embed") || !document.querySelector(COMPONENTS)) return;
    loading ??= timed("load", () => persist(addScript)).finally(() => (loading = undefined));
    await loading;
  }

  const addScript = () =>
    new Promise((resolve, reject) => {
      const src = session.embedScript;
      const onerror = () => reject(problem("embed_failed", `${src} cannot be loaded.`, { again: true }));
      setTimeout(onerror, PATIENCE);
      customElements.whenDefined("qlik-embed").then(resolve);
      document.head.append(Object.assign(document.createElement("script"), { src, nonce: script.nonce, onerror }));
    });

  function takeDown(text) {
    shown = undefined;
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

  function warn(text) {
    banner?.remove();
    banner = messages === "off" ? undefined : note(text, true);
    if (banner) document.querySelector(CONTENT)?.before(banner);
  }

  /** @param {boolean} isFirst to be read out */
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

  /** @param {boolean} anew load them again */
  function setFrames(anew) {
    if (shown.path === "jwt") {
      for (const [box, frame] of replaced) box.replaceWith(frame);
      replaced.clear();
      for (const frame of document.querySelectorAll(FRAMES)) point(frame, anew);
    } else if (document.querySelector(FRAMES) && !converting) {
      converting = convert().catch(giveUp).finally(() => (converting = undefined));
    }
  }

  function point(frame, anew) {
    const url = Object.assign(document.createElement("a"), { href: frame.dataset.bridgeSrc });
    if (!/^https?:$/.test(url.protocol)) return; // javascript:
    if (url.origin === new URL(session.host).origin && !url.search.includes(INTEGRATION)) {
      url.search += `${url.search ? "&" : "?"}${INTEGRATION}=${encodeURIComponent(session.webIntegrationId)}`;
    }
    if (anew || frame.src !== url.href) frame.src = url.href;
  }

  let converting;

  /** Replace frames by what the bridge says. */
  async function convert() {
    const frames = [...document.querySelectorAll(FRAMES)].slice(0, 20);
    const addresses = frames.map((frame) => frame.dataset.bridgeSrc);
    const replacements = await persist(async () => {
      const answer = await post("frames", "embed_failed", { addresses });
      if (answer.status === 403) await settle(); // renewed by another tab, maybe
      const found = demand(answer, "embed_failed").replacements;
      if (found?.length !== frames.length) throw garbled("embed_failed");
      return found;
    });
    if (shown?.path !== "oauth") return;
    frames.forEach((frame, place) => replace(frame, replacements[place]));
    if (document.querySelector(FRAMES)) await convert();
  }

  /** @param {HTMLIFrameElement} frame */
  function replace(frame, { elements, differences }) {
    const box = document.createElement("div"); // of the frame's size, as Qlik's elements have none
    for (const { name, value } of frame.attributes) {
      if (/^(id|class|title|data-(?!bridge-).+)$/.test(name)) box.setAttribute(name, value);
    }
    box.dataset.bridgeFrame = "";
    box.style.cssText = frame.style.cssText;
    for (const side of ["width", "height"]) box.style[side] ||= frame[side] + (+frame[side] ? "px" : "");
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
    const [{ name, why }] = differences;
    if (messages !== "off") box.append(`This Qlik content cannot be shown (${name}: ${why}).`);
  }

  function make({ tag, attributes, children = [], text = "" }) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(text, ...children.map(make));
    return element;
  }

  // --- what pages may use ---

  /** Try again, also after signing out. */
  function retry() {
    if (!state) become("starting");
    hasLeft = false;
    return settle();
  }

  const qlikBridge = {
    /** The session, once there is something to see. @type {Promise<Session>} */
    ready,

    get session() {
      return session;
    },

    /** For @qlik/api and @qlik/embed-react. */
    get hostConfig() {
      if (!shown) return undefined;
      const { host, clientId, webIntegrationId } = session;
      return shown.path === "oauth"
        ? { host, authType: "oauth2", clientId, getAccessToken: "qlikBridgeAccessToken" }
        : { host, authType: "cookie", webIntegrationId, authRedirectUserConfirmation: logInAgain };
    },

    /** Start, or start anew with an assertion. Rejects with a Trouble. @returns {Promise<Session>} */
    async connect(options = {}) {
      if (options.assertion) await settling;
      else if (state === "ready") return session;
      assertion = options.assertion ?? "";
      const promise = outcome();
      retry();
      return promise;
    },

    getAccessToken,
    retry,
    recheck: () => settle().then(() => session),

    async whoami() {
      const found = await qlikBridge.connect();
      let answer = await askTenant(found, "/api/v1/users/me");
      if (answer.status === 401 && found.path === "oauth") {
        handed = token?.id;
        await Promise.race([freshToken(), outcome()]);
        answer = await askTenant(found, "/api/v1/users/me");
      }
      if (!answer.ok) report("whoami_failed");
      return demand(answer, "whoami_failed");
    },

    async signOut() {
      if (!session) return;
      await settle(); // renewed by another tab, maybe
      const answer = await ask("session", "session_failed", { method: "DELETE" });
      if (answer.status !== 401) demand(answer, "session_failed");
      hasLeft = true;
      siblings.postMessage("left");
      giveUp(signedOut("signed-out"));
    },
  };

  Object.assign(window, { qlikBridge, qlikBridgeAccessToken: getAccessToken, qlikBridgeLogInAgain: logInAgain });

  const siblings = new BroadcastChannel(`qlik-bridge ${base}`);
  siblings.onmessage = () => {
    hasLeft = true;
    if (session) giveUp(signedOut("another-tab"));
  };

  /** Look for news, on a page that works once a minute at most. */
  function look() {
    if (!state || document.hidden) return;
    if (state !== "ready" || Math.abs(Date.now() - checkedAt) > MINUTE) settle();
  }

  setInterval(() => {
    quiet = state === "ready" && !document.hidden;
    if (quiet) settle();
  }, MINUTE);

  document.addEventListener("visibilitychange", look);
  addEventListener("online", look);
  addEventListener("pageshow", ({ persisted }) => persisted && look());
  // Who works in charts is not idle.
  addEventListener("pointerdown", () => Date.now() - checkedAt > RENEWAL && look(), true);

  new MutationObserver(() => {
    if (down !== undefined) return takeDown(down);
    if (!shown) return;
    setFrames(false);
    load().catch(giveUp);
  }).observe(root, { childList: true, subtree: true, attributeFilter: ["data-bridge-src"] });

  if (manual === undefined) retry();
})();
