/** What each `ui` shows. A view draws into its element and may return what undoes that. */
import { say } from "../words.js";
import { chart, field, selections, sheet } from "./analytics.js";
import { app, classicChart } from "./classic.js";

/** @param {import("../embed.js").Place} place */
async function other({ element, props }) {
  const text = props.ui ? `The sandbox tenant does not draw "${props.ui}". Real tenants may.` : "This element names no ui.";
  say(element, text, "note");
}

export const views = {
  "analytics/chart": chart,
  "analytics/sheet": sheet,
  "analytics/field": field,
  "analytics/selections": selections,
  "classic/chart": classicChart,
  "classic/app": app,
  other,
};
