import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MeshsiteClient, MeshsiteError, createHttp, socketTransport } from "../../clients/js/meshsite.js";
import { Clock, HELLO, Network, event } from "./fakes.js";

let clock, network, heard, online, chance;

function make(options = {}) {
  const client = new MeshsiteClient({
    url: "http://chat.test",
    transport: "websocket",
    transports: { websocket: network },
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    now: clock.now,
    random: () => chance,
    online: () => online,
    fetch: async () => Response.json({}),
    ...options,
  });
  for (const name of ["state", "hello", "event", "ephemeral", "resync", "error"]) {
    client.on(name, (detail) => heard[name].push(detail));
  }
  return client;
}

function live(options, hello = {}) {
  const client = make(options);
  client.connect();
  network.last.frames({ ...HELLO, ...hello });
  return client;
}

beforeEach(() => {
  clock = new Clock();
  network = new Network();
  heard = { state: [], hello: [], event: [], ephemeral: [], resync: [], error: [] };
  online = true;
  chance = 0.5;
});

const states = () => heard.state.map(({ state }) => state);
const seqs = () => heard.event.map(({ seq }) => seq);

test("a first connection asks without a cursor and takes the server's position", () => {
  const client = live();
  assert.deepEqual(network.last.query, {});
  assert.deepEqual(client.position, { epoch: "e_1", seq: 10 });
  assert.deepEqual(states(), ["connecting", "live"]);
  assert.equal(heard.resync.length, 0);
});

test("a position from client.boot is where the server resumes", () => {
  make({ position: { epoch: "e_1", seq: 8 } }).connect();
  assert.deepEqual(network.last.query, { epoch: "e_1", resume_from: "8" });
  network.last.frames({ ...HELLO, mode: "resumed", replayed: 2 }, event(9), event(10));
  assert.deepEqual(seqs(), [9, 10]);
  assert.equal(heard.resync.length, 0);
});

test("a reconnect brings the session and the position of the last event", () => {
  live();
  network.last.frames(event(11), event(12));
  network.last.end(1006);
  clock.pass(30_000);
  assert.deepEqual(network.last.query, { session: "s_1", epoch: "e_1", resume_from: "12" });
});

test("resume_failed says what was missed and asks for a new boot", () => {
  const client = live({ position: { epoch: "e_0", seq: 57 } }, { mode: "resume_failed", reason: "unknown_epoch", missed: null });
  assert.deepEqual(heard.resync, [{ reason: "unknown_epoch", missed: null }]);
  assert.deepEqual(client.position, { epoch: "e_1", seq: 10 });
});

test("a fresh hello that does not continue the position asks for a new boot", () => {
  live({ position: { epoch: "e_1", seq: 8 } });
  assert.equal(heard.resync.length, 1);
});

test("a fresh hello at the very position needs no new boot", () => {
  live({ position: { epoch: "e_1", seq: 10 } });
  assert.equal(heard.resync.length, 0);
});

test("an event that was seen is dropped", () => {
  live();
  network.last.frames(event(11), event(11), event(10), event(12));
  assert.deepEqual(seqs(), [11, 12]);
});

test("a hole in seq delivers nothing more and comes back with the cursor", () => {
  live();
  const first = network.last;
  first.frames(event(11), event(13), event(14));
  assert.deepEqual(seqs(), [11]);
  assert.notEqual(first.closed, null);
  clock.pass(1_000);
  assert.equal(network.last.query.resume_from, "11");
  network.last.frames({ ...HELLO, seq: 14, mode: "resumed", replayed: 3 }, event(12), event(13), event(14));
  assert.deepEqual(seqs(), [11, 12, 13, 14]);
});

test("a redacted event moves the position and is told to nobody", () => {
  const client = live();
  network.last.frames({ type: "event", seq: 11, event: "redacted" }, event(12));
  assert.deepEqual(seqs(), [12]);
  assert.equal(client.position.seq, 12);
});

