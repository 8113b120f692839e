/** What an embed says to its reader when it draws nothing. */

/** Qlik closes a websocket with these codes. */
const BY_CODE = {
  4001: "The session ended because nothing happened for a while.",
  4203: "You may not open this app. Ask whoever manages its space for access.",
  4204: "This app is not there.",
  4205: "Too many sessions are being opened. Wait a minute, then load the page again.",
};
const LOST = "The connection to the app was lost.";

/** Its message is for readers as it stands. */
export class Failure extends Error {}

/** @param {any} error */
export function inWords(error) {
  if (error instanceof Failure) return error.message;
  return BY_CODE[error?.original?.code ?? error?.code] ?? `Nothing could be drawn here. ${error?.message ?? error}`;
}

/** @param {number} code with which a websocket closed after it had been open */
export const lossInWords = (code) => BY_CODE[code] ?? LOST;

/**
 * Put a sentence in place of what an element holds.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {string} role
 */
export function say(element, text, role) {
  const words = document.createElement("p");
  words.setAttribute("role", role);
  Object.assign(words.style, { margin: "0", padding: "1rem", font: "inherit" });
  words.textContent = text;
  element.replaceChildren(words);
}
