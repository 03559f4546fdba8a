// The life of a user with the client that openapi-generator makes for TypeScript (typescript-fetch).
import assert from "node:assert/strict";
import * as api from "./openapi_generator_client";

const password = process.env.PASSWORD!;
let token = "";
const configuration = new api.Configuration({ basePath: process.env.API!, accessToken: () => token });

/** Status and message of a call that has to fail. */
async function refused(call: Promise<unknown>): Promise<[number, string]> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof api.ResponseError, String(error));
    const body: api.ModelError = await error.response.json();
    return [error.response.status, body.message];
  }
  assert.fail("It was not refused");
}

async function life(): Promise<void> {
  const users = new api.DomainAdminUsersApi(configuration);
  const service = new api.ServiceApi(configuration);
  token = (await new api.MiscApi(configuration).postLogin({ user: "admin", pass: password })).grommunioAuthJwt;

  const domain = { domainname: "example.com", maxUser: 10 };
  const domainID = (await new api.SystemAdminDomainsApi(configuration).postDomain({ domainCreate: domain })).iD;
  const create = (userCreate: api.UserCreate) => users.postUser({ domainID, userCreate });
  const user = await create({ username: "jane", password: "a good password", smtp: true, properties: { displayname: "Jane" } });
  assert.deepEqual([user.username, user.smtp, user.forward], ["jane@example.com", true, null]);
  assert.equal(user.properties?.displayname, "Jane");
  assert.equal((await create({ username: "info", status: 4 })).status, 4);
  const contact = await create({ status: 5, properties: { displayname: "Carl" } });
  assert.match(contact.username, /^contact-\d+$/);

  const place = { domainID, userID: user.iD };
  const patch = (userPatch: api.UserPatch) => users.patchUser({ ...place, userPatch });
  assert.deepEqual(await users.getUser(place), user);
  const page = await users.getUsers({ domainID, match: "jane", matchProps: ["displayname"], level: 2, sort: ["username,desc", "ID"] });
  assert.deepEqual([page.count, page.data.map((each) => each.iD)], [1, [user.iD]]);

  const forward: api.Forward = { forwardType: 1, destination: "jane@example.net" };
  const changed = await patch({ forward, lang: "de_AT", syncPolicy: { maxattsize: 1024 } });
  assert.deepEqual([changed.forward, changed.lang, changed.smtp, changed.syncPolicy?.maxattsize], [forward, "de_AT", true, 1024]);
  const cleared: api.Forward | null | undefined = (await patch({ forward: null })).forward;
  assert.equal(cleared, null);
  // What was read may be sent back.
  assert.equal((await patch(changed)).username, user.username);

  await users.putDelegates({ ...place, requestBody: ["info@example.com"] });
  assert.deepEqual((await users.getDelegates(place)).data, ["info@example.com"]);
  const stored = await users.patchStoreProps({ ...place, requestBody: { title: "Dr", nosuch: 1 } });
  assert.deepEqual(stored.errors, { nosuch: "Unknown tag" });
  const props = await users.getStoreProps({ ...place, properties: ["title", "displayname"] });
  assert.deepEqual(props.data, { title: "Dr", displayname: "Jane" });
  await users.putStoreAccessUser({ ...place, storeAccessPut: { usernames: ["info@example.com"] } });
  const members = (await users.getStoreAccessUsers(place)).data;
  assert.deepEqual(members.map((each) => each.username), ["info@example.com"]);
  await users.deleteStoreAccessUser({ ...place, username: "info@example.com" });

  await users.setOofSize({ ...place, oof: { state: 1, internalSubject: "Away" } });
  const oof = await users.oofSizeLarge(place);
  assert.deepEqual([oof.state, oof.internalSubject, oof.startTime], [1, "Away", undefined]);
  const policy = (await users.getDomainSyncPolicy({ domainID })).data;
  assert.deepEqual([policy.maxdevpwfailedattempts, policy.maxattsize], [8, ""]);

  const username = "jane@example.com";
  const versions = { phone: 16.1, tablet: "16.1", watch: 14 };
  for (const [deviceID, asversion] of Object.entries(versions)) {
    await service.putDeviceReport({ username, deviceID, deviceReport: { devicetype: "Phone", asversion } });
  }
  const devices = (await users.getSyncedDevices(place)).data;
  assert.deepEqual(Object.fromEntries(devices.map((each) => [each.deviceid, each.asversion])), versions);
  assert.equal(devices[0].firstsynctime, null);
  await users.postDeviceWipe({ ...place, deviceID: "phone", wipeRequest: { password } });
  assert.equal((await service.getUserDeviceWipeStatus({ username })).data.phone.status, 2);
  await users.cancelWipe({ ...place, deviceID: "phone" });

  const roles = new api.SystemAdminRolesApi(configuration);
  const permissions = [
    { permission: "DomainAdmin", params: domainID },
    { permission: "OrgAdmin", params: "*" as const },
    { permission: "SystemAdminRO" },
  ];
  const role = await roles.postRole({ roleCreate: { name: "Helpers", permissions, users: [user.iD] } });
  assert.deepEqual(role.permissions?.map((each) => each.params), [domainID, "*", null]);
  const again = await roles.patchRole({ iD: role.iD, rolePatch: { users: role.users } });
  assert.deepEqual(again.users, [{ iD: user.iD, username }]);

  const directory = new api.LDAPApi(configuration);
  const [anna] = (await directory.searchLDAP({ query: "anna.schmidt" })).data;
  const created = await directory.importLdapUser({ iD: anna.iD });
  const updated = await directory.importLdapUser({ iD: anna.iD });
  assert.deepEqual([updated.iD, updated.username], [created.iD, "anna.schmidt@example.com"]);

  await users.setPassword({ ...place, newPassword: { _new: "a better password" } });
  const [status, message] = await refused(patch({ username: "info" }));
  assert.equal(status, 400);
  assert.match(message, /info@example.com/);
  assert.match((await users.deleteUser(place)).message, /has been deleted/);
  assert.equal((await refused(users.getUser(place)))[0], 404);
}

life().then(() => console.log("A whole life"));