test("sync.reset asks for a new boot", () => {
  const client = live();
  network.last.frames({ type: "event", seq: 11, event: "sync.reset", data: {} });
  assert.deepEqual(heard.resync, [{ reason: "sync.reset", missed: null }]);
  network.last.frames({ type: "event", seq: 12, event: "sync.reset", data: { reason: "role_changed" } }, event(13));
  assert.deepEqual(heard.resync.at(-1), { reason: "role_changed", missed: null });
  assert.deepEqual([heard.event.map(({ seq }) => seq), client.position], [[13], { epoch: "e_1", seq: 13 }]);
});

test("an ephemeral event has no place in the order", () => {
  const client = live();
  network.last.frames({ type: "ephemeral", event: "typing.updated", data: { channel_id: 3 } });
  assert.equal(heard.ephemeral.length, 1);
  assert.equal(client.position.seq, 10);
});

test("a ping is answered with the position", () => {
  live();
  network.last.frames(event(11), { type: "ping", at: "2026-11-21T09:00:00Z" });
  assert.deepEqual(network.last.sent, [{ type: "pong", seq: 11 }]);
});

test("the wait before coming back is random below a ceiling that doubles to 30 seconds", () => {
  chance = 1;
  make().connect();
  const waits = [];
  for (let round = 0; round < 7; round++) {
    network.last.end(1006);
    waits.push(heard.state.at(-1).retry_in_ms);
    clock.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  chance = 0.1;
  network.last.end(1006);
  assert.equal(heard.state.at(-1).retry_in_ms, 3_000);
});

test("after a long life the wait begins small again", () => {
  chance = 1;
  make().connect();
  network.last.end(1006);
  clock.pass(1_000);
  network.last.frames(HELLO);
  clock.pass(12_000);
  network.last.end(1012);
  assert.equal(heard.state.at(-1).retry_in_ms, 1_000);
});

test("a server that closes right after hello is not hammered", () => {
  chance = 1;
  const client = make();
  client.connect();
  for (const wait of [1_000, 2_000, 4_000]) {
    network.last.frames(HELLO);
    network.last.end(1011);
    assert.equal(heard.state.at(-1).retry_in_ms, wait);
    clock.pass(wait);
  }
});

test("an overloaded server's retry_after is kept, and the random wait comes on top", () => {
  live();
  network.last.frames({ type: "error", code: "overloaded", retry_after: 7 });
  network.last.end(1013);
  assert.equal(heard.state.at(-1).retry_in_ms, 7_500);
});

for (const code of [1001, 1006, 1011, 1012, 1013, 4408]) {
  test(`close code ${code} comes back`, () => {
    live();
    network.last.end(code);
    clock.pass(1_000);
    assert.equal(network.connections.length, 2);
  });
}

for (const code of [4400, 4401, 4403, 4404, 4409]) {
  test(`close code ${code} stays away`, () => {
    live();
    network.last.frames({ type: "error", code: "some_code" });
    network.last.end(code);
    clock.pass(120_000);
    assert.equal(network.connections.length, 1);
    assert.deepEqual({ ...heard.state.at(-1), error: heard.state.at(-1).error.code }, { state: "refused", code, error: "some_code" });
  });
}

test("restart after a refusal begins with a new session at the old position", () => {
  const client = live();
  network.last.frames(event(11));
  network.last.end(4409);
  client.restart();
  assert.deepEqual(network.last.query, { epoch: "e_1", resume_from: "11" });
});

test("a server that never says hello is left after 5 seconds", () => {
  make().connect();
  clock.pass(5_000);
  assert.notEqual(network.connections[0].closed, null);
  clock.pass(1_000);
  assert.equal(network.connections.length, 2);
});

test("a silent socket is dropped, one that pings is kept", () => {
  live();
  for (let round = 0; round < 4; round++) {
    clock.pass(25_000);
    network.last.frames({ type: "ping" });
  }
  assert.equal(network.connections.length, 1);
  clock.pass(36_000);
  assert.equal(network.connections[0].closed, 4900);
  assert.equal(states().at(-1), "reconnecting");
});

test("frames of a connection that is over change nothing", () => {
  const client = live();
  const old = network.last;
  old.end(1006);
  clock.pass(1_000);
  old.frames(event(11));
  old.end(4401);
  assert.equal(client.position.seq, 10);
  assert.equal(client.state, "reconnecting");
});

test("while the machine is offline nothing is tried, and waking up tries at once", () => {
  const client = live();
  online = false;
  network.last.end(1006);
  clock.pass(120_000);
  assert.equal(client.state, "offline");
  assert.equal(network.connections.length, 1);
  online = true;
  client.wake();
  assert.equal(network.connections.length, 2);
});

test("waking up ends the wait between two attempts", () => {
  const client = live();
  network.last.end(1006);
  client.wake();
  assert.equal(network.connections.length, 2);
});

test("waking up asks a live socket for a sign of life and drops it when none comes", () => {
  const client = live();
  clock.pass(1_000);
  client.wake();
  assert.equal(network.last.sent[0].method, "user.me");
  clock.pass(5_000);
  assert.equal(client.state, "reconnecting");
});

test("any frame is a sign of life", () => {
  const client = live();
  clock.pass(1_000);
  client.wake();
  network.last.frames({ type: "ping" });
  clock.pass(5_000);
  assert.equal(client.state, "live");
});

test("bye is said on an explicit sign-out only", () => {
  const one = live();
  one.close();
  assert.deepEqual(network.last.sent, []);
  const two = live();
  two.close({ bye: true });
  assert.deepEqual(network.last.sent, [{ type: "bye" }]);
  clock.pass(120_000);
  assert.equal(network.connections.length, 2);
});

test("without a socket bye is a call, which outlives the page", () => {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push([url, JSON.parse(options.body), options.keepalive]);
    return Response.json({});
  };
  const polling = () => live({ transport: "poll", transports: { poll: network }, fetch });
  polling().close();
  assert.deepEqual(asked, []);
  polling().close({ bye: true });
  assert.deepEqual(asked, [["http://chat.test/api/presence.leave", { session: "s_1" }, true]]);
});

