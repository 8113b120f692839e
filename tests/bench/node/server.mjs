// A portal's backend that works as Qlik's sample for OAuth impersonation does: express with sessions in memory, and
// @qlik/api for the token. `node server.mjs PORT TENANT`: /mint mints at each call, /cached lets @qlik/api keep tokens.
import express from "express";
import session from "express-session";
import { auth } from "@qlik/api";

const [port, host] = process.argv.slice(2);
const config = { authType: "oauth2", host, clientId: "client", clientSecret: "secret", scope: "user_default" };

const app = express();
app.use(session({ secret: "bench", resave: false, saveUninitialized: false }));
app.use(express.json());

app.get("/login/:sub", (request, response) => {
  request.session.sub = request.params.sub;
  response.send("ok");
});

function token(noCache) {
  return async (request, response) => {
    if (!request.session.sub) {
      response.status(401).send("sign in first");
      return;
    }
    const userId = request.session.sub;
    response.send(await auth.getAccessToken({ hostConfig: { ...config, userId, noCache } }));
  };
}
app.post("/mint", token(true));
app.post("/cached", token(false));
app.listen(Number(port), "127.0.0.1");
