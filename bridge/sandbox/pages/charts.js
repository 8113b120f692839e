/** Charts and sheets, by Qlik's nebula.js. */
import { Failure } from "./engine.js";

const PACKAGES = { bar: "sn-bar-chart@2", line: "sn-line-chart@1", pie: "sn-pie-chart@1" };
const NO_CHART = "This chart is not there, or it is on somebody else's private sheet.";
const NO_SHEET = "This sheet is not there, or it is somebody else's private one.";
/** Titles that can be read: nebula's own themes have them grey. */
const THEMES = Object.entries({ light: "#404040", dark: "#ffffff" }).map(([type, color]) => ({
  id: `sandbox-${type}`,
  load: async () => ({ type, object: { title: { main: { color } } } }),
}));

/**
 * @param {object} doc
 * @param {import("./address.js").Wish} wish
 */
export function forApp(doc, { options, theme, language }) {
  const passive = options.has("nointeraction");
  return window.stardust.embed(doc, {
    context: {
      theme: isDark(theme) ? "sandbox-dark" : "sandbox-light",
      language: language || "en-US",
      constraints: { active: passive, passive, select: passive || options.has("noselections") },
    },
    themes: THEMES,
    types: types(),
  });
}

/** @param {string} theme */
export function isDark(theme) {
  return /dark/i.test(theme);
}

/** Apps name their charts without the hyphen, nebula's packages with it. Each package is loaded when first drawn. */
function types() {
  const charts = Object.entries(PACKAGES).flatMap(([name, version]) =>
    [`${name}chart`, `${name}-chart`].map((type) => ({ name: type, load: () => loaded(version) })),
  );
  return [...charts, { name: "kpi", load: async () => kpi }];
}

/** @param {string} version */
async function loaded(version) {
  const script = Object.assign(document.createElement("script"), { src: `/npm/@nebula.js/${version}` });
  await new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Failure(`The tenant has no ${version}.`)));
    document.head.append(script);
  });
  return window[version.split("@")[0]];
}

/**
 * Draw one chart and wait until it can be seen. What has no size is drawn when it gets one.
 * @param {any} nebula
 * @param {any} doc
 * @param {HTMLElement} element
 * @param {string} id
 */
export async function chart(nebula, doc, element, id) {
  await found(doc, id, NO_CHART);
  element.classList.add("chart");
  let onRender = () => {};
  const painted = new Promise((resolve) => (onRender = () => resolve(undefined)));
  const drawn = await nebula.render({ element, id, onRender, onError: onRender });
  if (element.clientWidth && element.clientHeight) await painted;
  return [drawn];
}

/**
 * Draw all charts of a sheet, where its author put them.
 * @param {any} nebula
 * @param {any} doc
 * @param {HTMLElement} element
 * @param {string} id
 */
export async function sheet(nebula, doc, element, id) {
  const model = await found(doc, id, NO_SHEET);
  const layout = await model.getLayout();
  if (layout.qInfo.qType !== "sheet") throw new Failure(NO_SHEET);
  const { cells = [], columns = 24, rows = 12 } = layout;
  element.classList.add("sheet");
  element.style.gridTemplate = `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))`;
  const boxes = cells.map(({ row, col, rowspan, colspan }) => {
    const box = document.createElement("div");
    box.style.gridArea = `${row + 1} / ${col + 1} / span ${rowspan} / span ${colspan}`;
    return box;
  });
  element.append(...boxes);
  const drawn = await Promise.all(cells.map(({ name }, at) => chart(nebula, doc, boxes[at], name)));
  return drawn.flat();
}

/**
 * @param {any} doc
 * @param {string} id
 * @param {string} otherwise
 */
async function found(doc, id, otherwise) {
  try {
    return await doc.getObject(id);
  } catch {
    throw new Failure(otherwise);
  }
}

/**
 * The published sheets of the app and one's own, in their order.
 * @param {any} doc
 * @returns {Promise<{id: string, title: string}[]>}
 */
export async function sheets(doc) {
  const list = await doc.createSessionObject({
    qInfo: { qType: "SheetList" },
    qAppObjectListDef: { qType: "sheet", qData: { rank: "/rank", title: "/qMetaDef/title" } },
  });
  const { qItems } = (await list.getLayout()).qAppObjectList;
  await doc.destroySessionObject(list.id);
  return qItems
    .sort((one, other) => one.qData.rank - other.qData.rank)
    .map(({ qInfo, qMeta, qData }) => ({ id: qInfo.qId, title: qMeta.title || qData.title }));
}

/** A figure and its name; nebula has no package for it. */
function kpi() {
  const { useEffect, useElement, useLayout } = window.stardust;
  return {
    qae: { properties: { qHyperCubeDef: {} }, data: { targets: [{ path: "/qHyperCubeDef" }] } },
    component() {
      const [element, layout] = [useElement(), useLayout()];
      useEffect(() => showFigure(element, layout.qHyperCube), [element, layout]);
    },
  };
}

/**
 * @param {HTMLElement} element
 * @param {any} cube
 */
function showFigure(element, cube) {
  const [name, figure] = [document.createElement("div"), document.createElement("div")];
  name.textContent = cube.qMeasureInfo[0]?.qFallbackTitle ?? "";
  figure.textContent = (cube.qDataPages[0]?.qMatrix[0]?.at(-1) ?? cube.qGrandTotalRow[0])?.qText ?? "-";
  Object.assign(element.style, { display: "grid", alignContent: "center", justifyItems: "center" });
  Object.assign(figure.style, { fontSize: "2rem", fontWeight: "600" });
  element.replaceChildren(name, figure);
}
