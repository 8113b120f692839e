/** The `classic/*` uis: a plain SVG chart in the page, and the whole app in a frame. */
import * as auth from "#qlik/auth";
import { tenantOrigin } from "../place.js";

const SVG = "http://www.w3.org/2000/svg";
const BAR = { height: 18, step: 26, top: 30, left: 130, width: 300 };

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function svg(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** @param {import("../embed.js").Place} place */
export async function classicChart(place) {
  if (place.props.iframe === true || place.props.iframe === "true") return framed(place, single(place.props));
  const model = await (await place.doc()).getObject(place.props.objectId);
  if (!model) throw new Error("This chart is not there.");
  place.keep(model);
  const redraw = async () => place.element.replaceChildren(bars(await model.getLayout(), place.props.theme));
  model.on("changed", redraw);
  await redraw();
  return () => model.removeListener("changed", redraw);
}

/**
 * @param {any} layout
 * @param {string} [theme]
 */
function bars({ title, qHyperCube: cube }, theme = "") {
  const rows = cube.qDataPages.flatMap((/** @type {any} */ page) => page.qMatrix);
  const last = cube.qSize.qcx - 1;
  const most = Math.max(...rows.map((/** @type {any} */ row) => row[last].qNum), 1);
  const height = BAR.top + rows.length * BAR.step;
  const ink = /dark/i.test(theme) ? "#eee" : "#333";
  const drawing = svg("svg", { viewBox: `0 0 520 ${height}`, width: "100%", height, role: "img", "aria-label": title, fill: ink });
  drawing.append(svg("text", { x: 0, y: 16, "font-size": 14, "font-weight": 600 }, title));
  rows.forEach((/** @type {any} */ row, /** @type {number} */ at) => {
    const y = BAR.top + at * BAR.step;
    const width = Math.max(Math.round((BAR.width * row[last].qNum) / most), 1);
    drawing.append(
      svg("text", { x: BAR.left - 8, y: y + 13, "font-size": 12, "text-anchor": "end" }, last ? row[0].qText : ""),
      svg("rect", { class: "bar", x: BAR.left, y, width, height: BAR.height, fill: "#4477aa" }),
      svg("text", { x: BAR.left + width + 6, y: y + 13, "font-size": 12 }, row[last].qText),
    );
  });
  return drawing;
}

/** @param {import("../embed.js").Place} place */
export async function app(place) {
  const { props } = place;
  const steps = [`/sense/app/${encodeURIComponent(props.appId ?? props.app)}`];
  const sheet = props.sheetId ?? props.sheet;
  if (sheet) steps.push("sheet", encodeURIComponent(sheet), "state/analysis");
  if (props.bookmark) steps.push("bookmark", encodeURIComponent(props.bookmark));
  if (props.clearSelections) steps.push("options/clearselections");
  for (const { field, values } of props.select ?? []) {
    steps.push("select", encodeURIComponent(field), values.map(encodeURIComponent).join(";"));
  }
  if (props.theme) steps.push("theme", encodeURIComponent(props.theme));
  return framed(place, steps.join("/"));
}

/** @param {Record<string, any>} props */
function single({ appId, objectId, theme }) {
  return `/single/?${new URLSearchParams({ appid: appId, obj: objectId, ...(theme && { theme }) })}`;
}

/**
 * Show an address of the tenant in a frame. A frame cannot send headers, so Qlik's own module says what its URL needs.
 * @param {import("../embed.js").Place} place
 * @param {string} path
 */
async function framed({ element, props }, path) {
  const { hostConfig } = props;
  const { queryParams = {} } = await auth.getWebResourceAuthParams({ hostConfig });
  const address = new URL(path, auth.toValidLocationUrl(hostConfig) || tenantOrigin);
  for (const [name, value] of Object.entries(queryParams)) address.searchParams.set(name, value);
  if (hostConfig?.webIntegrationId) address.searchParams.set("qlik-web-integration-id", hostConfig.webIntegrationId);
  const frame = document.createElement("iframe");
  frame.title = "Qlik Sense";
  Object.assign(frame.style, { border: "0", width: "100%", height: "100%", minHeight: "24rem" });
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.src = address.href;
  element.append(frame);
  await loaded;
}
