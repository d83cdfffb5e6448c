import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MeshsiteClient, pollTransport } from "../../clients/js/meshsite.js";
import { Clock, HELLO, Network, Site, event, settled } from "./fakes.js";

const URL_OF_SITE = "http://chat.test";

let clock, sockets, site, heard, chance, clients;

function make(options = {}) {
  const client = new MeshsiteClient({
    url: URL_OF_SITE,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    now: clock.now,
    random: () => chance,
    online: () => true,
    fetch: site.fetch,
    transports: {
      websocket: sockets,
      poll: pollTransport(URL_OF_SITE, { fetch: site.fetch, token: options.token, ...clock }),
    },
    ...options,
  });
  for (const name of ["state", "event", "ephemeral", "resync"]) client.on(name, (detail) => heard[name].push(detail));
  client.connect();
  return client;
}

/** A client that polls because no socket got through, and waits for an answer after seq 10. */
async function polling(options) {
  const client = make(options);
  if (options?.transport !== "poll") sockets.last.end(1006);
  site.last.answer([HELLO], 10);
  await settled();
  return client;
}

/** Let time pass in which nothing happens. */
async function idle(ms) {
  for (let left = ms; left > 0; left -= 20_000) {
    clock.pass(Math.min(left, 20_000));
    site.last.answer([], Number(site.last.query.since));
    await settled();
  }
}

/** The same a minute later, while a socket is tried. */
async function trying() {
  const client = await polling();
  await idle(59_000);
  clock.pass(1_000);
  return client;
}

beforeEach(() => {
  clock = new Clock();
  sockets = new Network();
  site = new Site();
  heard = { state: [], event: [], ephemeral: [], resync: [] };
  chance = 0.5;
});

const states = () => heard.state.map(({ state, transport }) => (transport ? `${state} ${transport}` : state));
const seqs = () => heard.event.map(({ seq }) => seq);

test("where no socket says hello within 5 seconds it polls, and says so", async () => {
  const client = make();
  clock.pass(4_999);
  assert.equal(site.polls.length, 0);
  clock.pass(1);
  assert.notEqual(sockets.last.closed, null);
  site.last.answer([HELLO], 10);
  await settled();
  assert.deepEqual(states(), ["connecting", "live poll"]);
  assert.deepEqual([client.transport, client.session, client.position], ["poll", "s_1", { epoch: "e_1", seq: 10 }]);
});

test("a socket that is refused on the way is followed by a poll at once", async () => {
  await polling();
  assert.equal(clock.time, 1_000);
  assert.equal(sockets.connections.length, 1);
});

test("where sockets do not exist it polls", async () => {
  const client = make({ WebSocket: undefined, transports: undefined });
  site.last.answer([HELLO], 10);
  await settled();
  assert.equal(client.transport, "poll");
  client.close();
});

for (const code of [1001, 1011, 1012, 1013]) {
  test(`a server that says ${code} before its hello did not block the socket`, () => {
    make();
    sockets.last.end(code);
    clock.pass(1_000);
    assert.deepEqual([site.polls.length, sockets.connections.length], [0, 2]);
  });
}

test("a server that neither takes sockets nor polls is tried by both after each wait", async () => {
  make();
  sockets.last.end(1006);
  site.last.fail();
  await settled();
  clock.pass(1_000);
  assert.deepEqual([site.polls.length, sockets.connections.length], [1, 2]);
  sockets.last.frames(HELLO);
  assert.deepEqual(states().slice(-2), ["reconnecting", "live websocket"]);
});

test("the first poll only asks, the next are held, each from the end of the one before", async () => {
  await polling({ session: "s_9" });
  assert.deepEqual(site.polls[0].query, { session: "s_9", wait: "0" });
  assert.deepEqual(site.last.query, { session: "s_1", epoch: "e_1", since: "10", wait: "25" });
});

test("a poll takes over the session and the position of a socket", async () => {
  const client = make();
  sockets.last.frames(HELLO, event(11), event(12));
  sockets.last.end(1006);
  clock.pass(1_000);
  sockets.last.end(1006);
  assert.deepEqual(site.last.query, { session: "s_1", epoch: "e_1", since: "12", wait: "0" });
  site.last.answer([event(13)], 13);
  await settled();
  assert.deepEqual(seqs(), [11, 12, 13]);
  assert.equal(heard.resync.length, 0);
  assert.equal(client.transport, "poll");
});

