/** Light and dark, and what is under a drawing. Charts are drawn on nothing: what they stand on is the page's. */

const GROUND = { light: "#ffffff", dark: "#323232" };
const INK = { light: "#404040", dark: "#ffffff" };
const OPAQUE = 128;

/** @param {string} [theme] Qlik's names of themes, or those that an administrator gave */
export const isDark = (theme = "") => /dark/i.test(theme);

/** @param {string} [theme] */
export const ink = (theme) => INK[isDark(theme) ? "dark" : "light"];

/**
 * Colour an embed, and give it a ground where that of the page is too light or too dark for its theme.
 * @param {HTMLElement} root
 * @param {string} [theme]
 */
export function dress(root, theme) {
  const name = isDark(theme) ? "dark" : "light";
  Object.assign(root.style, { background: "Canvas", color: INK[name], colorScheme: "inherit" });
  const fits = isDarkColour(groundUnder(root)) === isDark(theme);
  Object.assign(root.style, { background: fits ? "" : GROUND[name], colorScheme: name });
}

/**
 * @param {HTMLElement} root its own background is that of an empty page
 * @returns {number[]} red, green, blue, alpha
 */
function groundUnder(root) {
  for (let each = root.parentElement; each; each = each.parentElement) {
    const colour = pixel(getComputedStyle(each).backgroundColor);
    if (colour[3] > OPAQUE) return colour;
  }
  return pixel(getComputedStyle(root).backgroundColor);
}

/** @param {number[]} colour */
const isDarkColour = ([red, green, blue]) => 0.3 * red + 0.6 * green + 0.1 * blue < OPAQUE;

/**
 * Read a colour in whatever way CSS spells it.
 * @param {string} colour
 */
function pixel(colour) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
}