test("a call is answered by its reply", async () => {
  const client = live();
  const first = client.call("message.send", { body: "one" });
  const second = client.call("message.send", { body: "two" });
  const [a, b] = network.last.sent;
  assert.deepEqual(a, { type: "call", ref: a.ref, method: "message.send", params: { body: "one" } });
  network.last.frames({ type: "reply", ref: b.ref, ok: true, data: 2 }, { type: "reply", ref: a.ref, ok: true, data: 1 });
  assert.deepEqual([await first, await second], [1, 2]);
});

test("a refused call says why", async () => {
  const client = live();
  const call = client.call("typing.relay");
  network.last.frames({ type: "error", code: "rate_limited", ref: network.last.sent[0].ref, retry_after: 1 });
  await assert.rejects(call, { code: "rate_limited", retry_after: 1, lost: false });
  assert.equal(heard.error.length, 0);
});

test("a call that is never answered is given up", async () => {
  const client = live({}, { ping_seconds: 600 });
  const call = client.call("user.me");
  clock.pass(20_000);
  await assert.rejects(call, { code: "timeout", lost: true });
});

test("a call whose connection is lost may be repeated", async () => {
  const client = live();
  const call = client.call("message.send");
  network.last.end(1006);
  await assert.rejects(call, { code: "unreachable", lost: true });
});

test("without a live socket a call goes over HTTP", async () => {
  const asked = [];
  const client = make({
    csrfToken: () => "secret",
    fetch: async (url, options) => {
      asked.push([url, options.headers["X-CSRFToken"], JSON.parse(options.body)]);
      return Response.json({ message: { id: 1 } });
    },
  });
  assert.deepEqual(await client.call("message.send", { body: "hi" }), { message: { id: 1 } });
  assert.deepEqual(asked, [["http://chat.test/api/message.send", "secret", { body: "hi" }]]);
});

