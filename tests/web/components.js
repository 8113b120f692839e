/** Pretends to be Qlik's web components: looks its settings up as they do, and writes down what happens to it. */
(() => {
  "use strict";

  window.happened = window.happened ?? [];
  const NAMES = [
    "host", "identity", "auth-type", "client-id", "get-access-token", "access-token-storage", "web-integration-id",
  ];

  /** The order of @qlik/embed-web-components 1.6.0: ancestors, meta, any script. */
  function setting(element, name) {
    for (let each = element.parentElement; each; each = each.parentElement) {
      const found = each.getAttribute(`data-qlik-embed-${name}`);
      if (found) return found;
    }
    const meta = document.querySelector(`meta[name='qlik-embed-${name}']`)?.getAttribute("content");
    return meta || document.querySelector(`script[data-${name}]`)?.getAttribute(`data-${name}`) || undefined;
  }

  class Embed extends HTMLElement {
    connectedCallback() {
      this.style.display = "contents";
      this.settings = Object.fromEntries(NAMES.map((name) => [name, this.getAttribute(name) || setting(this, name)]));
      happened.push(`connected ${this.id} ${this.settings["auth-type"]}`);
      this.draw();
    }

    async draw() {
      const asks = this.settings["auth-type"] === "Oauth2" && !this.hasAttribute("silent");
      const drawn = asks ? await window[this.settings["get-access-token"]]() : "cookie";
      if (this.isConnected) this.textContent = `drawn by ${drawn}`;
    }

    disconnectedCallback() {
      this.textContent = "";
      happened.push(`disconnected ${this.id}`);
    }
  }

  customElements.define("qlik-embed", Embed);
  customElements.define("qlik-initial-selections", class extends HTMLElement {});
})();
