// Runs one scenario with Qlik's own @qlik/api and prints what the client saw as one line of JSON:
//   node qlik_api.mjs SCENARIO '{"hostConfig": {"host": ..., "clientId": ..., "clientSecret": ...}, ...}'
import { auth, groups, items, oauthTokens, qix, roles, spaces, tenants, users } from "@qlik/api";

const [scenario, given] = [process.argv[2], JSON.parse(process.argv[3])];

// noCache as in Qlik's samples: without it the client would hand one tenant's token to another.
const hostConfig = { authType: "oauth2", noCache: true, ...given.hostConfig };
const options = { hostConfig, noCache: true };

const seen = ({ status, data }) => ({ status, data });

const scenarios = {
  token: () => auth.getAccessToken({ hostConfig }),

  me: async () => seen(await users.getMyUser(options)),

  list: async () => seen(await users.getUsers(given.query, options)),

  create: async () => seen(await users.createUser(given.user, options)),

  // One client and one cached token; a refusal does not end it.
  async createAll() {
    const attempts = [];
    for (const user of given.users) attempts.push(await users.createUser(user, options).then(seen, outcome));
    const reading = seen(await users.getUsers({}, options));
    return { attempts, reading };
  },

  patch: async () => seen(await users.patchUser(given.userId, given.operations, options)),

  remove: async () => seen(await users.deleteUser(given.userId, options)),

  async walk() {
    const pages = [];
    for (let page = await users.getUsers(given.query, options); page; page = await page.next?.()) {
      pages.push(page.data.data.map((user) => user.subject));
    }
    return pages;
  },

  async walkBack() {
    const first = await users.getUsers(given.query, options);
    const second = await first.next();
    const again = await second.prev();
    return [first, second, again].map((page) => page.data.data.map((user) => user.subject));
  },

  count: async () => seen(await users.countUsersWithoutQuery(options)),

  filter: async () => seen(await users.filterUsers(given.query, { filter: given.filter }, options)),

  groups: async () => seen(await groups.getGroups(given.query, options)),

  // One of everything that the caller may see, a token of the given user among them.
  async survey() {
    const spaceId = (await spaces.getSpaces({}, options)).data.data[0].id;
    const first = async (listing) => (await listing).data.data[0];
    return {
      user: (await users.getMyUser(options)).data,
      tenant: (await tenants.getMyTenant(options)).data,
      group: await first(groups.getGroups({}, options)),
      role: await first(roles.getRoles({}, options)),
      space: await first(spaces.getSpaces({}, options)),
      assignment: await first(spaces.getSpaceAssignments(spaceId, {}, options)),
      item: await first(items.getItems({}, options)),
      token: await first(oauthTokens.getOauthTokens({ userId: given.userId }, options)),
    };
  },

  // What a person finds on signing in: names of spaces and items.
  async findings() {
    const names = ({ data }) => data.data.map(({ name }) => name);
    return {
      spaces: names(await spaces.getSpaces({}, options)),
      items: names(await items.getItems({ resourceType: "app" }, options)),
    };
  },

  // Access by a group of our own: make the group, open a space to it, put the user in.
  async openBySpace() {
    const named = { name: given.group, providerType: "custom" };
    const group = (await groups.createGroup({ ...named, status: "active" }, options)).data;
    const space = (await spaces.getSpaces({ name: given.space }, options)).data.data[0];
    const assignment = { type: "group", assigneeId: group.id, roles: ["consumer"] };
    const opened = await spaces.createSpaceAssignment(space.id, assignment, options);
    const join = [{ op: "replace", path: "/assignedGroups", value: [named] }];
    const joined = await users.patchUser(given.userId, join, options);
    return [opened.status, joined.status];
  },

  // What a portal does that holds a token for its user: the token alone, without the client's secret.
  async tokenAlone() {
    const token = await auth.getAccessToken({ hostConfig });
    const bearer = { authType: "apikey", host: given.useAt ?? hostConfig.host, apiKey: token };
    return seen(await users.getMyUser({ hostConfig: bearer, noCache: true }));
  },

  // All tokens expire between two calls that share a cached one.
  async expiry() {
    const before = await users.getMyUser(options);
    await fetch(`${hostConfig.host}/_sandbox/tokens/expire`, { method: "POST" });
    const after = await users.getMyUser(options);
    return { before: seen(before), after: seen(after) };
  },

  // An administrator takes away the tokens of a person who is using one.
  async tokensTakenAway() {
    const admin = { hostConfig: { ...hostConfig, subject: undefined, ...given.admin }, noCache: true };
    const bearer = { authType: "apikey", host: hostConfig.host, apiKey: await auth.getAccessToken({ hostConfig }) };
    const me = () => users.getMyUser({ hostConfig: bearer, noCache: true });
    const userId = (await me()).data.id;
    const listed = (await oauthTokens.getOauthTokens({ userId }, admin)).data.data;
    const deleted = await Promise.all(listed.map(({ id }) => oauthTokens.deleteOauthToken(id, admin)));
    const refusal = await me().catch((error) => error);
    return { listed, deleted: deleted.map(({ status }) => status), refusal: outcome(refusal) };
  },

  // What a portal's backend asks of an app: its sheets, and all rows of a hypercube by pages of a given height.
  readApp: () =>
    inApp(async (app) => {
      const sheets = (await app.getSheetList()).map(({ qInfo, qMeta, qData }) => [qInfo.qId, qMeta.title, qData.rank]);
      return { sheets, rows: await rowsOf(await cubeOf(app), given.height), title: (await app.getAppLayout()).qTitle };
    }),

  // Selections change what an object of the session holds, and its client hears of that.
  selectInApp: () =>
    inApp(async (app) => {
      const cube = await cubeOf(app);
      const before = await rowsOf(cube, 100);
      const changed = new Promise((resolve) => cube.on("changed", resolve));
      await (await app.getField(given.field)).selectValues([{ qText: given.value }], false, false);
      await changed;
      const during = await rowsOf(cube, 100);
      await app.clearAll();
      return { before, during, after: await rowsOf(cube, 100) };
    }),

  masterItems: () =>
    inApp(async (app) => {
      const titles = (list) => list.map(({ qInfo, qMeta }) => [qInfo.qId, qMeta.title]);
      const lists = { dimensions: titles(await app.getDimensionList()), measures: titles(await app.getMeasureList()) };
      const fields = (await app.getFieldList()).map(({ qName }) => qName);
      const missing = await app.getObject("draft-chart").catch((error) => error.message);
      return { ...lists, fields, missing };
    }),

  // The engine goes away under an open app. The client resumes: stored objects are there again, those of the session are not.
  resumeApp: () =>
    inApp(async (app, session) => {
      const chart = await app.getObject("sales-by-product");
      const cube = await cubeOf(app);
      const closed = new Promise((resolve) => cube.on("closed", resolve));
      const events = [];
      const resumed = new Promise((resolve) =>
        session.onWebSocketEvent(({ eventType }) => {
          events.push(eventType);
          if (eventType === "resumed") resolve();
        }),
      );
      const body = JSON.stringify({ code: given.code });
      const headers = { "Content-Type": "application/json" };
      await fetch(`${hostConfig.host}/_sandbox/sockets/close`, { method: "POST", body, headers });
      await Promise.all([resumed, closed]);
      return { events, chart: await rowsOf(chart, 100), rows: await rowsOf(await cubeOf(app), 100) };
    }),

  // The steps of Qlik's impersonation sample: find by e-mail, create when missing, impersonate by id.
  async sample() {
    const admin = { hostConfig: { ...hostConfig, ...given.admin }, noCache: true };
    const filter = `email eq "${given.user.email}" and status eq "active"`;
    const find = async () => (await users.getUsers({ filter }, admin)).data.data;
    const found = await find();
    const user = found[0] ?? (await users.createUser(given.user, admin)).data;
    const token = await auth.getAccessToken({ hostConfig: { ...hostConfig, userId: user.id } });
    return { found: found.length, then: (await find()).length, userId: user.id, token };
  },
};