test("a living session whose program brings no position begins where the server stands", async () => {
  const client = make({ session: "s_9", transport: "poll" });
  site.last.answer([], 42);
  await settled();
  assert.deepEqual([client.position, client.session], [{ epoch: "e_1", seq: 42 }, "s_9"]);
  assert.equal(heard.resync.length, 0);
});

test("polled events come once and in order, and move the position", async () => {
  await polling();
  site.last.answer([event(11), event(12)], 12);
  await settled();
  assert.equal(site.last.query.since, "12");
  site.last.answer([event(12), { type: "event", seq: 13, event: "redacted" }, event(14)], 14);
  await settled();
  assert.deepEqual(seqs(), [11, 12, 14]);
  assert.equal(site.last.query.since, "14");
});

test("an empty answer is followed by the next question at the same position", async () => {
  await polling();
  clock.pass(25_000);
  site.last.answer([], 10);
  await settled();
  assert.deepEqual([site.polls.length, site.last.query.since], [3, "10"]);
});

test("something that answers at once with nothing is not hammered", async () => {
  await polling();
  site.last.answer([], 10);
  await settled();
  assert.equal(site.polls.length, 2);
  clock.pass(1_000);
  assert.equal(site.polls.length, 3);
});

test("a hole in a poll delivers nothing more and comes back with the position", async () => {
  await polling();
  site.last.answer([event(11), event(13)], 13);
  await settled();
  assert.deepEqual(seqs(), [11]);
  clock.pass(1_000);
  assert.equal(site.last.query.since, "11");
});

test("a poll that cannot be whole asks for a new boot and goes on from the hello", async () => {
  const client = await polling();
  const missed = { from: 11, to: 600 };
  site.last.answer([{ ...HELLO, seq: 600, mode: "resume_failed", reason: "too_old", missed }], 600);
  await settled();
  assert.deepEqual(heard.resync, [{ reason: "too_old", missed }]);
  assert.equal(client.position.seq, 600);
  assert.equal(site.last.query.since, "600");
});

test("a hello after a lapsed lease interrupts nothing", async () => {
  await polling();
  site.last.answer([{ ...HELLO, session: "s_2", mode: "resumed", seq: 11, replayed: 1 }, event(11)], 11);
  await settled();
  assert.deepEqual(seqs(), [11]);
  assert.equal(heard.resync.length, 0);
  assert.equal(site.last.query.session, "s_2");
});

test("ephemeral events come by poll too", async () => {
  await polling();
  site.last.answer([{ type: "ephemeral", event: "typing.updated", data: { channel_id: 3 } }], 10);
  await settled();
  assert.equal(heard.ephemeral.length, 1);
});

test("while it polls, the socket is tried again every 60 seconds with the same session and position", async () => {
  await trying();
  assert.equal(sockets.connections.length, 2);
  assert.deepEqual(sockets.last.query, { session: "s_1", epoch: "e_1", resume_from: "10" });
  sockets.last.end(1006);
  await idle(59_999);
  assert.equal(sockets.connections.length, 2);
  clock.pass(1);
  assert.equal(sockets.connections.length, 3);
});

test("a socket that says hello takes over, and the poll is aborted", async () => {
  const client = await trying();
  const poll = site.last;
  sockets.last.frames({ ...HELLO, mode: "resumed" }, event(11));
  assert.equal(poll.signal.aborted, true);
  await settled();
  clock.pass(34_000);
  assert.ok(site.last === poll, "no further poll");
  assert.deepEqual(states(), ["connecting", "live poll", "live websocket"]);
  assert.deepEqual(seqs(), [11]);
  client.close();
});

test("the answer of a poll that comes after the change-over moves nothing and is told to nobody", async () => {
  const client = await trying();
  const late = site.last;
  late.deaf = true;
  sockets.last.frames({ ...HELLO, mode: "resumed", replayed: 1 }, event(11), event(12), event(13));
  late.answer([event(11)], 11);
  await settled();
  assert.deepEqual(seqs(), [11, 12, 13]);
  assert.equal(client.position.seq, 13);
});

test("what a poll brings while the socket is tried is delivered, and its replay is not", async () => {
  await trying();
  site.last.answer([event(11), event(12)], 12);
  await settled();
  assert.deepEqual(seqs(), [11, 12]);
  sockets.last.frames({ ...HELLO, seq: 13, mode: "resumed", replayed: 3 }, event(11), event(12), event(13));
  assert.deepEqual(seqs(), [11, 12, 13]);
});

