/**
 * The script of a page as companies have it today: it logs in with a signed JWT, relies on the tenant's cookie from
 * then on, and looks at no answer twice. It knows of no bridge; `config` and `token` are relative to its page.
 */
(async () => {
  "use strict";

  const ask = async (route) => (await fetch(route)).json();

  const config = await ask("config");
  const { token } = await ask("token");
  const tenant = `${location.protocol}//${config.tenantDomain}`;
  const webIntegration = { "qlik-web-integration-id": config.qlikWebIntegrationId };

  const login = await fetch(`${tenant}/login/jwt-session?${new URLSearchParams(webIntegration)}`, {
    method: "POST",
    credentials: "include",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}`, ...webIntegration },
  });
  await login.text();

  const frame = new URLSearchParams({ appid: config.appId, obj: config.objId, opt: "ctxmenu,currsel", ...webIntegration });
  document.getElementById("single").src = `${tenant}/single/?${frame}`;

  const answer = await fetch(`${tenant}/api/v1/csrf-token`, { credentials: "include", headers: webIntegration });
  const connection = { ...webIntegration, "qlik-csrf-token": answer.headers.get("qlik-csrf-token") };
  const socket = `${tenant.replace("http", "ws")}/app/${config.appId}?${new URLSearchParams(connection)}`;

  const schema = await ask(`${tenant}/npm/enigma.js@2/schemas/12.936.0.json`);
  const global = await enigma.create({ schema, url: socket }).open();
  const app = await global.openDoc(config.appId);

  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const types = [{ name: "barchart", load: async () => window["sn-bar-chart"] }];
  const nebula = stardust.embed(app, { context: { theme }, types });
  nebula.render({ element: document.getElementById("chart"), id: config.objId });
})();
