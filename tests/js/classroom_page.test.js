import assert from "node:assert/strict";
import { test } from "node:test";

import { createCoalescer, createThrottle } from "../../static/js/classroom/coalescing.js";
import { labelOf, makeId, nameOf } from "../../static/js/classroom/names.js";
import { Room } from "../../static/js/classroom/room.js";
import { clockText, createLog, gapText } from "../../static/js/classroom/timing.js";

const at = (ms) => new Date(Date.UTC(2026, 10, 21, 9, 0, 0) + ms).toISOString();

function frames() {
  const asked = [];
  return { asked, request: (run) => asked.push(run), next: () => asked.shift()() };
}

test("600 changes of 40 nodes between two frames are 40 changes of the page, of the newest values", () => {
  const { asked, request, next } = frames();
  const applied = [];
  const changes = createCoalescer({ apply: (them) => applied.push(them), request });
  for (let round = 0; round < 15; round++) for (let node = 0; node < 40; node++) changes.put(`n${node}`, round);
  assert.equal(asked.length, 1);
  next();
  assert.equal(applied.length, 1);
  assert.deepEqual([applied[0].size, new Set(applied[0].values())], [40, new Set([14])]);
});

test("what comes while a frame is drawn waits for the next one", () => {
  const { asked, request, next } = frames();
  const applied = [];
  const changes = createCoalescer({
    apply: (them) => {
      applied.push([...them.keys()]);
      if (applied.length === 1) changes.put("late");
    },
    request,
  });
  changes.put("early");
  next();
  assert.deepEqual([applied, asked.length], [[["early"]], 1]);
  next();
  assert.deepEqual(applied, [["early"], ["late"]]);
});

test("what was forgotten is not drawn", () => {
  const { request, next } = frames();
  const changes = createCoalescer({ apply: () => assert.fail("drawn"), request });
  changes.put("a");
  changes.forget();
  next();
});

test("a slider is told at once, then with its newest value, and no more often than asked", () => {
  let now = 0;
  const timers = [];
  const told = [];
  const throttle = createThrottle({
    tell: (values) => told.push([now, Object.fromEntries(values)]),
    every_ms: 100,
    setTimeout: (run, ms) => timers.push([now + ms, run]),
    clearTimeout: () => timers.splice(0),
    now: () => now,
  });
  const run = () => {
    const [due, job] = timers.shift();
    now = Math.max(now, due);
    job();
  };
  throttle.put("x", 1);
  run();
  throttle.put("x", 2);
  throttle.put("x", 3);
  throttle.put("y", 1);
  run();
  assert.deepEqual(told, [
    [0, { x: 1 }],
    [100, { x: 3, y: 1 }],
  ]);
});

test("the log shows how long after the one before each event was, within a batch and across", () => {
  const log = createLog();
  const event = (name, ms) => ({ name, node_id: "n1", payload: null, timestamp: at(ms), fired_at: at(ms) });
  log.add([event("a", 0), event("b", 133), event("c", 133)]);
  log.add([event("d", 2_000)]);
  assert.deepEqual(
    log.events.map(({ name, gap_ms, number }) => [name, gap_ms, number]),
    [
      ["a", null, 0],
      ["b", 133, 1],
      ["c", 0, 2],
      ["d", 1_867, 3],
    ],
  );
});

test("the log keeps the newest events, and their numbers and gaps", () => {
  const log = createLog(2);
  const event = (ms) => ({ name: "e", node_id: "n1", payload: null, timestamp: at(ms), fired_at: at(ms) });
  log.add([event(0), event(10), event(30), event(60)]);
  assert.deepEqual(
    log.events.map(({ number, gap_ms }) => [number, gap_ms]),
    [
      [2, 20],
      [3, 30],
    ],
  );
});

test("a time that nobody can read breaks no gap", () => {
  const log = createLog();
  const event = (timestamp) => ({ name: "e", node_id: "n1", payload: null, timestamp, fired_at: timestamp });
  log.add([event(at(0)), event("yesterday"), event(at(500))]);
  assert.deepEqual(log.events.map(({ gap_ms }) => gap_ms), [null, null, 500]);
});