test("while the socket is tried no request is sent that would take the session from it", async () => {
  await trying();
  const asked = site.polls.length;
  site.last.answer([event(11)], 11);
  await settled();
  assert.equal(site.polls.length, asked);
  clock.pass(5_000);
  assert.deepEqual([site.polls.length, site.last.query.since], [asked + 1, "11"]);
});

test("a poll whose session the tried socket took waits for its hello", async () => {
  const client = await trying();
  site.last.refuse(409, { code: "replaced" });
  await settled();
  assert.equal(client.state, "live");
  sockets.last.frames({ ...HELLO, mode: "resumed" });
  assert.deepEqual(states().slice(-2), ["live poll", "live websocket"]);
});

test("a socket that reaches the server and brings nothing back is given up, and the poll goes on", async () => {
  const client = await trying();
  site.last.refuse(409, { code: "replaced" });
  await settled();
  clock.pass(5_000);
  site.last.answer([event(11)], 11);
  await settled();
  assert.deepEqual([client.transport, seqs()], ["poll", [11]]);
});

test("a socket that was given up and takes the session late is not somebody else", async () => {
  const client = await trying();
  clock.pass(5_000);
  site.last.refuse(409, { code: "replaced" });
  await settled();
  assert.equal(client.state, "reconnecting");
  clock.pass(1_000);
  site.last.refuse(409, { code: "replaced" });
  await settled();
  assert.deepEqual([client.state, heard.state.at(-1).code], ["refused", 4409]);
});

test("a poll that was aborted and arrives late does not end the socket for good", async () => {
  const client = await trying();
  sockets.last.frames({ ...HELLO, mode: "resumed" });
  sockets.last.frames({ type: "error", code: "replaced", ref: null });
  sockets.last.end(4409);
  assert.equal(client.state, "reconnecting");
  clock.pass(1_000);
  sockets.last.frames({ ...HELLO, mode: "resumed" });
  assert.equal(client.transport, "websocket");
});

test("a tab that loses its place to another one stays away", async () => {
  const client = await polling();
  site.last.refuse(409, { code: "replaced" });
  await settled();
  clock.pass(120_000);
  assert.deepEqual([client.state, heard.state.at(-1).code, site.polls.length], ["refused", 4409, 2]);
});

for (const [status, code] of Object.entries({ 400: 4400, 401: 4401, 403: 4403, 404: 4404, 409: 4409 })) {
  test(`a poll that is answered with ${status} stays away`, async () => {
    await polling();
    site.last.refuse(Number(status), { code: "some_code" });
    await settled();
    clock.pass(120_000);
    assert.deepEqual({ ...heard.state.at(-1), error: heard.state.at(-1).error.code }, { state: "refused", code, error: "some_code" });
    assert.equal(site.polls.length, 2);
  });
}

test("a refusal that is not the server's own is not for ever", async () => {
  const client = await polling();
  site.last.respond(new Response("<h1>Sign in to the hotel's network</h1>", { status: 403 }));
  await settled();
  assert.equal(client.state, "reconnecting");
});

test("an answer that is not JSON is a failure, not a crash", async () => {
  const client = await polling();
  site.last.respond(new Response("<h1>Sign in to the hotel's network</h1>"));
  await settled();
  assert.equal(client.state, "reconnecting");
});

