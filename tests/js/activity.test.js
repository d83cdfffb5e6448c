import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Activity } from "../../static/js/activity.js";
import { Clock, settled } from "./fakes.js";

let clock, told, fails, away;

beforeEach(() => {
  clock = new Clock();
  told = [];
  fails = away = false;
});

function activity(away_seconds) {
  const call = async (method, params) => {
    told.push([method, params]);
    if (fails) throw new Error("unreachable");
  };
  return new Activity({ client: { call, session: "s_1" }, awaySeconds: () => away_seconds, declaredAway: () => away, now: clock.now });
}

function useFor(seconds, page) {
  for (let second = 0; second < seconds; second++) {
    page.used();
    clock.pass(1_000);
  }
}

test("use is told at once, and then once a minute", () => {
  useFor(180, activity(300));
  assert.deepEqual(told, Array(3).fill(["presence.set_away", { away: false, session: "s_1" }]));
});

test("who is soon away is told of more often", () => {
  useFor(60, activity(50));
  assert.equal(told.length, 6);
});

test("nothing is told while nobody does anything, and the first use after a pause at once", () => {
  const page = activity(300);
  page.used();
  clock.pass(3_600_000);
  assert.equal(told.length, 1);
  page.used();
  assert.equal(told.length, 2);
});

test("who declared themself away stays it", () => {
  away = true;
  useFor(180, activity(300));
  assert.deepEqual(told, []);
});

test("what did not arrive is told again with the next use, not at every one", async () => {
  const page = activity(300);
  fails = true;
  page.used();
  await settled();
  useFor(9, page);
  assert.equal(told.length, 1);
  clock.pass(1_000);
  page.used();
  assert.equal(told.length, 2);
});
