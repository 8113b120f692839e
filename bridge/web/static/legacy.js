/**
 * The script of a page as companies have it today: it logs in with a signed JWT, relies on the tenant's cookie from
 * then on, and looks at no answer's status. It knows of no bridge; `config` and `token` are relative to its page.
 */
(async () => {
  "use strict";

  const ask = async (address, options) => {
    const answer = await fetch(address, options);
    return { headers: answer.headers, text: await answer.text() };
  };
  const askJson = async (address) => JSON.parse((await ask(address)).text);

  const config = await askJson("config");
  const { token } = await askJson("token");
  const tenant = `${location.protocol}//${config.tenantDomain}`;
  const webIntegration = { "qlik-web-integration-id": config.qlikWebIntegrationId };

  await ask(`${tenant}/login/jwt-session?${new URLSearchParams(webIntegration)}`, {
    method: "POST",
    credentials: "include",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}`, ...webIntegration },
  });

  const frame = new URLSearchParams({ appid: config.appId, obj: config.objId, opt: "ctxmenu,currsel", ...webIntegration });
  document.getElementById("single").src = `${tenant}/single/?${frame}`;

  const { headers } = await ask(`${tenant}/api/v1/csrf-token`, { credentials: "include", headers: webIntegration });
  const connection = { ...webIntegration, "qlik-csrf-token": headers.get("qlik-csrf-token") };
  const socket = `${tenant.replace("http", "ws")}/app/${config.appId}?${new URLSearchParams(connection)}`;

  const schema = await askJson(`${tenant}/npm/enigma.js@2/schemas/12.936.0.json`);
  const global = await enigma.create({ schema, url: socket }).open();
  const app = await global.openDoc(config.appId);

  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const types = [{ name: "barchart", load: async () => window["sn-bar-chart"] }];
  const nebula = stardust.embed(app, { context: { theme }, types });
  nebula.render({ element: document.getElementById("chart"), id: config.objId });
})();
