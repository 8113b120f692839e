/** The `classic/*` uis: a plain SVG chart in the page, and the whole app in a frame. */
import * as auth from "#qlik/auth";
import { objectOf } from "../objects.js";
import { tenantOrigin } from "../place.js";
import { ink } from "../theme.js";

const SVG = "http://www.w3.org/2000/svg";
const BAR = { height: 18, step: 26, top: 32, left: 130, right: 76, least: 40 };
const LONGEST_NAME = 20;
/** As wide as it is drawn where nobody can say yet how wide that is, as in a closed tab. */
const USUAL_WIDTH = 520;

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
  const { element, props, doc, keep } = place;
  if (isOn(props.iframe)) return framed(place, single(props));
  const model = await objectOf(await doc(), props.objectId, "chart");
  keep(model);
  let layout = await model.getLayout();
  const redraw = () => element.replaceChildren(drawing(layout, element.clientWidth || USUAL_WIDTH, props.theme));
  const renew = async () => {
    layout = await model.getLayout();
    redraw();
  };
  redraw();
  const watch = new ResizeObserver(redraw);
  watch.observe(element);
  model.on("changed", renew);
  return () => {
    watch.disconnect();
    model.removeListener("changed", renew);
  };
}

/**
 * An attribute that is there without a value is on.
 * @param {unknown} value
 */
const isOn = (value) => value === "" || value === true || value === "true";

/**
 * Bars for whatever has a dimension, a figure for what has none.
 * @param {any} layout
 * @param {number} width
 * @param {string} [theme]
 */
function drawing({ title, qHyperCube: cube }, width, theme) {
  const rows = cube.qDataPages.flatMap((/** @type {any} */ page) => page.qMatrix);
  const last = cube.qSize.qcx - 1;
  const height = BAR.top + (last ? rows.length * BAR.step : BAR.least);
  const made = svg("svg", { width, height, role: "img", "aria-label": title, fill: ink(theme), "font-family": "sans-serif" });
  made.style.display = "block";
  made.append(svg("text", { x: 4, y: 18, "font-size": 14, "font-weight": 600 }, title));
  made.append(...(last ? bars(rows, last, width) : [figure(rows[0]?.[0])]));
  return made;
}

/**
 * @param {any[]} rows
 * @param {number} last the column of the measure
 * @param {number} width
 */
function bars(rows, last, width) {
  const most = Math.max(...rows.map((row) => row[last].qNum), 1);
  const room = Math.max(width - BAR.left - BAR.right, BAR.least);
  return rows.flatMap((row, at) => {
    const top = BAR.top + at * BAR.step;
    const long = Math.max(Math.round((room * row[last].qNum) / most), 1);
    return [
      svg("text", { x: BAR.left - 8, y: top + 13, "font-size": 12, "text-anchor": "end" }, shortened(row[0].qText)),
      svg("rect", { class: "bar", x: BAR.left, y: top, width: long, height: BAR.height, fill: "#4477aa" }),
      svg("text", { x: BAR.left + long + 6, y: top + 13, "font-size": 12 }, row[last].qText),
    ];
  });
}

/** @param {any} cell */
const figure = (cell) => svg("text", { x: 4, y: BAR.top + 28, "font-size": 28, "font-weight": 600 }, cell?.qText ?? "-");

/** @param {string} name */
const shortened = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** @param {import("../embed.js").Place} place */
export async function app(place) {
  const { props } = place;
  const steps = [`/sense/app/${encodeURIComponent(props.appId ?? props.app)}`];
  const sheet = props.sheetId ?? props.sheet;
  if (sheet) steps.push("sheet", encodeURIComponent(sheet), "state/analysis");
  if (props.bookmark) steps.push("bookmark", encodeURIComponent(props.bookmark));
  if (isOn(props.clearSelections)) steps.push("options/clearselections");
  for (const { field, values } of props.select ?? []) {
    steps.push("select", encodeURIComponent(field), values.map(encodeURIComponent).join(";"));
  }
  if (props.theme) steps.push("theme", encodeURIComponent(props.theme));
  const query = props.identity ? `?${new URLSearchParams({ identity: props.identity })}` : "";
  return framed(place, steps.join("/") + query);
}

/** @param {Record<string, any>} props */
function single({ appId, objectId, theme, identity }) {
  return `/single/?${new URLSearchParams({ appid: appId, obj: objectId, ...(theme && { theme }), ...(identity && { identity }) })}`;
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
  Object.assign(frame.style, { border: "0", display: "block", width: "100%", height: "100%", minHeight: "16rem" });
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.src = address.href;
  element.append(frame);
  await loaded;
}
