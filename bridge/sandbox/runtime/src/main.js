/**
 * The sandbox tenant's /qlik-embed/main.js. `auth@v1`, `invoke-fetch@v1` and `qix@v1` are Qlik's own modules, taken from
 * @qlik/api; what is mounted for each `ui` is ours, as Qlik publishes no code for it.
 */
import * as auth from "#qlik/auth";
import * as invokeFetch from "#qlik/invoke-fetch";
import { t as qix } from "#qlik/qix";
import { mountVanillaEmbedComponent } from "./embed.js";
import { addOnAppOpenCallback, setInitialAppState } from "./initial-app-state.js";
import { rootUrl } from "./place.js";

const modules = {
  "auth@v1": auth,
  "invoke-fetch@v1": invokeFetch,
  "qix@v1": qix,
  "embed-vanilla@v1": { mountVanillaEmbedComponent },
  "initial-app-state@v1": { setInitialAppState, addOnAppOpenCallback },
};

// What brought us here names a host and a way in. A page's own @qlik/api leaves both out, as Qlik's sample for OAuth does.
const brought = /** @type {any} */ (window).__qlikMainPrivateResolvers?.forwardCompatibleHostConfig;
if (brought && !Object.keys(auth.getDefaultHostConfig()).length) auth.setDefaultHostConfig(brought);

Object.assign(window, {
  QlikMain: {
    /** @param {keyof typeof modules} name */
    async import(name) {
      if (!modules[name]) throw new Error(`The sandbox tenant has no module ${name}`);
      return modules[name];
    },
    getRootUrl: () => rootUrl,
    resourceNeedsCredentials: () => false,
    PRODUCT_INFO: { composition: { productName: "Qlik Sense", deploymentType: "qlikcloudservices" }, externalUrls: {} },
    INTERNAL__DO_NOT_USE: {},
  },
});
