/** What a failed embed says to its reader. Codes: Qlik closes a websocket with them. */
const BY_CODE = {
  4001: "The session ended because nothing happened for a while. Load the page again.",
  4203: "You may not open this app. Ask whoever manages its space for access.",
  4204: "This app is not there.",
  4205: "Too many sessions are being opened. Wait a minute, then load the page again.",
};

/** @param {any} error */
export function inWords(error) {
  const known = BY_CODE[error?.original?.code ?? error?.code];
  return known ?? `Nothing could be drawn here. ${error?.message ?? error}`;
}
