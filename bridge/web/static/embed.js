/**
 * Connects a page to a Qlik Cloud tenant on the path that its reader is on now.
 *
 *   <script src="https://bridge.example.com/t/acme/embed.js"></script>
 *   const session = await qlikBridge.connect();
 *   const me = await qlikBridge.whoami();
 *
 * What goes wrong rejects with an Error that has a `kind`, one of `session_failed`, `login_failed`, `token_failed`,
 * `cookies_blocked`, `tenant_unreachable`, `whoami_failed`; where the bridge refused, also its `code` and `requestId`.
 *
 * @typedef {{sub: string, name: string, groups: string[]}} Subject
 * @typedef {{path: "jwt" | "oauth", stage: string, host: string, clientId: string, webIntegrationId: string,
 *   embedScript: string, csrf: string, subject: Subject, session?: string}} Session
 */
(() => {
  "use strict";

  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const base = new URL(".", script.src);

  /** Credentials live in this closure alone: no storage, no cookie of ours that a script could read. */
  let bearer = "";
  let accessToken = "";
  let tokenId = "";
  /** @type {Promise<Session> | undefined} */
  let connected;

  /**
   * @param {string} kind
   * @param {string} message
   */
  const problem = (kind, message) => Object.assign(new Error(message), { kind });

  /**
   * Ask the bridge.
   * @param {string} route
   * @param {RequestInit} [options]
   */
  function ask(route, options = {}) {
    const headers = new Headers(options.headers);
    if (bearer) headers.set("Authorization", `Bearer ${bearer}`);
    return fetch(new URL(route, base), { credentials: "include", cache: "no-store", ...options, headers });
  }

  /**
   * Ask the tenant. No cache: it answers `users/me` with a redirect that browsers keep, for the next person too.
   * @param {Session} session
   * @param {string} route
   * @param {RequestInit} options
   */
  async function askTenant(session, route, options) {
    try {
      return await fetch(session.host + route, { cache: "no-store", ...options });
    } catch {
      throw problem("tenant_unreachable", `${session.host} cannot be reached, or does not allow this page.`);
    }
  }

  /**
   * @param {Response} answer
   * @param {string} kind
   */
  async function demand(answer, kind) {
    if (answer.ok) return;
    const body = await answer.json().catch(() => ({}));
    const failure = problem(kind, body.message ?? `The answer was ${answer.status}.`);
    throw Object.assign(failure, { code: body.error, requestId: body.request_id });
  }

  /**
   * @param {string} [assertion]
   * @returns {Promise<Session>}
   */
  async function openSession(assertion) {
    const exchange = { method: "POST", headers: { Authorization: `Bearer ${assertion}` } };
    const answer = await ask("session", assertion ? exchange : {});
    await demand(answer, "session_failed");
    const session = await answer.json();
    bearer = session.session ?? bearer;
    return session;
  }

  /**
   * The old path: trade a signed JWT for the tenant's own cookies.
   * @param {Session} session
   */
  async function logIn(session) {
    const answer = await ask("token");
    await demand(answer, "token_failed");
    const { token } = await answer.json();
    const id = encodeURIComponent(session.webIntegrationId);
    const login = await askTenant(session, `/login/jwt-session?qlik-web-integration-id=${id}`, {
      method: "POST",
      credentials: "include",
      headers: { Authorization: `Bearer ${token}`, "qlik-web-integration-id": session.webIntegrationId },
    });
    if (!login.ok) throw problem("login_failed", `${session.host} refused the login with ${login.status}.`);
    await login.text(); // an unread body would keep the request open
  }

  /**
   * The new path: get an access token, kept in memory.
   * @param {Session} session
   */
  async function getAccessToken(session) {
    const headers = { "CSRF-Token": session.csrf, "X-Rejected-Token": tokenId };
    const answer = await ask("access-token", { method: "POST", headers });
    await demand(answer, "token_failed");
    tokenId = answer.headers.get("Token-Id") ?? "";
    accessToken = await answer.text();
  }

  /**
   * Count a trouble at the bridge: its kind, nothing else.
   * @param {Session} session
   * @param {string} kind
   */
  function report(session, kind) {
    const headers = { "Content-Type": "application/json", "CSRF-Token": session.csrf };
    ask("client-events", { method: "POST", headers, body: JSON.stringify({ kind }), keepalive: true }).catch(() => {});
  }

  /**
   * @template T
   * @param {Session} session
   * @param {() => Promise<T>} work
   */
  async function reporting(session, work) {
    try {
      return await work();
    } catch (error) {
      report(session, /** @type {{kind?: string}} */ (error).kind ?? "whoami_failed");
      throw error;
    }
  }

  /** @param {Session} session */
  function askWhoIAm(session) {
    const route = "/api/v1/users/me";
    if (session.path === "oauth") {
      return askTenant(session, route, { credentials: "omit", headers: { Authorization: `Bearer ${accessToken}` } });
    }
    const headers = { "qlik-web-integration-id": session.webIntegrationId };
    return askTenant(session, route, { credentials: "include", headers });
  }

  /** @param {Session} session */
  async function readWhoIAm(session) {
    let answer = await askWhoIAm(session);
    if (answer.status === 401 && session.path === "jwt") {
      // The login was accepted, yet nobody is logged in: the browser did not keep the cookies.
      throw problem("cookies_blocked", `This browser did not keep the cookies of ${session.host}.`);
    }
    if (answer.status === 401) {
      await getAccessToken(session);
      answer = await askWhoIAm(session);
    }
    await demand(answer, "whoami_failed");
    return answer.json();
  }

  const qlikBridge = {
    /**
     * Learn the path and get its credential, once. A page of another site passes an assertion of its backend.
     * @param {{assertion?: string}} [options]
     * @returns {Promise<Session>}
     */
    connect({ assertion } = {}) {
      connected ??= openSession(assertion).then(async (session) => {
        await reporting(session, () => (session.path === "oauth" ? getAccessToken(session) : logIn(session)));
        return session;
      });
      connected.catch(() => (connected = undefined));
      return connected;
    },

    /**
     * Sign out: the bridge ends the session and the token, this page forgets both. Cookies that the tenant set on
     * the old path stay in the browser until they end there.
     */
    async signOut() {
      const session = await connected;
      if (!session) return;
      const answer = await ask("session", { method: "DELETE", headers: { "CSRF-Token": session.csrf } });
      await demand(answer, "session_failed");
      bearer = accessToken = tokenId = "";
      connected = undefined;
    },

    /** What the tenant itself says about the reader, on the credential of the path. */
    async whoami() {
      const session = await qlikBridge.connect();
      return reporting(session, () => readWhoIAm(session));
    },
  };

  Object.assign(window, { qlikBridge });
})();
