// Tests a client that openapi-typescript has generated. The controls have a description, too.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./api";
import type { paths as controlPaths } from "./controls";

let server: ChildProcess;
let client: Client<paths>;
let control: Client<controlPaths>;

const seed = { users: [{ username: "anna", roles: ["helpers"] }], roles: [{ name: "helpers", permissions: ["SystemAdmin"] }] };

before(async () => {
  // It ends with its stdin, so it never outlives this process.
  const options = ["--ephemeral", "--port", "0", "--ready-fd", "1", "--exit-with-stdin"];
  server = spawn("postroom", ["serve", ...options], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface(server.stdout!), "line");
  const ready = JSON.parse(line);
  control = createClient<controlPaths>({ baseUrl: ready.controls });
  client = createClient<paths>({ baseUrl: ready.api });
});

beforeEach(async () => {
  const { error } = await control.PUT("/seed", { body: seed });
  assert.equal(error, undefined);
});

after(async () => {
  server.stdin!.end();
  await once(server, "exit");
});

async function login(user: string): Promise<{ Authorization: string }> {
  const { data } = await control.POST("/logins", { body: { user } });
  return { Authorization: `Bearer ${data!.token}` };
}

const users = (headers: { Authorization: string }) =>
  client.GET("/domains/{domainID}/users", { params: { path: { domainID: 1 } }, headers });

test("a login ends after a week", async () => {
  await control.PATCH("/clock", { body: { frozen: true } });
  const anna = await login("anna@example.org");
  assert.deepEqual((await users(anna)).data!.data.map((user) => user.username), ["anna@example.org"]);
  await control.PATCH("/clock", { body: { forward: 7 * 24 * 3600 } });
  assert.equal((await users(anna)).response.status, 401);
});

test("an answer that is cut off is an error", async () => {
  const anna = await login("anna@example.org");
  await control.POST("/faults", { body: { operation: "getUsers", cut: "middle", times: 1 } });
  await assert.rejects(users(anna));
  assert.equal((await users(anna)).response.status, 200);
});
