// The life of a user with openapi-fetch, and the types that openapi-typescript makes.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Forward = components["schemas"]["Forward"];

const password = process.env.PASSWORD!;
const client = createClient<paths>({ baseUrl: process.env.API! });

/** The answer of a call that has to succeed. */
async function fine<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  assert.ok(response.ok, JSON.stringify(error));
  return data!;
}

async function life(): Promise<void> {
  const login = await fine(
    client.POST("/login", {
      body: { user: "admin", pass: password },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    }),
  );
  client.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${login.grommunioAuthJwt}`);
    },
  });

  const { ID: domainID } = await fine(client.POST("/system/domains", { body: { domainname: "example.com", maxUser: 10 } }));
  const create = (body: components["schemas"]["UserCreate"]) =>
    fine(client.POST("/domains/{domainID}/users", { params: { path: { domainID } }, body }));
  const user = await create({ username: "jane", password: "a good password", smtp: true, properties: { displayname: "Jane" } });
  assert.deepEqual([user.username, user.smtp, user.forward], ["jane@example.com", true, null]);
  assert.equal(user.properties?.displayname, "Jane");
  assert.equal((await create({ username: "info", status: 4 })).status, 4);
  const contact = await create({ status: 5, properties: { displayname: "Carl" } });
  assert.match(contact.username, /^contact-\d+$/);

  const params = { path: { domainID, userID: user.ID } };
  const read = () => client.GET("/domains/{domainID}/users/{userID}", { params });
  const patch = (body: components["schemas"]["UserPatch"]) => client.PATCH("/domains/{domainID}/users/{userID}", { params, body });
  assert.deepEqual(await fine(read()), user);
  const query = { match: "jane", matchProps: ["displayname"], level: 2, sort: ["username,desc", "ID"] };
  const page = await fine(client.GET("/domains/{domainID}/users", { params: { path: { domainID }, query } }));
  assert.deepEqual([page.count, page.data.map((each) => each.ID)], [1, [user.ID]]);

  const forward: Forward = { forwardType: 1, destination: "jane@example.net" };
  const changed = await fine(patch({ forward, lang: "de_AT", syncPolicy: { maxattsize: 1024 } }));
  assert.deepEqual([changed.forward, changed.lang, changed.smtp, changed.syncPolicy?.maxattsize], [forward, "de_AT", true, 1024]);
  const cleared: Forward | null | undefined = (await fine(patch({ forward: null }))).forward;
  assert.equal(cleared, null);
  // What was read may be sent back.
  assert.equal((await fine(patch(await fine(read())))).username, user.username);

  await fine(client.PUT("/domains/{domainID}/users/{userID}/delegates", { params, body: ["info@example.com"] }));
  const delegates = await fine(client.GET("/domains/{domainID}/users/{userID}/delegates", { params }));
  assert.deepEqual(delegates.data, ["info@example.com"]);
  const stored = await fine(
    client.PATCH("/domains/{domainID}/users/{userID}/storeProps", { params, body: { title: "Dr", nosuch: 1 } }),
  );
  assert.deepEqual(stored.errors, { nosuch: "Unknown tag" });
  const wanted = { ...params, query: { properties: ["title", "displayname"] } };
  const props = await fine(client.GET("/domains/{domainID}/users/{userID}/storeProps", { params: wanted }));
  assert.deepEqual(props.data, { title: "Dr", displayname: "Jane" });
  const access = "/domains/{domainID}/users/{userID}/storeAccess";
  await fine(client.PUT(access, { params, body: { usernames: ["info@example.com"] } }));
  assert.deepEqual((await fine(client.GET(access, { params }))).data.map((each) => each.username), ["info@example.com"]);
  const member = { path: { ...params.path, username: "info@example.com" } };
  await fine(client.DELETE(`${access}/{username}`, { params: member }));

  await fine(client.PUT("/domains/{domainID}/users/{userID}/oof", { params, body: { state: 1, internalSubject: "Away" } }));
  const oof = await fine(client.GET("/domains/{domainID}/users/{userID}/oof", { params }));
  assert.deepEqual([oof.state, oof.internalSubject, oof.startTime], [1, "Away", undefined]);
  const policy = await fine(client.GET("/domains/{domainID}/syncPolicy", { params: { path: { domainID } } }));
  assert.deepEqual([policy.data.maxdevpwfailedattempts, policy.data.maxattsize], [8, ""]);

  const versions = { phone: 16.1, tablet: "16.1", watch: 14 };
  for (const [deviceID, asversion] of Object.entries(versions)) {
    const device = { path: { username: "jane@example.com", deviceID } };
    await fine(client.PUT("/service/sync/{username}/{deviceID}", { params: device, body: { devicetype: "Phone", asversion } }));
  }
  const devices = (await fine(client.GET("/domains/{domainID}/users/{userID}/sync", { params }))).data;
  assert.deepEqual(Object.fromEntries(devices.map((each) => [each.deviceid, each.asversion])), versions);
  assert.equal(devices[0].firstsynctime, null);
  const phone = { path: { ...params.path, deviceID: "phone" } };
  const wipe = "/domains/{domainID}/users/{userID}/sync/{deviceID}/wipe";
  await fine(client.POST(wipe, { params: phone, body: { password } }));
  const owner = { path: { username: "jane@example.com" } };
  assert.equal((await fine(client.GET("/service/wipe/{username}", { params: owner }))).data.phone.status, 2);
  await fine(client.DELETE(wipe, { params: phone }));

  const permissions = [
    { permission: "DomainAdmin", params: domainID },
    { permission: "OrgAdmin", params: "*" as const },
    { permission: "SystemAdminRO" },
  ];
  const role = await fine(client.POST("/system/roles", { body: { name: "Helpers", permissions, users: [user.ID] } }));
  assert.deepEqual(role.permissions?.map((each) => each.params), [domainID, "*", null]);
  const rolePath = { path: { ID: role.ID } };
  const again = await fine(client.PATCH("/system/roles/{ID}", { params: rolePath, body: { users: role.users } }));
  assert.deepEqual(again.users, [{ ID: user.ID, username: user.username }]);

  const found = await fine(client.GET("/domains/ldap/search", { params: { query: { query: "anna.schmidt" } } }));
  const anna = { query: { ID: found.data[0].ID } };
  const created = await fine(client.POST("/domains/ldap/importUser", { params: anna }));
  const updated = await fine(client.POST("/domains/ldap/importUser", { params: anna }));
  assert.ok("username" in created && "username" in updated);
  assert.deepEqual([updated.ID, updated.username], [created.ID, "anna.schmidt@example.com"]);

  await fine(client.PUT("/domains/{domainID}/users/{userID}/password", { params, body: { new: "a better password" } }));
  const refused = await patch({ username: "info" });
  assert.equal(refused.response.status, 400);
  assert.match(refused.error!.message, /info@example.com/);
  const deleted = await fine(client.DELETE("/domains/{domainID}/users/{userID}", { params }));
  assert.match(deleted.message, /has been deleted/);
  assert.equal((await read()).response.status, 404);
}

life().then(() => console.log("A whole life"));
