/** The `analytics/*` uis, drawn in the page by Qlik's own nebula.js. */
import { rootUrl } from "../place.js";

/** Charts need room: an embed whose surroundings give none would be drawn 0 pixels high. */
const ROOM = { chart: "12rem", sheet: "24rem" };

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

/** @param {import("../embed.js").Place} place */
export async function chart(place) {
  const { element, props, keep } = place;
  element.style.minHeight = ROOM.chart;
  const charts = await nebula(place);
  const { fields } = await import(`${rootUrl}nebula.js`);
  const what = props.objectId
    ? { id: props.objectId }
    : { type: props.type, fields: await fields(await place.doc(), props), properties: props.properties };
  const drawn = await painted(charts, { element, ...what, ...interaction(props) });
  keep(drawn.model);
  return () => drawn.destroy();
}

/** @param {Record<string, any>} props */
function interaction({ context }) {
  return context?.constraints || context?.interactions ? { context } : {};
}

/** @param {import("../embed.js").Place} place */
export async function sheet(place) {
  const { element, props, keep } = place;
  element.style.minHeight = ROOM.sheet;
  const [charts, app] = [await nebula(place), await place.doc()];
  const model = await app.getObject(props.sheetId ?? props.objectId);
  if (!model) throw new Error("This sheet is not there, or it is somebody else's.");
  keep(model);
  const { cells = [], columns = 24, rows = 12 } = await model.getLayout();
  Object.assign(element.style, {
    display: "grid", gap: "0.5rem",
    gridTemplate: `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))`,
  });
  const drawn = await Promise.all(
    cells.map((/** @type {any} */ cell) => {
      const box = document.createElement("div");
      box.style.gridArea = `${cell.row + 1} / ${cell.col + 1} / span ${cell.rowspan} / span ${cell.colspan}`;
      element.append(box);
      return painted(charts, { element: box, id: cell.name });
    }),
  );
  return () => drawn.forEach((each) => each.destroy());
}

/** @param {import("../embed.js").Place} place */
export async function field(place) {
  const { element, props } = place;
  element.style.minHeight = ROOM.chart;
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