test("gaps and times of day are for reading", () => {
  assert.deepEqual(
    [null, 0, 133, 59_999, 125_000, 3_725_000].map(gapText),
    ["", "+0.000 s", "+0.133 s", "+59.999 s", "+2:05", "+1:02:05"],
  );
  assert.match(clockText(at(7)), /^\d\d:\d\d:00\.007$/);
  assert.equal(clockText("never"), "");
});

test("an editor's id is read aloud in hiragana, a chosen name stays itself", () => {
  assert.equal(labelOf(`0123ef${"0".repeat(26)}`), "いしかたくき");
  assert.deepEqual(["Ada", "0123ef", "3年2組"].map(nameOf), ["Ada", "0123ef", "3年2組"]);
  assert.match(makeId(), /^[0-9a-f]{32}$/);
});

const group = { id: "g", domain: "d", host_id: "host", use_websocket: true, ended: null };
const look = (more = {}) => ({ group, nodes: [], statuses: [], events: [], server_time: at(0), ...more });
const joined = (id, ms) => ({ id, use_websocket: true, joined_at: at(ms), seen_at: at(ms) });
const status = (node_id, ms, values) => ({
  node_id,
  timestamp: at(ms),
  values: Object.entries(values).map(([key, value]) => ({ key, value })),
});

test("a look and what follows it make the same room, though some of it comes twice", () => {
  const room = new Room(look({ nodes: [joined("a", 0)], statuses: [status("a", 20, { x: "2" })] }));
  room.apply("mesh.status_reported", status("a", 10, { x: "1", y: "9" }));
  assert.equal(room.nodes.get("a").values.get("x").value, "2");
  room.apply("mesh.status_reported", status("a", 30, { x: "3" }));
  const { values, seen_at } = room.nodes.get("a");
  assert.deepEqual([values.get("x").value, values.get("y").value, seen_at], ["3", "9", at(30)]);
});

test("the host comes first and is no node, then who joined, in their order", () => {
  const room = new Room(look({ nodes: [joined("b", 10), joined("a", 20)], statuses: [status("host", 30, { x: "1" })] }));
  room.apply("mesh.status_reported", status("stranger", 40, { x: "1" }));
  assert.deepEqual(room.list.map(({ id }) => id), ["host", "b", "a", "stranger"]);
  assert.equal(room.joined, 2);
});

test("who left is gone, though an older look still has them; who came after it stays", () => {
  const room = new Room(look({ nodes: [joined("a", 0)] }));
  room.apply("mesh.node_left", { node_id: "a", timestamp: at(100) });
  room.apply("mesh.node_joined", { node_id: "b", use_websocket: false, timestamp: at(200) });
  room.refresh(look({ nodes: [joined("a", 0)], server_time: at(90) }));
  assert.deepEqual(room.list.map(({ id }) => id), ["b"]);
});

test("whose lease ran out is gone at the next look", () => {
  const room = new Room(look({ nodes: [joined("a", 0), joined("b", 0)] }));
  room.refresh(look({ nodes: [joined("b", 0)], server_time: at(900_000) }));
  assert.deepEqual(room.list.map(({ id }) => id), ["b"]);
});

test("after the end nothing changes any more", () => {
  const room = new Room(look({ nodes: [joined("a", 0)] }));
  room.apply("mesh.group_dissolved", { message: "", timestamp: at(10) });
  room.apply("mesh.node_left", { node_id: "a", timestamp: at(20) });
  assert.deepEqual([room.ended, room.nodes.size], ["host", 1]);
});

test("what was known at the end is shown on, though the server has forgotten it", () => {
  const room = new Room(look({ nodes: [joined("a", 0)] }));
  room.refresh(look({ group: { ...group, ended: "time" }, server_time: at(900_000) }));
  assert.deepEqual([room.ended, room.nodes.size], ["time", 1]);
});
