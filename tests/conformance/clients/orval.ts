// The life of a user with the client that orval makes.
import assert from "node:assert/strict";
import * as api from "./orval_client";
import { logIn } from "./orval_fetch";

const password = process.env.PASSWORD!;

/** The data of an answer that has to be a success. */
async function fine<T extends { status: number; data: unknown }>(
  call: Promise<T>,
): Promise<Extract<T, { status: 200 | 201 }>["data"]> {
  const answer = await call;
  assert.ok(answer.status === 200 || answer.status === 201, JSON.stringify(answer.data));
  return answer.data as Extract<T, { status: 200 | 201 }>["data"];
}

async function life(): Promise<void> {
  logIn((await fine(api.postLogin({ user: "admin", pass: password }))).grommunioAuthJwt);

  const { ID: domainID } = await fine(api.postDomain({ domainname: "example.com", maxUser: 10 }));
  const create = (body: api.UserCreate) => fine(api.postUser(domainID, body));
  const user = await create({ username: "jane", password: "a good password", smtp: true, properties: { displayname: "Jane" } });
  assert.deepEqual([user.username, user.smtp, user.forward], ["jane@example.com", true, null]);
  assert.equal(user.properties?.displayname, "Jane");
  assert.equal((await create({ username: "info", status: 4 })).status, 4);
  const contact = await create({ status: 5, properties: { displayname: "Carl" } });
  assert.match(contact.username, /^contact-\d+$/);

  const place = [domainID, user.ID] as const;
  assert.deepEqual(await fine(api.getUser(...place)), user);
  const query = { match: "jane", matchProps: ["displayname"], level: 2, sort: ["username,desc", "ID"] };
  const page = await fine(api.getUsers(domainID, query));
  assert.deepEqual([page.count, page.data.map((each) => each.ID)], [1, [user.ID]]);

  const forward: api.Forward = { forwardType: 1, destination: "jane@example.net" };
  const changed = await fine(api.patchUser(...place, { forward, lang: "de_AT", syncPolicy: { maxattsize: 1024 } }));
  assert.deepEqual([changed.forward, changed.lang, changed.smtp, changed.syncPolicy?.maxattsize], [forward, "de_AT", true, 1024]);
  const cleared: api.Forward | null | undefined = (await fine(api.patchUser(...place, { forward: null }))).forward;
  assert.equal(cleared, null);
  // What was read may be sent back.
  assert.equal((await fine(api.patchUser(...place, changed))).username, user.username);

  await fine(api.putDelegates(...place, ["info@example.com"]));
  assert.deepEqual((await fine(api.getDelegates(...place))).data, ["info@example.com"]);
  assert.deepEqual((await fine(api.patchStoreProps(...place, { title: "Dr", nosuch: 1 }))).errors, { nosuch: "Unknown tag" });
  const props = await fine(api.getStoreProps(...place, { properties: ["title", "displayname"] }));
  assert.deepEqual(props.data, { title: "Dr", displayname: "Jane" });
  await fine(api.putStoreAccessUser(...place, { usernames: ["info@example.com"] }));
  const members = (await fine(api.getStoreAccessUsers(...place))).data;
  assert.deepEqual(members.map((each) => each.username), ["info@example.com"]);
  await fine(api.deleteStoreAccessUser(...place, "info@example.com"));

  await fine(api.setOofSize(...place, { state: 1, internalSubject: "Away" }));
  const oof = await fine(api.oofSizeLarge(...place));
  assert.deepEqual([oof.state, oof.internalSubject, oof.startTime], [1, "Away", undefined]);
  const policy = (await fine(api.getDomainSyncPolicy(domainID))).data;
  assert.deepEqual([policy.maxdevpwfailedattempts, policy.maxattsize], [8, ""]);

  const username = "jane@example.com";
  const versions = { phone: 16.1, tablet: "16.1", watch: 14 };
  for (const [deviceID, asversion] of Object.entries(versions)) {
    await fine(api.putDeviceReport(username, deviceID, { devicetype: "Phone", asversion }));
  }
  const devices = (await fine(api.getSyncedDevices(...place))).data;
  assert.deepEqual(Object.fromEntries(devices.map((each) => [each.deviceid, each.asversion])), versions);
  assert.equal(devices[0].firstsynctime, null);
  await fine(api.postDeviceWipe(...place, "phone", { password }));
  assert.equal((await fine(api.getUserDeviceWipeStatus(username))).data.phone.status, 2);
  await fine(api.cancelWipe(...place, "phone"));

  const permissions = [
    { permission: "DomainAdmin", params: domainID },
    { permission: "OrgAdmin", params: "*" as const },
    { permission: "SystemAdminRO" },
  ];
  const role = await fine(api.postRole({ name: "Helpers", permissions, users: [user.ID] }));
  assert.deepEqual(role.permissions?.map((each) => each.params), [domainID, "*", null]);
  const again = await fine(api.patchRole(role.ID, { users: role.users }));
  assert.deepEqual(again.users, [{ ID: user.ID, username }]);

  const [anna] = (await fine(api.searchLDAP({ query: "anna.schmidt" }))).data;
  const created = await fine(api.importLdapUser({ ID: anna.ID }));
  const updated = await fine(api.importLdapUser({ ID: anna.ID }));
  assert.ok("username" in created && "username" in updated);
  assert.deepEqual([updated.ID, updated.username], [created.ID, "anna.schmidt@example.com"]);

  await fine(api.setPassword(...place, { new: "a better password" }));
  const refused = await api.patchUser(...place, { username: "info" });
  assert.equal(refused.status, 400);
  assert.match(refused.data.message, /info@example.com/);
  assert.match((await fine(api.deleteUser(...place))).message, /has been deleted/);
  assert.equal((await api.getUser(...place)).status, 404);
}

life().then(() => console.log("A whole life"));