test("a program with a token fetches a ticket for each connection", async () => {
  const client = make({
    token: "msh_1",
    fetch: async (url, { headers }) => {
      assert.equal(headers.Authorization, "Bearer msh_1");
      return Response.json({ ticket: "t_1" });
    },
  });
  client.connect();
  await new Promise(setImmediate);
  assert.deepEqual(network.last.query, { ticket: "t_1" });
});

test("a token that is not accepted stays away", async () => {
  const client = make({ token: "bad", fetch: async () => Response.json({ code: "not_authenticated" }, { status: 401 }) });
  client.connect();
  await new Promise(setImmediate);
  assert.deepEqual([client.state, network.connections.length], ["refused", 0]);
  assert.equal(heard.state.at(-1).error.code, "not_authenticated");
});

test("a listener that was taken away hears nothing", () => {
  const client = live();
  const seen = [];
  const stop = client.on("event", ({ seq }) => seen.push(seq));
  network.last.frames(event(11));
  stop();
  network.last.frames(event(12));
  assert.deepEqual(seen, [11]);
});

test("problem+json becomes an error with its code", async () => {
  const problem = { type: "about:blank", title: "Too many", status: 429, detail: "Slower, please.", code: "rate_limited", retry_after: 2.5 };
  const post = createHttp({ fetch: async () => Response.json(problem, { status: 429 }) });
  const error = await post("message.send").catch((reason) => reason);
  assert.ok(error instanceof MeshsiteError);
  assert.deepEqual([error.code, error.detail, error.status, error.retry_after], ["rate_limited", "Slower, please.", 429, 2.5]);
});

test("an answer that is not JSON is an error, not a crash", async () => {
  const post = createHttp({ fetch: async () => new Response("<h1>Bad gateway</h1>", { status: 502 }) });
  await assert.rejects(post("user.me"), { code: "http_502", lost: true });
});

test("an answer that is cut off may have been carried out", async () => {
  const cut = new ReadableStream({ start: (stream) => stream.error(new TypeError("terminated")) });
  const post = createHttp({ fetch: async () => new Response(cut, { status: 200 }) });
  await assert.rejects(post("message.send"), { code: "unreachable", lost: true });
});

test("an answer that does not come is not waited for without end", async () => {
  let signal;
  const post = createHttp({
    fetch: async (url, options) => {
      signal = options.signal;
      throw new DOMException("The operation was aborted due to timeout", "TimeoutError");
    },
  });
  await assert.rejects(post("message.send"), { code: "timeout", lost: true });
  assert.ok(signal instanceof AbortSignal);
});

test("an unreachable server is an error that may be retried", async () => {
  const post = createHttp({
    fetch: async () => {
      throw new TypeError("fetch failed");
    },
  });
  await assert.rejects(post("user.me"), { code: "unreachable", lost: true });
});

test("the socket takes single frames and arrays of frames, and reports its end once", () => {
  let socket;
  class FakeSocket {
    constructor(url) {
      this.url = url;
      socket = this;
    }
    send(text) {
      this.sent = text;
    }
    close(code) {
      this.closed = code;
    }
  }
  const frames = [];
  const ends = [];
  const connection = socketTransport("https://chat.test", FakeSocket).open(() => new URLSearchParams({ resume_from: "3" }), {
    onFrame: (frame) => frames.push(frame.seq),
    onEnd: (code) => ends.push(code),
  });
  assert.equal(socket.url, "wss://chat.test/ws/user/me?resume_from=3");
  socket.onmessage({ data: JSON.stringify({ seq: 1 }) });
  socket.onmessage({ data: JSON.stringify([{ seq: 2 }, { seq: 3 }]) });
  connection.send({ type: "bye" });
  connection.close(4900);
  socket.onclose({ code: 1006 });
  assert.deepEqual(frames, [1, 2, 3]);
  assert.deepEqual(ends, [4900]);
  assert.deepEqual([socket.sent, socket.closed], ['{"type":"bye"}', 4900]);
});
