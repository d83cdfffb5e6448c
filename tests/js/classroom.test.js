import assert from "node:assert/strict";
import { test } from "node:test";

import { MeshsiteClient } from "../../clients/js/meshsite.js";
import { Clock, HELLO, event, settled } from "./fakes.js";

const GROUP = { group_id: "8cb45a65", domain: "学校", node_id: "n2" };

/** A site that notes where it was asked, and sockets that do. */
function site() {
  const asked = [];
  const sockets = [];
  class FakeSocket {
    sent = [];
    constructor(address) {
      this.address = new URL(address);
      sockets.push(this);
    }
    send = (text) => this.sent.push(JSON.parse(text));
    close = (code) => (this.code = code);
    say = (...frames) => frames.forEach((frame) => this.onmessage({ data: JSON.stringify(frame) }));
  }
  const fetch = (address, options) =>
    new Promise((answer) => {
      asked.push({ address: new URL(address), ...options, answer: (body, status = 200) => answer(Response.json(body, { status })) });
    });
  return { asked, sockets, FakeSocket, fetch };
}

function make(options = {}) {
  const clock = new Clock();
  const there = site();
  const client = new MeshsiteClient({
    url: "http://chat.test",
    key: "class-key",
    group: GROUP,
    WebSocket: there.FakeSocket,
    fetch: there.fetch,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    now: clock.now,
    online: () => true,
    ...options,
  });
  const heard = { event: [], state: [] };
  for (const name of Object.keys(heard)) client.on(name, (detail) => heard[name].push(detail));
  client.connect();
  return { client, clock, heard, ...there };
}

test("a socket of a group names it, its domain and its node, and brings the key", () => {
  const { sockets } = make({ position: { epoch: "e_1", seq: 10 } });
  assert.equal(sockets[0].address.pathname, "/ws/mesh/8cb45a65");
  assert.deepEqual(Object.fromEntries(sockets[0].address.searchParams), {
    domain: "学校",
    node_id: "n2",
    epoch: "e_1",
    resume_from: "10",
    key: "class-key",
  });
});

test("a group comes back with its cursor, and goes on by poll where sockets are blocked", async () => {
  const { sockets, asked, clock, heard } = make();
  sockets[0].say(HELLO, event(11));
  sockets[0].onclose({ code: 1006 });
  clock.pass(1_000);
  assert.equal(sockets[1].address.searchParams.get("resume_from"), "11");
  sockets[1].onclose({ code: 1006 });
  await settled();
  assert.equal(asked[0].address.pathname, "/poll/mesh/8cb45a65");
  assert.equal(asked[0].address.searchParams.get("since"), "11");
  assert.equal(asked[0].address.searchParams.get("domain"), "学校");
  assert.equal(asked[0].address.searchParams.get("key"), null);
  assert.equal(asked[0].headers["X-API-Key"], "class-key");
  assert.equal(asked[0].credentials, "omit");
  asked[0].answer({ frames: [event(12)], epoch: "e_1", seq: 12 });
  await settled();
  await settled();
  assert.deepEqual(heard.event.map(({ seq }) => seq), [11, 12]);
});

test("bye over a poll leaves the group, and ends no session of anybody", async () => {
  const { client, asked } = make({ transport: "poll" });
  asked[0].answer({ frames: [HELLO], epoch: "e_1", seq: 10 });
  await settled();
  await settled();
  client.close({ bye: true });
  const calls = asked.filter(({ address }) => address.pathname.startsWith("/api/"));
  assert.deepEqual(calls.map(({ address, body }) => [address.pathname, JSON.parse(body)]), [["/api/mesh.leave", GROUP]]);
  assert.equal(calls[0].headers["X-API-Key"], "class-key");
});

test("a group that is over is not asked for again", async () => {
  const { asked, heard, clock } = make({ transport: "poll" });
  asked[0].answer({ code: "mesh_group_not_found" }, 404);
  await settled();
  await settled();
  clock.pass(120_000);
  assert.equal(asked.length, 1);
  assert.deepEqual([heard.state.at(-1).state, heard.state.at(-1).code], ["refused", 4404]);
});
