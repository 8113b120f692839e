/** The page: opens the app of its address, selects, and draws. `data-ready` on the body says how that went. */
import { read } from "./address.js";
import { chart, forApp, isDark, sheet, sheets } from "./charts.js";
import { Failure, open } from "./engine.js";

const NOT_BUILT = "The libraries that draw charts could not be loaded from this tenant.";
const NOTHING_ASKED = "This address names no chart and no sheet to show.";
const place = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {{destroy(): void}[]} */
let drawn = [];

async function start() {
  const wish = read(location);
  document.documentElement.classList.toggle("dark", isDark(wish.theme));
  document.documentElement.lang = wish.language || "en";
  wish.notes.forEach(note);
  if (!window.enigma || !window.stardust) throw new Failure(NOT_BUILT);
  if (wish.snapshot) throw new Failure("Snapshots cannot be shown here.");
  if (!wish.app || !(wish.browses || wish.object || wish.sheet)) throw new Failure(NOTHING_ASKED);
  const doc = await open(wish, fail);
  await prepare(doc, wish);
  const nebula = forApp(doc, wish);
  if (wish.browses || hasBar(wish)) await showSelections(nebula);
  if (wish.browses) await browse(nebula, doc, wish.sheet);
  else await draw(nebula, doc, wish.object ? chart : sheet, wish.object || wish.sheet);
}

/** @param {import("./address.js").Wish} wish */
function hasBar({ options }) {
  return options.has("currsel") || options.has("currsel-dark");
}

/**
 * Bring the app into the state that the address names. What is not there is said, and does not keep the rest away.
 * @param {any} doc
 * @param {import("./address.js").Wish} wish
 */
async function prepare(doc, { bookmark, selections }) {
  if (bookmark) await tried(() => doc.applyBookmark(bookmark), `The bookmark ${bookmark} is not there.`);
  for (const each of selections) {
    if ("clear" in each) await doc.clearAll();
    else await tried(() => selected(doc, each), `Could not select ${each.values.join(", ")} in ${each.field}.`);
  }
}

/** @param {any} doc */
async function selected(doc, { field, values }) {
  const found = await doc.getField(field);
  return found.selectValues(values.map((/** @type {string} */ value) => ({ qText: value })));
}

/**
 * @param {() => Promise<unknown>} work
 * @param {string} otherwise
 */
async function tried(work, otherwise) {
  try {
    if ((await work()) === false) note(otherwise);
  } catch {
    note(otherwise);
  }
}

/** @param {any} nebula */
async function showSelections(nebula) {
  const bar = place("selections");
  bar.hidden = false;
  await (await nebula.selections()).mount(bar);
}

/**
 * List the sheets of the app and show one of them, the first if the address names none.
 * @param {any} nebula
 * @param {any} doc
 * @param {string} [first]
 */
async function browse(nebula, doc, first) {
  const all = await sheets(doc);
  const links = all.map(({ id, title }) => {
    const link = Object.assign(document.createElement("a"), { href: addressOf(id), textContent: title });
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the token of an address does not live long enough to load it again
      history.replaceState(null, "", link.href);
      show(id).catch(fail);
    });
    return link;
  });
  place("sheets").replaceChildren(...links);
  place("sheets").hidden = false;
  const show = async (/** @type {string} */ id) => {
    links.forEach((link, at) => link.setAttribute("aria-current", all[at].id === id ? "page" : "false"));
    await draw(nebula, doc, sheet, id);
  };
  const chosen = first || all[0]?.id;
  if (!chosen) throw new Failure("This app has no sheet that you may see.");
  await show(chosen);
}

/** @param {string} id the sheet; everything after it in the address was for the moment of opening */
function addressOf(id) {
  const app = location.pathname.split("/")[3];
  return `/sense/app/${app}/sheet/${encodeURIComponent(id)}/state/analysis${location.search}`;
}

/**
 * Put one chart or sheet in place of what is shown.
 * @param {any} nebula
 * @param {any} doc
 * @param {typeof chart} kind
 * @param {string} id
 */
async function draw(nebula, doc, kind, id) {
  const box = document.createElement("div");
  delete document.body.dataset.ready;
  drawn.forEach((each) => each.destroy());
  drawn = [];
  place("content").replaceChildren(box);
  const made = await kind(nebula, doc, box, id).catch((problem) => {
    if (box.isConnected) throw problem;
    return [];
  });
  if (!box.isConnected) {
    made.forEach((each) => each.destroy()); // another sheet was chosen in the meantime
    return;
  }
  drawn = made;
  document.body.dataset.ready = "1";
}

/** @param {string} text */
function note(text) {
  place("notes").append(Object.assign(document.createElement("p"), { className: "note", textContent: text }));
}

/** @param {Error} problem */
function fail(problem) {
  const text = problem instanceof Failure ? problem.message : `Nothing could be drawn here. ${problem.message}`;
  const message = Object.assign(document.createElement("p"), { className: "failure", textContent: text });
  message.setAttribute("role", "alert");
  place("content").replaceChildren(message);
  document.body.dataset.ready = "0";
}

start().catch(fail);
