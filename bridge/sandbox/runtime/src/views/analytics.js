/** The `analytics/*` uis, drawn in the page by Qlik's own nebula.js. */
import { objectOf } from "../objects.js";
import { rootUrl } from "../place.js";
import { Failure } from "../words.js";

/** Surroundings that leave the height of an embed open would have it drawn 0 pixels high. */
const ROOM = { chart: "16rem", sheet: "26rem" };
const NONE_PX = 64;
/** A sheet narrower than this shows its charts below each other, as Qlik's do on telephones. */
const NARROW_PX = 480;

/**
 * @param {import("../embed.js").Place} place
 * @returns {Promise<any>} nebula for the app of this place
 */
async function nebula({ props, doc }) {
  const [app, { forApp }] = await Promise.all([doc(), import(`${rootUrl}nebula.js`)]);
  return forApp(app, props);
}

/**
 * Draw, and wait until it can be seen. What has no size, as in a closed tab, is drawn when it gets one.
 * @param {any} charts
 * @param {{element: HTMLElement}} what
 */
async function painted(charts, what) {
  let onRender = () => {};
  const seen = new Promise((resolve) => (onRender = () => resolve(undefined)));
  const drawn = await charts.render({ ...what, onRender, onError: onRender });
  if (what.element.clientWidth && what.element.clientHeight) await seen;
  return drawn;
}

/**
 * @param {HTMLElement} element
 * @param {string} height
 */
function makeRoom(element, height) {
  if (element.clientHeight < NONE_PX) element.style.height = height;
}

/** @param {import("../embed.js").Place} place */
export async function chart(place) {
  const { element, props, keep } = place;
  makeRoom(element, ROOM.chart);
  const [charts, app] = [await nebula(place), await place.doc()];
  const what = props.objectId ? await stored(app, props.objectId) : await onTheFly(app, props);
  const drawn = await painted(charts, { element, ...what, ...interaction(props) });
  keep(drawn.model);
  return () => drawn.destroy();
}

/**
 * @param {any} app
 * @param {string} id
 */
async function stored(app, id) {
  const { qInfo, visualization } = await (await objectOf(app, id, "chart")).getLayout();
  await check(visualization ?? qInfo.qType);
  return { id };
}

/**
 * @param {any} app
 * @param {Record<string, any>} props
 */
async function onTheFly(app, { type, dimensions, measures, properties }) {
  if (!type) throw new Failure("This element names no chart: it needs object-id, or type with dimensions and measures.");
  await check(type);
  const { fields } = await import(`${rootUrl}nebula.js`);
  return { type, fields: await fields(app, { dimensions, measures }), properties };
}

/** @param {string} type */
async function check(type) {
  const { canDraw } = await import(`${rootUrl}nebula.js`);
  if (!canDraw(type)) throw new Failure(`The sandbox tenant does not draw charts of the type "${type}". Real tenants may.`);
}

/** @param {Record<string, any>} props */
function interaction({ context }) {
  return context?.constraints || context?.interactions ? { context } : {};
}

/** @param {import("../embed.js").Place} place */
export async function sheet(place) {
  const { element, props, keep } = place;
  makeRoom(element, ROOM.sheet);
  const [charts, app] = [await nebula(place), await place.doc()];
  const model = await objectOf(app, props.sheetId ?? props.objectId, "sheet");
  keep(model);
  const layout = await model.getLayout();
  const boxes = (layout.cells ?? []).map(() => document.createElement("div"));
  element.append(...boxes);
  const watch = new ResizeObserver(() => arrange(element, boxes, layout));
  watch.observe(element);
  arrange(element, boxes, layout);
  const drawn = await Promise.all(
    boxes.map((/** @type {HTMLElement} */ box, /** @type {number} */ at) =>
      painted(charts, { element: box, id: layout.cells[at].name }),
    ),
  );
  return () => [...drawn.map((each) => () => each.destroy()), () => watch.disconnect()].forEach((undo) => undo());
}

/**
 * Put the charts of a sheet where its author put them, or below each other where that leaves them no room.
 * @param {HTMLElement} element
 * @param {HTMLElement[]} boxes
 * @param {any} layout
 */
function arrange(element, boxes, { cells, columns = 24, rows = 12 }) {
  const narrow = element.clientWidth < NARROW_PX;
  const template = `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))`;
  Object.assign(element.style, { display: narrow ? "block" : "grid", gap: "0.5rem", gridTemplate: template });
  boxes.forEach((box, at) => {
    const { row, col, rowspan, colspan } = cells[at];
    box.style.gridArea = `${row + 1} / ${col + 1} / span ${rowspan} / span ${colspan}`;
    box.style.height = narrow ? ROOM.chart : "";
  });
}

/** @param {import("../embed.js").Place} place */
export async function field(place) {
  const { element, props } = place;
  makeRoom(element, ROOM.chart);
  const charts = await nebula(place);
  const named = props.libraryId ? { qLibraryId: props.libraryId, type: props.type ?? "dimension" } : props.fieldId;
  const box = await charts.field(named);
  await box.mount(element);
  return () => box.unmount();
}

/** @param {import("../embed.js").Place} place */
export async function selections(place) {
  const bar = await (await nebula(place)).selections();
  await bar.mount(place.element);
  return () => bar.unmount();
}
