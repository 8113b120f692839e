/** `initial-app-state@v1`: what `<qlik-initial-selections>` and `<qlik-app-open-action>` ask for. */
import { t as qix } from "#qlik/qix";

/**
 * @param {object} app which app, on which host
 * @param {{clearSelections?: boolean, bookmarkId?: string,
 *   fieldSelections?: {name: string, state?: string, values?: {qText: string}[], search?: {match: string}}[]}} state
 */
export function setInitialAppState(app, { clearSelections, bookmarkId, fieldSelections = [] }) {
  qix.addInitialAppAction(app, async (doc) => {
    if (clearSelections) await doc.clearAll();
    if (bookmarkId) await doc.applyBookmark(bookmarkId);
    for (const { name, state, values, search } of fieldSelections) {
      const field = await doc.getField(name, state ?? "$");
      if (values) await field.selectValues(values, false, false);
      if (search) await field.select(search.match, false, 0);
    }
  });
}

/**
 * @param {object} app
 * @param {(props: {doc: object}) => Promise<void>} callback
 */
export function addOnAppOpenCallback(app, callback) {
  qix.addInitialAppAction(app, (doc) => callback({ doc }));
}
