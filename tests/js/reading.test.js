import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Reading } from "../../static/js/reading.js";
import { EMPTY, Store, applyBoot, applyEvent, applyPage } from "../../static/js/store.js";
import { settled } from "./fakes.js";

const ada = { id: 1, username: "ada", display_name: "Ada", avatar_url: null };
const bob = { id: 2, username: "bob", display_name: "Bob", avatar_url: null };
const GENERAL = 5;

let store, reading, calls, version;

/** Answers wait until a test lets them through. */
const call = (method, { last_read_id }) =>
  new Promise((resolve, reject) => calls.push({ last_read_id, resolve, fail: reject, answer: () => resolve(told(last_read_id)) }));
const told = (last_read_id) => ({ channel_id: GENERAL, last_read_id, version: ++version, unread_count: 0, mention_count: 0, rev: last_read_id });
const message = (id) => ({ id, channel_id: GENERAL, author: bob, html: "", deleted: false, client_msg_id: null, rev: id });
const state = () => store.state.channels[GENERAL];

beforeEach(() => {
  globalThis.document = /** @type {any} */ ({ visibilityState: "visible", hasFocus: () => true });
  calls = [];
  version = 0;
  store = new Store();
  const channel = { id: GENERAL, workspace_id: 3, rev: 10, last_read_id: 10, read_version: 0, unread_count: 0, mention_count: 0, latest_message_id: 10 };
  store.update(() => {
    const booted = applyBoot(EMPTY, { me: ada, epoch: "e", seq: 0, workspaces: [], channels: [channel] });
    return applyPage(booted, GENERAL, { messages: [message(10)], has_more: false });
  });
  const options = { store, client: { call, on: () => {} }, navigation: { channel_id: GENERAL }, timeline: { atEnd: true } };
  reading = new Reading(/** @type {any} */ (options));
});

function hear(event, data) {
  store.update((current) => applyEvent(current, event, data));
  reading.look();
}

test("what is looked at is read at once, and told", async () => {
  hear("message.created", { message: message(11) });
  assert.deepEqual([state().unread_count, calls.map(({ last_read_id }) => last_read_id)], [0, [11]]);
});

test("messages that come faster than answers are told together, and the last one always", async () => {
  for (const id of [11, 12, 13]) hear("message.created", { message: message(id) });
  assert.equal(calls.length, 1);
  // The event is here before the answer.
  hear("read.updated", { ...told(11), version: 1 });
  version = 0;
  calls[0].answer();
  await settled();
  assert.deepEqual(calls.map(({ last_read_id }) => last_read_id), [11, 13]);
  calls[1].answer();
  await settled();
  reading.look();
  assert.deepEqual([calls.length, state().unread_count, state().last_read_id], [2, 0, 13]);
});

test("a server that does not move the cursor is not asked for ever", async () => {
  hear("message.created", { message: message(11) });
  calls[0].resolve({ ...told(10), version: 0 });
  await settled();
  for (let count = 0; count < 5; count++) reading.look();
  assert.equal(calls.length, 1);
});

test("a reading that could not be told is taken back", async () => {
  hear("message.created", { message: message(11) });
  calls[0].fail(new Error("unreachable"));
  await settled();
  assert.deepEqual([state().unread_count, state().last_read_id, state().doubtful], [1, 10, true]);
});

test("what was marked unread is not read by being open, not here and not from another device", async () => {
  hear("message.created", { message: message(11) });
  calls[0].answer();
  await settled();
  hear("read.updated", { ...told(9), unread_count: 2 });
  assert.deepEqual([calls.length, state().unread_count], [1, 2]);
});
