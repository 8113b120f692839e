/** `embed-vanilla@v1`: mounts what one `<qlik-embed>` asks for. */
import { t as qix } from "#qlik/qix";
import { watchForLoss } from "./loss.js";
import { dress } from "./theme.js";
import { views } from "./views/index.js";
import { inWords, say } from "./words.js";

/** Properties that decide what is drawn; another value of one of them draws anew. */
const DRAWN_FROM = [
  "ui", "appId", "objectId", "sheetId", "sheet", "app", "fieldId", "libraryId", "type", "dimensions", "measures", "properties",
  "theme", "context", "select", "bookmark", "clearSelections", "assistantId", "iframe",
];

/**
 * @typedef {Record<string, any>} Props
 * @typedef {{element: HTMLElement, props: Props, doc: () => Promise<any>, keep: (model: any) => void}} Place
 */

class Mounted {
  /**
   * @param {HTMLElement} target
   * @param {Props} props
   */
  constructor(target, props) {
    this.target = target;
    this.props = { ...props };
    this.root = document.createElement("div");
    this.root.className = "qlik-embed-root";
    Object.assign(this.root.style, { position: "relative", width: "100%", height: "100%", minHeight: "2rem", overflow: "auto" });
    target.append(this.root);
    this.draw();
    this.expose();
  }

  expose() {
    this.props.exposeRefApi?.({
      getDoc: () => this.doc(),
      getAppSession: async () => this.session(),
      getObject: () => this.drawing.then(() => this.model),
    });
  }

  session() {
    const { appId, app, identity, hostConfig } = this.props;
    const host = hostConfig && Object.keys(hostConfig).length ? { hostConfig } : {};
    if (this.opened) return this.opened;
    this.opened = qix.openAppSession({ appId: appId ?? app, ...host, ...(identity && { identity }) });
    this.unwatch = watchForLoss(this.root, this.opened);
    return this.opened;
  }

  async doc() {
    return this.session().getDoc();
  }

  /** Draw what the properties say now; what an older drawing still brings is thrown away with its element. */
  draw() {
    const element = document.createElement("div");
    Object.assign(element.style, { width: "100%", height: "100%" });
    delete this.root.dataset.ready;
    this.undraw();
    this.root.replaceChildren(element);
    dress(this.root, this.props.theme);
    const view = views[this.props.ui] ?? views.other;
    const place = { element, props: this.props, doc: () => this.doc(), keep: (model) => (this.model = model) };
    const drawing = Promise.resolve(place).then(view);
    this.drawing = drawing.then(
      (undo) => this.drawn(element, undo),
      (error) => this.failed(element, error),
    );
  }

  /**
   * @param {HTMLElement} element
   * @param {(() => void) | void} undo
   */
  drawn(element, undo) {
    if (!element.isConnected) return undo?.();
    this.undo = undo;
    this.root.dataset.ready = "1";
    this.target.dispatchEvent(new CustomEvent("ready"));
  }

  /**
   * @param {HTMLElement} element
   * @param {Error} error
   */
  failed(element, error) {
    if (!element.isConnected) return;
    say(element, inWords(error), "alert");
    this.root.dataset.ready = "0";
    this.target.dispatchEvent(new CustomEvent("fatalerror", { detail: error }));
  }

  undraw() {
    this.undo?.();
    this.undo = this.model = undefined;
  }

  /** @param {Props} props */
  $set(props) {
    const differs = (/** @type {string} */ name) => JSON.stringify(props[name]) !== JSON.stringify(this.props[name]);
    const changed = DRAWN_FROM.filter((name) => name in props && differs(name));
    const isOtherSession = ["appId", "app", "identity", "hostConfig"].some((name) => name in props && differs(name));
    Object.assign(this.props, props);
    if (isOtherSession) this.close();
    if (isOtherSession || changed.length) this.draw();
    this.expose();
  }

  close() {
    this.unwatch?.();
    this.opened?.close();
    this.opened = this.unwatch = undefined;
  }

  $destroy() {
    this.undraw();
    this.close();
    this.root.remove();
  }
}

/** @param {{target: HTMLElement, props: Props}} where */
export const mountVanillaEmbedComponent = ({ target, props }) => new Mounted(target, props);
