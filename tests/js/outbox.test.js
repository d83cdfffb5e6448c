import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MeshsiteError } from "../../clients/js/meshsite.js";
import { Kept, forgetAll } from "../../static/js/kept.js";
import { Outbox } from "../../static/js/outbox.js";
import { Store, applyBoot, applyEvent, pendingOf } from "../../static/js/store.js";
import { Clock, MemoryStorage, settled } from "./fakes.js";

const ada = { id: 1, username: "ada", display_name: "Ada", avatar_url: null };
const GENERAL = 5;
const channel = { id: GENERAL, workspace_id: 3, rev: 0, last_read_id: 0, unread_count: 0, mention_count: 0, latest_message_id: 0 };
const BOOT = { me: ada, epoch: "e_1", seq: 0, workspaces: [], channels: [channel] };

let clock, storage, server, store, outbox, emit;

/** A server that keeps messages by their key, and answers as a test says. */
class Server {
  messages = [];
  calls = [];
  /** What happens instead of an answer, one after the other; "lost" is an answer that does not come back. */
  troubles = [];

  call = async (method, params) => {
    this.calls.push(params);
    const trouble = this.troubles.shift();
    if (trouble instanceof MeshsiteError) throw trouble;
    let message = this.messages.find(({ client_msg_id }) => client_msg_id === params.client_msg_id);
    if (!message) {
      const id = this.messages.length + 1;
      message = { id, rev: id, author: ada, deleted: false, html: "", ...params };
      this.messages.push(message);
    }
    if (trouble === "lost") throw new MeshsiteError({ code: "timeout" });
    return { message };
  };
}

beforeEach(() => {
  clock = new Clock();
  storage = new MemoryStorage();
  server = new Server();
  open();
});

/** A page, as a reload makes it anew. */
function open() {
  const listeners = {};
  emit = (name, detail) => listeners[name]?.(detail);
  store = new Store();
  outbox = new Outbox({
    store,
    client: { call: (...args) => server.call(...args), on: (name, listener) => (listeners[name] = listener) },
    keptOf: (user_id) => new Kept({ user_id, storage }),
    explain: (error) => error.detail,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    random: () => 1,
    now: () => Date.parse("2026-11-21T09:00:00Z") + clock.now(),
  });
}

async function boot(more = {}) {
  store.update((state) => applyBoot(state, { ...BOOT, ...more }));
  await settled();
}

const write = (body, more = {}) => outbox.write({ channel_id: GENERAL, body, ...more });
const pending = () => pendingOf(store.state, GENERAL).map(({ body, status }) => `${body} ${status}`);
const arrived = () => server.messages.map(({ body }) => body);
const kept = () => new Kept({ user_id: ada.id, storage }).messages().map(({ body }) => body);
const trouble = (code, more = {}) => new MeshsiteError({ code, ...more });

test("a message is there at once, and no longer on its way when the answer comes", async () => {
  await boot();
  write("hello");
  assert.deepEqual(pending(), ["hello sending"]);
  await settled();
  assert.deepEqual([pending(), arrived(), kept()], [[], ["hello"], []]);
});

test("messages arrive one after the other in the order in which they were written", async () => {
  await boot();
  server.troubles = [trouble("unreachable")];
  for (const body of ["one", "two", "three"]) write(body);
  await settled();
  assert.deepEqual(pending(), ["one waiting", "two sending", "three sending"]);
  clock.pass(1_000);
  await settled();
  assert.deepEqual(arrived(), ["one", "two", "three"]);
});

test("an answer that is lost is asked for again with the same key, and nothing arrives twice", async () => {
  await boot();
  server.troubles = ["lost"];
  write("once");
  await settled();
  clock.pass(1_000);
  await settled();
  assert.equal(server.calls[0].client_msg_id, server.calls[1].client_msg_id);
  assert.deepEqual([arrived(), pending()], [["once"], []]);
});

test("the event may come before the answer", async () => {
  await boot();
  server.troubles = ["lost"];
  const { client_msg_id } = write("once");
  await settled();
  store.update((state) => applyEvent(state, "message.created", { message: { ...server.messages[0], client_msg_id } }));
  await settled();
  assert.deepEqual([pending(), kept()], [[], []]);
  clock.pass(60_000);
  await settled();
  assert.equal(server.calls.length, 1);
});

test("it waits longer each time, and not at all when the connection is back", async () => {
  await boot();
  server.troubles = Array.from({ length: 4 }, () => trouble("unreachable"));
  write("patience");
  await settled();
  for (const [ms, calls] of [[999, 1], [1, 2], [1_999, 2], [1, 3], [3_999, 3]]) {
    clock.pass(ms);
    await settled();
    assert.equal(server.calls.length, calls);
  }
  emit("state", { state: "live" });
  await settled();
  assert.equal(server.calls.length, 4);
});

test("who is too fast waits as long as the server asks", async () => {
  await boot();
  server.troubles = [trouble("rate_limited", { status: 429, retry_after: 5 })];
  write("quick");
  await settled();
  assert.deepEqual(pending(), ["quick waiting"]);
  clock.pass(4_900);
  await settled();
  assert.equal(server.calls.length, 1);
  clock.pass(1_100);
  await settled();
  assert.deepEqual(arrived(), ["quick"]);
});

