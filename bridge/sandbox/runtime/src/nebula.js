/** Qlik's nebula.js with its charts; loaded when the first chart needs it. */
import { embed } from "@nebula.js/stardust";
import kpi from "./kpi.js";
import { ink, isDark } from "./theme.js";

/** Apps name their charts without the hyphen, nebula's packages with it. Each is loaded when first drawn. */
const CHARTS = {
  bar: () => import("@nebula.js/sn-bar-chart"),
  line: () => import("@nebula.js/sn-line-chart"),
  pie: () => import("@nebula.js/sn-pie-chart"),
};
const types = Object.entries(CHARTS).flatMap(([name, load]) =>
  [`${name}chart`, `${name}-chart`].map((type) => ({ name: type, load: async () => (await load()).default })),
);
types.push({ name: "kpi", load: async () => kpi });

/** @param {string} type */
export const canDraw = (type) => types.some(({ name }) => name === type);

/** As Qlik's own themes have it: lines that stay behind the data, titles that can be read on either ground. */
const themes = Object.entries({ light: "#d9d9d9", dark: "#5c5c5c" }).map(([type, line]) => ({
  id: `sandbox-${type}`,
  load: async () => ({
    type,
    object: {
      title: { main: { color: ink(type) } },
      grid: { line: { major: { color: line }, minor: { color: line } } },
      axis: { line: { major: { color: line }, minor: { color: line } } },
    },
  }),
}));

/**
 * @param {object} app
 * @param {{theme?: string, context?: {language?: string}}} props
 */
export function forApp(app, { theme, context }) {
  return embed(app, {
    context: { theme: isDark(theme) ? "sandbox-dark" : "sandbox-light", language: context?.language ?? "en-US" },
    themes,
    types,
  });
}

const LISTS = { dimensions: ["dimension", "Dimension"], measures: ["measure", "Measure"] };

/**
 * The dimensions and measures of a chart on the fly. Pages name master items by their title.
 * @param {any} app
 * @param {Record<string, any>} props
 */
export async function fields(app, props) {
  const found = await Promise.all(Object.entries(LISTS).map(([name, kind]) => resolved(app, props[name] ?? [], kind)));
  return found.flat();
}

/**
 * @param {any} app
 * @param {(string | object)[]} wanted
 * @param {string[]} kind
 */
async function resolved(app, wanted, [type, name]) {
  if (!wanted.length) return [];
  const list = await app.createSessionObject({
    qInfo: { qType: `${name}List` },
    [`q${name}ListDef`]: { qType: type, qData: { title: "/qMetaDef/title" } },
  });
  const { qItems } = (await list.getLayout())[`q${name}List`];
  await app.destroySessionObject(list.id);
  return [wanted].flat().map((each) => {
    const title = typeof each === "string" ? each.replace(/^\[(.*)\]$/, "$1") : "";
    const item = qItems.find((/** @type {any} */ one) => one.qMeta.title === title);
    return item ? { qLibraryId: item.qInfo.qId, type } : each;
  });
}
