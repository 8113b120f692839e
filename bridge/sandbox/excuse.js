/** Served where charts would come from when the sandbox's front end was not built: says so in every embed. */
(() => {
  "use strict";
  const why = "WHY";
  if (customElements.get("qlik-embed")) {
    window.QlikMain ??= {
      getRootUrl: () => "",
      import: async () => ({
        mountVanillaEmbedComponent({ target }) {
          target.textContent = why;
          return { $set() {}, $destroy() {} };
        },
      }),
    };
    return;
  }
  customElements.define(
    "qlik-embed",
    class extends HTMLElement {
      connectedCallback() {
        this.textContent = why;
        this.dataset.ready = "0";
      }
    },
  );
})();