test("failing polls wait at random below a ceiling that doubles to 30 seconds", async () => {
  chance = 1;
  await polling({ transport: "poll" });
  const waits = [];
  for (let round = 0; round < 7; round++) {
    site.last.fail();
    await settled();
    waits.push(heard.state.at(-1).retry_in_ms);
    clock.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

for (const status of [429, 503]) {
  test(`a poll that is answered with ${status} comes back after what Retry-After says`, async () => {
    await polling();
    site.last.refuse(status, { code: "unavailable" }, { "Retry-After": "7" });
    await settled();
    assert.deepEqual([heard.state.at(-1).code, heard.state.at(-1).retry_in_ms], [1013, 7_500]);
    clock.pass(7_499);
    assert.equal(site.polls.length, 2);
    clock.pass(1);
    assert.equal(site.polls.length, 3);
  });
}

test("a poll that is not answered is given up 10 seconds after its time", async () => {
  const client = await polling();
  clock.pass(34_999);
  assert.equal(client.state, "live");
  clock.pass(1);
  assert.equal(site.polls[1].signal.aborted, true);
  assert.equal(client.state, "reconnecting");
});

test("calls go over HTTP while it polls", async () => {
  const client = await polling();
  const call = client.call("message.send", { body: "hi" });
  assert.deepEqual([site.calls[0].method, site.calls[0].body], ["message.send", { body: "hi" }]);
  site.calls[0].answer([], 0);
  assert.ok(await call);
});

test("waking up asks anew, and tries a socket soon", async () => {
  const client = await polling();
  clock.pass(10_000);
  client.wake();
  assert.equal(site.polls[1].signal.aborted, true);
  assert.equal(site.last.query.wait, "0");
  site.last.answer([], 10);
  await settled();
  clock.pass(1_000);
  assert.equal(sockets.connections.length, 2);
  sockets.last.frames({ ...HELLO, mode: "resumed" });
  assert.equal(client.transport, "websocket");
});

test("a program polls with its token and needs no ticket", async () => {
  await polling({ token: "msh_1", transport: "poll" });
  assert.equal(site.last.headers.Authorization, "Bearer msh_1");
  assert.equal(site.calls.length, 0);
});

test("who wants only polls opens no socket, and who wants only sockets never polls", async () => {
  const one = await polling({ transport: "poll" });
  clock.pass(20_000);
  assert.equal(sockets.connections.length, 0);
  one.close();
  const asked = site.polls.length;
  const other = make({ transport: "websocket" });
  for (let round = 0; round < 5; round++) clock.pass(35_000);
  assert.equal(site.polls.length, asked);
  assert.ok(sockets.connections.length > 2);
  other.close();
});

for (const moment of ["connecting", "polling", "trying", "pausing", "waiting"]) {
  test(`closing while ${moment} ends everything`, async () => {
    const begin = { connecting: make, polling, trying, pausing: polling, waiting: polling };
    const client = await begin[moment]();
    if (moment === "pausing") site.last.answer([], 10);
    if (moment === "waiting") site.last.fail();
    await settled();
    client.close();
    assert.equal(clock.timers.size, 0);
    assert.ok(site.polls.every(({ signal }, at) => signal.aborted || at < site.polls.length - 1 || moment === "pausing" || moment === "waiting"));
    assert.ok(sockets.connections.every(({ closed }, at) => closed !== null || at === 0));
    await settled();
    clock.pass(600_000);
    assert.deepEqual([client.state, states().at(-1)], ["offline", "offline"]);
  });
}

/** Park and Miller's generator: the same story for the same seed. */
function dice(seed) {
  let state = seed;
  return (sides) => (state = (state * 48_271) % 2_147_483_647) % sides;
}

for (let seed = 1; seed <= 20; seed++) {
  test(`whatever sockets and polls do, each event is delivered once and in order (story ${seed})`, async () => {
    const roll = dice(seed * 7_919);
    const client = make();
    let top = 10;
    const after = (seq) => Array.from({ length: top - seq }, (_, at) => event(Number(seq) + 1 + at));
    const greeted = new Set();
    const greet = (connection) => {
      if (greeted.has(connection)) return;
      greeted.add(connection);
      const from = connection.query.resume_from;
      const mode = from === undefined ? "fresh" : "resumed";
      connection.frames({ ...HELLO, seq: top, mode }, ...(from === undefined ? [] : after(from)));
    };
    const late = [];
    const moves = [
      () => (top += roll(4)),
      () => greet(sockets.last),
      () => sockets.last.frames(...after(10)),
      () => sockets.last.end(roll(2) ? 1006 : 1012),
      () => sockets.connections[roll(sockets.connections.length)].frames(event(11), event(12)),
      () => clock.pass([1_000, 5_000, 61_000][roll(3)]),
      () => client.wake(),
      () => {
        const poll = site.last;
        if (!poll) return;
        poll.deaf = roll(2) === 0;
        const { since } = poll.query;
        const answer = since === undefined ? [[HELLO], 10] : [after(since), top];
        if (poll.deaf) late.push(() => poll.answer(...answer));
        else poll.answer(...answer);
      },
      () => late.pop()?.(),
    ];
    greet(sockets.last);
    for (let step = 0; step < 120; step++) {
      moves[roll(moves.length)]();
      await settled();
      assert.notEqual(client.state, "refused");
    }
    for (let round = 0; round < 40 && client.position.seq < top; round++) {
      clock.pass(1_000);
      greet(sockets.last);
      sockets.last.frames(...after(10));
      site.last?.answer(after(site.last.query.since ?? 10), top);
      await settled();
    }
    assert.deepEqual(seqs(), Array.from({ length: top - 10 }, (_, at) => 11 + at));
    assert.equal(heard.resync.length, 0);
    client.close();
    assert.equal(clock.timers.size, 0);
  });
}
