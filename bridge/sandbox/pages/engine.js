/** The way to the engine, by Qlik's enigma.js, and what a failure on it means to people. */

const SCHEMA = "/npm/enigma.js@2/schemas/12.936.0.json";
const NOT_CONNECTED = -1; // enigma.js: the websocket closed; its close code is told right after
const BY_CLOSE_CODE = {
  4001: "The session ended because nothing happened for a while. Load the page again.",
  4203: "You may not open this app. Ask whoever manages its space for access.",
  4204: "This app is not there.",
  4205: "Too many sessions are being opened. Wait a minute, then load the page again.",
};
const NOT_SIGNED_IN = "You are not signed in here, or not any more. Load the page around this frame again.";
const REFUSED = "The connection to the app did not come about: your sign-in may have ended. Load the page again.";
const LOST = "The connection to the app was lost. Load the page again.";

/** Something to say to people. */
export class Failure extends Error {}

/**
 * Open the app that a page is about.
 * @param {import("./address.js").Wish} wish
 * @param {(failure: Failure) => void} lost told when the connection ends later
 */
export async function open(wish, lost) {
  const [schema, url] = await Promise.all([json(SCHEMA), address(wish)]);
  const session = window.enigma.create({ schema, url });
  const { promise: ended, reject } = withReject();
  let opened = false;
  session.on("closed", ({ code }) => {
    const failure = new Failure(BY_CLOSE_CODE[code] ?? (opened ? LOST : REFUSED));
    reject(failure);
    if (opened) lost(failure);
  });
  // A refusal comes as a close code, after the websocket itself has opened.
  const global = await Promise.race([session.open().catch(() => ended), ended]);
  const doc = await global.openDoc(wish.app).catch((/** @type {any} */ problem) => {
    if (problem.code !== NOT_CONNECTED) throw problem;
    return ended;
  });
  opened = true;
  return doc;
}

function withReject() {
  let reject = (/** @type {Failure} */ _reason) => {};
  const promise = new Promise((_resolve, refuse) => (reject = refuse));
  promise.catch(() => {}); // after the app has opened nobody waits for it any more
  return { promise, reject };
}

/** @param {import("./address.js").Wish} wish */
async function address({ app, identity, access }) {
  const url = new URL(`/app/${encodeURIComponent(app)}`, location.href);
  if (identity) url.pathname += `/identity/${encodeURIComponent(identity)}`;
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(access)) url.searchParams.set(name, value);
  if (!access.accessToken) url.searchParams.set("qlik-csrf-token", await csrfToken());
  return url.href;
}

async function csrfToken() {
  const answer = await fetch("/api/v1/csrf-token");
  if (answer.status === 401) throw new Failure(NOT_SIGNED_IN);
  return answer.headers.get("qlik-csrf-token") ?? "";
}

/** @param {string} path */
async function json(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Failure(`The tenant did not answer for ${path} (${answer.status}).`);
  return answer.json();
}
