import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MeshsiteError } from "../../clients/js/meshsite.js";
import { TypingRelay, typingText } from "../../static/js/typing.js";
import { Clock, settled } from "./fakes.js";

const GENERAL = 5;
const QUIET = 6;

let clock, told, refusal, typing;

beforeEach(() => {
  clock = new Clock();
  told = [];
  refusal = null;
  const call = async (method, { channel_id, state }) => {
    told.push(`${state} ${channel_id}`);
    if (refusal) throw refusal;
  };
  typing = new TypingRelay({ client: { call }, seconds: () => 6, now: clock.now });
});

function typeFor(seconds) {
  for (let ms = 0; ms < seconds * 1_000; ms += 100) {
    typing.typed(GENERAL);
    clock.pass(100);
  }
}

test("typing is told at once, and while it goes on twice in the time that it is shown", () => {
  typeFor(9);
  assert.deepEqual(told, ["start 5", "start 5", "start 5"]);
});

test("an emptied field is told, once", () => {
  typing.typed(GENERAL);
  typing.stopped();
  typing.stopped();
  assert.deepEqual(told, ["start 5", "stop 5"]);
});

test("what is shown no longer need not be stopped", () => {
  typing.typed(GENERAL);
  clock.pass(6_000);
  typing.stopped();
  assert.deepEqual(told, ["start 5"]);
});

test("a message that was sent is not stopped, and the next one begins at once", () => {
  typing.typed(GENERAL);
  typing.sent();
  typing.stopped();
  typing.typed(GENERAL);
  assert.deepEqual(told, ["start 5", "start 5"]);
});

test("typing in another channel begins at once", () => {
  typing.typed(GENERAL);
  typing.stopped();
  typing.typed(QUIET);
  assert.deepEqual(told, ["start 5", "stop 5", "start 6"]);
});

test("after a refusal it is silent for as long as asked, and longer each time", async () => {
  refusal = new MeshsiteError({ code: "rate_limited", status: 429, retry_after: 20 });
  for (const [silent_s, calls] of [[0, 1], [19, 1], [1, 2], [20, 3], [19, 3]]) {
    clock.pass(silent_s * 1_000);
    typing.typed(GENERAL);
    await settled();
    typing.stopped();
    assert.equal(told.length, calls);
  }
});

test("trouble without a time to wait doubles the pause, and a success ends that", async () => {
  refusal = new MeshsiteError({ code: "unreachable" });
  for (const seconds of [5, 10, 20]) {
    typing.typed(GENERAL);
    await settled();
    const before = told.length;
    clock.pass((seconds - 1) * 1_000);
    typing.typed(GENERAL);
    assert.equal(told.length, before);
    clock.pass(1_000);
  }
  refusal = null;
  typing.typed(GENERAL);
  await settled();
  assert.equal(told.length, 4);
});

test("the line names one and two, and counts no further", () => {
  const [ada, bob, eve] = ["ada", "bob", "eve"].map((username) => ({ username, display_name: "" }));
  assert.equal(typingText([]), "");
  assert.equal(typingText([bob]), "bob is typing");
  assert.equal(typingText([undefined]), "Somebody is typing");
  assert.equal(typingText([ada, bob]), "ada and bob are typing");
  assert.equal(typingText([ada, bob, eve]), "Several people are typing");
});
