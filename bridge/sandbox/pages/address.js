/**
 * What the address of a frame asks for: `/single/?appid=..&obj=..` or `/sense/app/<id>/sheet/<id>/state/analysis/..`.
 *
 * @typedef {{field: string, values: string[]} | {clear: true}} Selection
 * @typedef {object} Wish
 * @property {string} app
 * @property {string} [object]
 * @property {string} [sheet]
 * @property {string} [snapshot]
 * @property {boolean} browses whether the page lists the sheets of the app
 * @property {Selection[]} selections
 * @property {string[]} notes what cannot be done, for people
 * @property {string} [bookmark]
 * @property {Set<string>} options
 * @property {string} theme
 * @property {string} language
 * @property {string} identity
 * @property {Record<string, string>} access what opens the engine's websocket
 */

const DEFAULT_STATE = "$";
const LANGUAGE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;

/**
 * @param {{pathname: string, search: string}} address
 * @returns {Wish}
 */
export function read({ pathname, search }) {
  const query = new URLSearchParams(search);
  // Pages break long addresses over lines: values arrive with blanks and line ends around them.
  const one = (/** @type {string} */ name) => (query.get(name) ?? "").trim();
  const wish = pathname.startsWith("/sense/app/") ? fromPath(pathname) : fromQuery(query, one);
  if (!LANGUAGE.test(wish.language)) wish.language = "";
  const names = ["accessToken", "qlik-web-integration-id"].filter(one);
  return { ...wish, identity: one("identity"), access: Object.fromEntries(names.map((name) => [name, one(name)])) };
}

/**
 * @param {URLSearchParams} query
 * @param {(name: string) => string} one
 */
function fromQuery(query, one) {
  const wish = {
    ...nothing(),
    app: one("appid"),
    object: one("obj"),
    sheet: one("sheet"),
    snapshot: one("snapshot"),
    bookmark: one("bookmark"),
    theme: one("theme"),
    language: one("lang"),
    options: new Set(one("opt").split(",").map((name) => name.trim())),
  };
  for (const each of query.getAll("select")) select(wish, each.trim());
  return wish;
}

/**
 * `Field,Value,Value`, or `State::Field,Value`, or `clearall`, or `State::clearall`.
 * @param {Pick<Wish, "selections" | "notes">} wish
 * @param {string} text
 */
function select(wish, text) {
  const [first, ...values] = text.split(",").map((part) => part.trim());
  const [state, field] = first.includes("::") ? first.split("::", 2) : [DEFAULT_STATE, first];
  if (state !== DEFAULT_STATE) wish.notes.push(`This app has no alternate state ${state}.`);
  else if (field === "clearall") wish.selections.push({ clear: true });
  else if (field && values.length) wish.selections.push({ field, values });
}

/** @param {string} pathname */
function fromPath(pathname) {
  const [app, ...steps] = pathname.split("/").slice(3).map(decoded).map((step) => step.trim());
  const wish = { ...nothing(), app, browses: true };
  while (steps.length) {
    const [name, value = ""] = steps.splice(0, 2);
    if (name === "sheet") wish.sheet = value;
    if (name === "bookmark") wish.bookmark = value;
    if (name === "theme") wish.theme = value;
    if (name === "language") wish.language = value;
    if (name === "options" && value === "clearselections") wish.selections.push({ clear: true });
    if (name === "select") wish.selections.push({ field: value, values: (steps.shift() ?? "").split(";") });
  }
  return wish;
}

/** @param {string} step */
function decoded(step) {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function nothing() {
  return {
    app: "",
    browses: false,
    selections: /** @type {Selection[]} */ ([]),
    notes: /** @type {string[]} */ ([]),
    bookmark: "",
    options: new Set(),
    theme: "",
    language: "",
    sheet: "",
  };
}
