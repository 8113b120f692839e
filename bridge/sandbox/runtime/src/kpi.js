/** A figure and its name, as a nebula chart: Qlik publishes none for it. */
import { useEffect, useElement, useLayout } from "@nebula.js/stardust";

/** @param {any} layout */
function figure({ qHyperCube: cube }) {
  const [cell, measure] = [cube.qDataPages[0]?.qMatrix[0]?.at(-1) ?? cube.qGrandTotalRow[0], cube.qMeasureInfo[0]];
  // The engine leaves a number bare whose format is nobody's choice.
  const bare = measure?.qIsAutoFormat && Number.isFinite(cell?.qNum);
  return { value: bare ? cell.qNum.toLocaleString("en-US") : (cell?.qText ?? "-"), name: measure?.qFallbackTitle ?? "" };
}

/** @param {HTMLElement} element */
function show(element, layout) {
  const { value, name } = figure(layout);
  const [label, number] = [document.createElement("div"), document.createElement("div")];
  Object.assign(element.style, { display: "grid", alignContent: "center", justifyItems: "center", containerType: "size" });
  Object.assign(label.style, { font: "500 14px/1.5 sans-serif", opacity: "0.75" });
  Object.assign(number.style, { font: "600 clamp(20px, 18cqmin, 56px)/1.2 sans-serif", fontVariantNumeric: "tabular-nums" });
  label.textContent = name;
  number.textContent = value;
  element.replaceChildren(label, number);
}

export default () => ({
  qae: {
    properties: { qHyperCubeDef: { qDimensions: [], qMeasures: [], qInitialDataFetch: [{ qWidth: 1, qHeight: 1 }] } },
    data: { targets: [{ path: "/qHyperCubeDef", dimensions: { min: 0, max: 0 }, measures: { min: 1, max: 1 } }] },
  },
  component() {
    const [element, layout] = [useElement(), useLayout()];
    useEffect(() => show(element, layout), [element, layout]);
  },
});
