// Tests a client in JavaScript: node --test examples/testing.test.mjs
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

let server, api, controls;

before(async () => {
  const seed = fileURLToPath(new URL("seed.json", import.meta.url));
  // It ends with its stdin, so it never outlives this process.
  const options = ["--ephemeral", "--port", "0", "--seed", seed, "--ready-fd", "1", "--exit-with-stdin"];
  server = spawn("postroom", ["serve", ...options], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface(server.stdout), "line");
  ({ api, controls } = JSON.parse(line));
});

beforeEach(() => control("POST", "/reset"));

after(async () => {
  server.stdin.end();
  await once(server, "exit");
});

async function control(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(controls + path, { method, headers, body: JSON.stringify(body) });
  const answer = await response.json();
  assert.ok(response.ok, answer.message);
  return answer;
}

// The client under test, which tries again once; the seed has its token.
async function isAway(user, again = true) {
  const headers = { Authorization: "Bearer postroom_tests" };
  const response = await fetch(`${api}/service/oof/${user}`, { headers });
  if (response.status === 503 && again) return isAway(user, false);
  return (await response.json()).data.inForce;
}

test("replies end when the holidays do", async () => {
  await control("PATCH", "/clock", { frozen: true, now: "2027-01-05 23:59:59" });
  assert.equal(await isAway("anna@example.org"), true);
  await control("PATCH", "/clock", { forward: 1 });
  assert.equal(await isAway("anna@example.org"), false);
});

test("a server that fails once is asked again", async () => {
  await control("POST", "/faults", { operation: "getServiceOof", status: 503, times: 1 });
  assert.equal(await isAway("anna@example.org"), false);
  const asked = await control("GET", "/requests?operation=getServiceOof");
  assert.deepEqual(asked.data.map((request) => request.status), [503, 200]);
});