async function inApp(work) {
  const session = qix.openAppSession({ appId: given.appId, hostConfig });
  try {
    return await work(await session.getDoc(), session);
  } finally {
    await session.close({ websocketCloseDelay: 0 });
  }
}

function cubeOf(app) {
  const qDimensions = given.dimensions.map((field) => ({ qDef: { qFieldDefs: [field] } }));
  const qMeasures = given.measures.map((expression) => ({ qDef: { qDef: expression } }));
  return app.createSessionObject({ qInfo: { qType: "table" }, qHyperCubeDef: { qDimensions, qMeasures } });
}

async function rowsOf(cube, qHeight) {
  const { qcx: qWidth, qcy } = (await cube.getLayout()).qHyperCube.qSize;
  const rows = [];
  for (let qTop = 0; qTop < qcy; qTop += qHeight) {
    const [page] = await cube.getHyperCubeData("/qHyperCubeDef", [{ qLeft: 0, qTop, qWidth, qHeight }]);
    rows.push(...page.qMatrix.map((row) => row.map(({ qText, qNum }) => (qNum === "NaN" ? qText : qNum))));
  }
  return rows;
}

function outcome(error) {
  const { message, status, data, errors } = error;
  return { name: error.constructor.name, message, status, data, errors, retryAfter: error.headers?.get("retry-after") };
}

const result = await scenarios[scenario]().then((ok) => ({ ok }), (error) => ({ error: outcome(error) }));
console.log(JSON.stringify(result));
