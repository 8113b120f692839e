/** Where this script came from: read at once, as nobody can say later. */
const script = /** @type {HTMLScriptElement} */ (document.currentScript);

export const rootUrl = new URL(".", script.src).href;
export const tenantOrigin = new URL(rootUrl).origin;