test("a refusal is said at its message, holds up no other, and can be tried again or discarded", async () => {
  await boot();
  server.troubles = [trouble("permission_denied", { status: 403, detail: "No." })];
  const { client_msg_id } = write("refused");
  write("fine");
  await settled();
  assert.deepEqual([pending(), arrived()], [["refused failed"], ["fine"]]);
  assert.equal(store.state.pending[client_msg_id].error, "No.");
  outbox.retry(client_msg_id);
  await settled();
  assert.deepEqual(arrived(), ["fine", "refused"]);
  server.troubles = [trouble("permission_denied", { status: 403 })];
  const other = write("never mind");
  await settled();
  outbox.discard(other.client_msg_id);
  assert.deepEqual([pending(), kept()], [[], []]);
});

test("a server that fails at a message is asked a few times, and then the message says so", async () => {
  await boot();
  server.troubles = Array.from({ length: 5 }, () => trouble("internal_error", { status: 500 }));
  write("cursed");
  await settled();
  for (let count = 0; count < 6; count++) {
    clock.pass(30_000);
    await settled();
  }
  assert.deepEqual([pending(), server.calls.length], [["cursed failed"], 5]);
});

test("so many names have to be confirmed, and are sent with the same key then", async () => {
  await boot();
  server.troubles = [trouble("mention_unconfirmed", { status: 409, detail: "40 people" })];
  const asked = [];
  outbox.onUnconfirmed = (message, error) => asked.push(`${message.body}: ${error.detail}`);
  const { client_msg_id } = write("@channel lunch");
  await settled();
  assert.deepEqual(asked, ["@channel lunch: 40 people"]);
  outbox.retry(client_msg_id, { confirm_mentions: true });
  await settled();
  assert.deepEqual([server.calls[1].confirm_mentions, server.calls[1].client_msg_id], [true, client_msg_id]);
});

test("a reply goes into its thread", async () => {
  await boot();
  write("indeed", { thread_root_id: 9 });
  await settled();
  assert.equal(server.calls[0].thread_root_id, 9);
});

test("what was on its way is so after a reload, with the same keys and in order", async () => {
  await boot();
  server.troubles = ["lost"];
  write("one");
  await settled();
  clock.pass(10);
  write("two");
  await settled();
  const keys = Object.keys(store.state.pending);
  open();
  await boot();
  assert.deepEqual(arrived(), ["one", "two"]);
  assert.deepEqual(server.messages.map(({ client_msg_id }) => client_msg_id), keys);
  assert.deepEqual([pending(), kept()], [[], []]);
});

test("what was refused stays refused over a reload, and what the server may have forgotten is not sent by itself", async () => {
  await boot();
  server.troubles = [trouble("permission_denied", { status: 403 })];
  write("refused");
  await settled();
  const week_ago = { client_msg_id: "k", channel_id: GENERAL, body: "old", created_at: "2026-11-14T09:00:00Z", status: "waiting", error: "" };
  new Kept({ user_id: ada.id, storage }).keepMessage(week_ago);
  open();
  await boot();
  assert.deepEqual(pending(), ["old failed", "refused failed"]);
  assert.equal(server.calls.length, 1);
});

test("nobody else finds it, and after a sign-out nobody at all", async () => {
  await boot();
  server.troubles = [trouble("unreachable")];
  write("private");
  await settled();
  open();
  await boot({ me: { ...ada, id: 2 } });
  assert.deepEqual(pending(), []);
  assert.deepEqual(kept(), ["private"]);
  forgetAll(storage);
  assert.deepEqual(kept(), []);
});

test("what fails after the sign-out is not kept again", async () => {
  await boot();
  let fail;
  server.call = () => new Promise((_, reject) => (fail = reject));
  write("private");
  await settled();
  outbox.close();
  forgetAll(storage);
  fail(trouble("unreachable"));
  await settled();
  assert.deepEqual([kept(), storage.length], [[], 0]);
});

test("what was written in a channel that is gone after a reload is gone too", async () => {
  await boot();
  server.troubles = [trouble("unreachable"), trouble("not_found", { status: 404 })];
  write("too late");
  await settled();
  open();
  await boot({ channels: [] });
  assert.deepEqual([Object.keys(store.state.pending), kept()], [[], []]);
});

test("what another tab settled is settled here", async () => {
  await boot();
  server.troubles = [trouble("unreachable")];
  const { client_msg_id } = write("one");
  await settled();
  outbox.heard({ key: `meshsite.outbox.1.${client_msg_id}`, newValue: "{}" });
  assert.deepEqual(pending(), ["one waiting"]);
  outbox.heard({ key: `meshsite.outbox.1.${client_msg_id}`, newValue: null });
  assert.deepEqual(pending(), []);
});

test("a channel that is lost takes its messages along", async () => {
  await boot();
  server.troubles = [trouble("unreachable")];
  write("too late");
  await settled();
  store.update((state) => applyEvent(state, "channel.removed", { channel_id: GENERAL }));
  await settled();
  assert.deepEqual(kept(), []);
});

test("drafts are kept per place, the newest fifty of them", () => {
  const drafts = new Kept({ user_id: 1, storage });
  for (let place = 0; place < 60; place++) drafts.keepDraft(`c${place}`, `draft ${place}`);
  assert.deepEqual([drafts.draft("c9"), drafts.draft("c10"), drafts.draft("c59")], ["", "draft 10", "draft 59"]);
  drafts.keepDraft("c59", "");
  assert.equal(drafts.draft("c59"), "");
  assert.equal(new Kept({ user_id: 2, storage }).draft("c58"), "");
});

test("a full or broken storage loses no message that is on the page", async () => {
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  storage.items.set("meshsite.outbox.1.x", "no json");
  await boot();
  write("hello");
  await settled();
  assert.deepEqual(arrived(), ["hello"]);
});
