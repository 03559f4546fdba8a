// The life of a user with the client that @hey-api/openapi-ts makes.
import assert from "node:assert/strict";
import * as api from "./hey_api_client";
import { client } from "./hey_api_client/client.gen";

const password = process.env.PASSWORD!;
client.setConfig({ baseUrl: process.env.API! });

/** The answer of a call that has to succeed. */
async function fine<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await call;
  assert.equal(error, undefined);
  return data!;
}

async function life(): Promise<void> {
  const login = await fine(api.postLogin({ body: { user: "admin", pass: password } }));
  client.setConfig({ auth: (scheme) => (scheme.scheme === "bearer" ? login.grommunioAuthJwt : undefined) });

  const { ID: domainID } = await fine(api.postDomain({ body: { domainname: "example.com", maxUser: 10 } }));
  const create = (body: api.UserCreateWritable) => fine(api.postUser({ path: { domainID }, body }));
  const user = await create({ username: "jane", password: "a good password", smtp: true, properties: { displayname: "Jane" } });
  assert.deepEqual([user.username, user.smtp, user.forward], ["jane@example.com", true, null]);
  assert.equal(user.properties?.displayname, "Jane");
  assert.equal((await create({ username: "info", status: 4 })).status, 4);
  const contact = await create({ status: 5, properties: { displayname: "Carl" } });
  assert.match(contact.username, /^contact-\d+$/);

  const path = { domainID, userID: user.ID };
  assert.deepEqual(await fine(api.getUser({ path })), user);
  const query = { match: "jane", matchProps: ["displayname"], level: 2, sort: ["username,desc", "ID"] };
  const page = await fine(api.getUsers({ path: { domainID }, query }));
  assert.deepEqual([page.count, page.data.map((each) => each.ID)], [1, [user.ID]]);

  const forward: api.Forward = { forwardType: 1, destination: "jane@example.net" };
  const changed = await fine(api.patchUser({ path, body: { forward, lang: "de_AT", syncPolicy: { maxattsize: 1024 } } }));
  assert.deepEqual([changed.forward, changed.lang, changed.smtp, changed.syncPolicy?.maxattsize], [forward, "de_AT", true, 1024]);
  const cleared: api.Forward | null | undefined = (await fine(api.patchUser({ path, body: { forward: null } }))).forward;
  assert.equal(cleared, null);
  // What was read may be sent back.
  assert.equal((await fine(api.patchUser({ path, body: changed }))).username, user.username);

  await fine(api.putDelegates({ path, body: ["info@example.com"] }));
  assert.deepEqual((await fine(api.getDelegates({ path }))).data, ["info@example.com"]);
  const stored = await fine(api.patchStoreProps({ path, body: { title: "Dr", nosuch: 1 } }));
  assert.deepEqual(stored.errors, { nosuch: "Unknown tag" });
  const props = await fine(api.getStoreProps({ path, query: { properties: ["title", "displayname"] } }));
  assert.deepEqual(props.data, { title: "Dr", displayname: "Jane" });
  await fine(api.putStoreAccessUser({ path, body: { usernames: ["info@example.com"] } }));
  const members = (await fine(api.getStoreAccessUsers({ path }))).data;
  assert.deepEqual(members.map((each) => each.username), ["info@example.com"]);
  await fine(api.deleteStoreAccessUser({ path: { ...path, username: "info@example.com" } }));

  await fine(api.setOofSize({ path, body: { state: 1, internalSubject: "Away" } }));
  const oof = await fine(api.oofSizeLarge({ path }));
  assert.deepEqual([oof.state, oof.internalSubject, oof.startTime], [1, "Away", undefined]);
  const policy = (await fine(api.getDomainSyncPolicy({ path: { domainID } }))).data;
  assert.deepEqual([policy.maxdevpwfailedattempts, policy.maxattsize], [8, ""]);

  const username = "jane@example.com";
  const versions = { phone: 16.1, tablet: "16.1", watch: 14 };
  for (const [deviceID, asversion] of Object.entries(versions)) {
    await fine(api.putDeviceReport({ path: { username, deviceID }, body: { devicetype: "Phone", asversion } }));
  }
  const devices = (await fine(api.getSyncedDevices({ path }))).data;
  assert.deepEqual(Object.fromEntries(devices.map((each) => [each.deviceid, each.asversion])), versions);
  assert.equal(devices[0].firstsynctime, null);
  await fine(api.postDeviceWipe({ path: { ...path, deviceID: "phone" }, body: { password } }));
  assert.equal((await fine(api.getUserDeviceWipeStatus({ path: { username } }))).data.phone.status, 2);
  await fine(api.cancelWipe({ path: { ...path, deviceID: "phone" } }));

  const permissions = [
    { permission: "DomainAdmin", params: domainID },
    { permission: "OrgAdmin", params: "*" as const },
    { permission: "SystemAdminRO" },
  ];
  const role = await fine(api.postRole({ body: { name: "Helpers", permissions, users: [user.ID] } }));
  assert.deepEqual(role.permissions?.map((each) => each.params), [domainID, "*", null]);
  const again = await fine(api.patchRole({ path: { ID: role.ID }, body: { users: role.users } }));
  assert.deepEqual(again.users, [{ ID: user.ID, username }]);

  const [anna] = (await fine(api.searchLdap({ query: { query: "anna.schmidt" } }))).data;
  const created = await fine(api.importLdapUser({ query: { ID: anna.ID } }));
  const updated = await fine(api.importLdapUser({ query: { ID: anna.ID } }));
  assert.ok("username" in created && "username" in updated);
  assert.deepEqual([updated.ID, updated.username], [created.ID, "anna.schmidt@example.com"]);

  await fine(api.setPassword({ path, body: { new: "a better password" } }));
  const refused = await api.patchUser({ path, body: { username: "info" } });
  assert.equal(refused.response.status, 400);
  assert.match(refused.error!.message, /info@example.com/);
  assert.match((await fine(api.deleteUser({ path }))).message, /has been deleted/);
  assert.equal((await api.getUser({ path })).response.status, 404);
}

life().then(() => console.log("A whole life"));
