/** Finding what a page names in an app. */
import { Failure } from "./words.js";

/**
 * The engine answers alike for what is not there and for what is somebody else's.
 * @param {any} app
 * @param {string} id
 * @param {string} kind as people call it
 */
export async function objectOf(app, id, kind) {
  const model = id && (await app.getObject(id).catch(() => undefined));
  if (!model) throw new Failure(`This ${kind} is not there, or it is on somebody else's private sheet.`);
  return model;
}
