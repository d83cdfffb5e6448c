import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MeshsiteError } from "../../clients/js/meshsite.js";
import { Store } from "../../static/js/store.js";
import { Sync } from "../../static/js/sync.js";
import { settled } from "./fakes.js";

const ada = { id: 1, username: "ada", display_name: "Ada", avatar_url: null };
const bob = { id: 2, username: "bob", display_name: "Bob", avatar_url: null };
const GENERAL = 5;
const QUIET = 6;

/** A server whose channels a test changes. Every change has a rev, and is an event for who listens. */
class Server {
  seq = 0;
  next_id = 1;
  channels = new Map([GENERAL, QUIET].map((id) => [id, { id, rev: 0, messages: [], member: true }]));
  asked = [];
  /** Runs before the answer to a method is given. */
  before = {};

  send(channel_id, author = bob) {
    return this.#change(channel_id, { id: this.next_id++, channel_id, author, deleted: false, client_msg_id: null }, "created");
  }

  edit(message, body) {
    return this.#change(message.channel_id, { ...this.#now(message), body }, "updated");
  }

  erase(message) {
    return this.#change(message.channel_id, { ...this.#now(message), body: "", deleted: true }, "deleted");
  }

  #now({ channel_id, id }) {
    return this.channels.get(channel_id).messages.find((message) => message.id === id);
  }

  #change(channel_id, change, what) {
    const channel = this.channels.get(channel_id);
    const message = { body: `message ${change.id}`, html: "", ...change, rev: ++channel.rev };
    channel.messages = [...channel.messages.filter(({ id }) => id !== message.id), message].sort((a, b) => a.id - b.id);
    // As older servers say it: without the author.
    const data = what === "deleted" ? { message_id: message.id, channel_id, rev: message.rev } : { message };
    return { ...message, frame: { seq: ++this.seq, event: `message.${what}`, data } };
  }

  row({ id, rev, messages }) {
    const unread = messages.filter((message) => message.author !== ada && !message.deleted).length;
    const counts = { last_read_id: 0, unread_count: unread, mention_count: 0, latest_message_id: messages.at(-1)?.id ?? 0 };
    return { id, rev, workspace_id: 3, kind: "public", name: `channel ${id}`, ...counts };
  }

  get rows() {
    return [...this.channels.values()].filter(({ member }) => member).map((channel) => this.row(channel));
  }

  call = async (method, params = {}) => {
    this.asked.push(method === "message.changes" ? `changes of ${params.channel_id} since ${params.since_rev}` : method);
    const answer = this[method]?.(params) ?? {};
    await this.before[method]?.(params);
    return answer;
  };

  "client.boot"() {
    return { me: ada, epoch: "e_1", seq: this.seq, workspaces: [], channels: this.rows };
  }

  "channel.list"() {
    return { channels: this.rows };
  }

  "message.list"({ channel_id, limit, before_id = Infinity, since_id, around_id }) {
    const all = this.channels.get(channel_id).messages.filter(({ deleted }) => !deleted);
    if (since_id !== undefined) {
      const after = all.filter(({ id }) => id > since_id);
      return { messages: after.slice(0, limit), has_more: after.length > limit };
    }
    if (around_id !== undefined) {
      const at = all.filter(({ id }) => id < around_id).length;
      const from = Math.max(0, at - limit / 2);
      return { messages: all.slice(from, at + limit / 2), has_more: true };
    }
    const shown = this.channels.get(channel_id).messages.filter(({ id, deleted }) => !deleted && id < before_id);
    return { messages: shown.slice(-limit), has_more: shown.length > limit };
  }

  "message.changes"({ channel_id, since_rev, limit }) {
    const { member, messages, rev } = this.channels.get(channel_id);
    if (!member) throw new MeshsiteError({ code: "not_found", status: 404 });
    const changed = messages.filter((message) => message.rev > since_rev).sort((a, b) => a.rev - b.rev);
    const page = changed.slice(0, limit);
    const has_more = changed.length > limit;
    return { changes: page, rev: has_more ? page.at(-1).rev : rev, has_more };
  }
}

let server, store, sync, navigation, waits, emit;

beforeEach(() => {
  server = new Server();
  store = new Store();
  waits = [];
  const listeners = {};
  navigation = {
    channel_id: GENERAL,
    channelAfter: (boot) => (boot.channels.some(({ id }) => id === navigation.channel_id) ? navigation.channel_id : null),
  };
  emit = (name, detail) => listeners[name]?.(detail);
  sync = new Sync({
    store,
    navigation,
    client: { on: (name, listener) => (listeners[name] = listener) },
    api: server.call,
    wait: (ms) => new Promise((done) => waits.push({ ms, done })),
  });
});

const hear = (...changes) => changes.forEach(({ frame }) => emit("event", frame));
const shown = (channel_id = GENERAL) =>
  store.state.timelines[channel_id]?.messages.filter(({ deleted }) => !deleted).map(({ body }) => body);
const stored = (channel_id = GENERAL) =>
  server.channels.get(channel_id).messages.filter(({ deleted }) => !deleted).map(({ body }) => body);
const unread = (channel_id) => store.state.channels[channel_id].unread_count;

async function open(channel_id) {
  navigation.channel_id = channel_id;
  await sync.loadOpenChannel();
}

async function begin(count = 3) {
  const messages = Array.from({ length: count }, () => server.send(GENERAL));
  emit("hello", {});
  await settled();
  return messages;
}

test("a page begins with a boot and the newest messages of the channel it is at", async () => {
  await begin();
  assert.deepEqual(shown(), stored());
});

test("a boot that was made without a connection is made again when there is one", async () => {
  server.send(GENERAL);
  emit("state", { state: "reconnecting" });
  await settled();
  server.send(GENERAL);
  emit("hello", {});
  await settled();
  assert.deepEqual(shown(), stored());
});

test("after a gap edits, deletions and new messages are as in a fresh load", async () => {
  const [first, second] = await begin();
  server.edit(first, "edited");
  server.erase(second);
  server.send(GENERAL);
  server.erase(server.send(GENERAL));
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored());
  assert.deepEqual(shown(), ["edited", "message 3", "message 4"]);
  assert.equal(unread(GENERAL), 3);
});

test("after a gap older messages that were loaded stay, and are up to date too", async () => {
  const messages = await begin(120);
  await sync.loadOlder(GENERAL);
  assert.equal(shown().length, 100);
  server.edit(messages[30], "an old one, edited");
  server.edit(messages[2], "one that is not loaded");
  server.send(GENERAL);
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored().slice(20));
  await sync.loadOlder(GENERAL);
  assert.deepEqual(shown(), stored());
});

test("every channel with loaded messages is caught up, the others are not asked for", async () => {
  await begin();
  server.send(QUIET);
  emit("resync");
  await settled();
  assert.deepEqual(server.asked.filter((what) => what.startsWith("changes")), []);
  await open(QUIET);
  server.send(GENERAL);
  server.send(QUIET);
  server.asked.length = 0;
  emit("resync");
  await settled();
  assert.deepEqual(server.asked.slice(0, 3), ["client.boot", "changes of 5 since 3", "changes of 6 since 1"]);
  assert.deepEqual([shown(GENERAL), shown(QUIET)], [stored(GENERAL), stored(QUIET)]);
});

test("many changes are fetched page by page", async () => {
  const [first] = await begin();
  for (let count = 0; count < 450; count++) server.send(GENERAL);
  server.edit(first, "edited last");
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored());
  assert.equal(server.asked.filter((what) => what.startsWith("changes")).length, 3);
});

test("too many changes load the newest messages anew", async () => {
  await begin();
  for (let count = 0; count < 2_100; count++) server.send(GENERAL);
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored().slice(-50));
});

test("events that come while it catches up are applied after it", async () => {
  const [first] = await begin();
  server.send(GENERAL);
  const live = [];
  server.before["message.changes"] = () => {
    live.push(server.send(GENERAL), server.erase(first));
    hear(...live);
  };
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored());
  assert.equal(live.length, 2);
});

test("a gap while it catches up begins anew, and loses nothing of the first", async () => {
  const [first] = await begin();
  server.edit(first, "edited in the first gap");
  let once = true;
  server.before["message.changes"] = () => {
    if (!once) return;
    once = false;
    server.send(GENERAL);
    emit("resync");
  };
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored());
});

test("events of an epoch that is over are not applied to the next", async () => {
  await begin();
  server.before["client.boot"] = () => {
    delete server.before["client.boot"];
    emit("event", { seq: 9_000, event: "channel.removed", data: { channel_id: GENERAL } });
    emit("resync");
  };
  emit("resync");
  await settled();
  assert.ok(store.state.channels[GENERAL]);
});

test("what failed on the way is tried again", async () => {
  await begin();
  server.send(GENERAL);
  server.before["message.changes"] = () => {
    delete server.before["message.changes"];
    throw new MeshsiteError({ code: "unreachable" });
  };
  emit("resync");
  await settled();
  assert.deepEqual(waits.map(({ ms }) => ms), [1_000]);
  waits[0].done();
  await settled();
  assert.deepEqual(shown(), stored());
});

test("a channel that its reader lost meanwhile holds nothing up", async () => {
  await begin();
  await open(QUIET);
  server.send(GENERAL);
  server.before["client.boot"] = () => (server.channels.get(GENERAL).member = false);
  emit("resync");
  await settled();
  assert.equal(shown(GENERAL), undefined);
  assert.deepEqual(shown(QUIET), []);
});

test("a first page that is on its way during a gap is asked for again", async () => {
  await begin();
  let release;
  server.before["message.list"] = () => new Promise((done) => (release = done));
  open(QUIET);
  await settled();
  delete server.before["message.list"];
  server.send(QUIET);
  emit("resync");
  await settled();
  release();
  await settled();
  assert.deepEqual(shown(QUIET), stored(QUIET));
});

test("an older page that comes after what it belonged to was replaced leaves no hole", async () => {
  await begin(120);
  for (let count = 0; count < 2_100; count++) server.send(GENERAL);
  let release;
  server.before["client.boot"] = async () => {
    server.before["message.list"] = () => new Promise((done) => (release = done));
    sync.loadOlder(GENERAL);
    await settled();
    delete server.before["message.list"];
  };
  emit("resync");
  await settled();
  await settled();
  release();
  await settled();
  assert.deepEqual(shown(), stored().slice(-50));
});

test("an event that overtakes the page it concerns is not undone by it", async () => {
  await begin();
  const [one, two] = [server.send(QUIET), server.send(QUIET)];
  server.before["message.list"] = () => hear(server.edit(one, "edited"), server.erase(two), server.send(QUIET));
  hear(one, two);
  await open(QUIET);
  assert.deepEqual(shown(QUIET), stored(QUIET));
});

test("a deletion whose author is not known asks for the counts, once for many", async () => {
  await begin();
  const messages = [server.send(QUIET), server.send(QUIET), server.send(QUIET, ada)];
  hear(...messages);
  hear(server.erase(messages[0]), server.erase(messages[2]));
  assert.equal(unread(QUIET), 2);
  waits[0].done();
  await settled();
  assert.equal(unread(QUIET), 1);
  assert.equal(server.asked.filter((what) => what === "channel.list").length, 1);
});

test("counts that are older than the events are brought to now by them", async () => {
  await begin();
  const messages = [server.send(QUIET), server.send(QUIET)];
  hear(...messages, server.erase(messages[0]));
  server.before["channel.list"] = () => hear(server.send(QUIET));
  waits.shift().done();
  await settled();
  assert.equal(unread(QUIET), 2);
});

test("counts that are older than what is doubted are asked for again", async () => {
  await begin();
  const messages = [server.send(QUIET), server.send(QUIET)];
  hear(...messages, server.erase(messages[0]));
  server.before["channel.list"] = () => {
    delete server.before["channel.list"];
    hear(server.erase(messages[1]));
  };
  waits.shift().done();
  await settled();
  assert.equal(unread(QUIET), 1);
  waits.shift().done();
  await settled();
  assert.equal(unread(QUIET), 0);
});

test("after a replay that broke off nothing is missed, though its events carried newer revs", async () => {
  const [first, second] = await begin();
  // Replayed, the first event carries what its message became in the end; the second was lost with the connection.
  const before = server.edit(first, "once");
  server.edit(second, "missed");
  const now = server.edit(first, "twice");
  hear({ frame: { ...before.frame, data: { message: { ...now, frame: undefined } } } });
  emit("resync");
  await settled();
  assert.deepEqual(shown(), stored());
  assert.ok(shown().includes("missed"));
});

test("what the server called whole is not asked for again", async () => {
  const [first] = await begin();
  server.edit(first, "edited");
  emit("resync");
  await settled();
  server.send(GENERAL);
  server.asked.length = 0;
  emit("resync");
  await settled();
  assert.ok(server.asked.includes("changes of 5 since 4"));
});

test("an address of an old message loads what is around it, and the rest when it is scrolled to", async () => {
  for (let count = 0; count < 200; count++) server.send(GENERAL);
  navigation.message_id = 60;
  emit("hello", {});
  await settled();
  assert.ok(shown().includes("message 60"));
  assert.ok(!shown().includes("message 200"));
  navigation.message_id = null;
  await sync.loadNewer(GENERAL);
  await sync.loadOlder(GENERAL);
  assert.deepEqual(shown(), stored().slice(0, 134));
  await sync.loadNewest(GENERAL);
  assert.deepEqual(shown(), stored().slice(-50));
});

test("an address of a message that is loaded, or deleted, loads nothing", async () => {
  const [first] = await begin();
  hear(server.erase(first));
  server.asked.length = 0;
  for (const message_id of [1, 2]) {
    navigation.message_id = message_id;
    await sync.loadOpenChannel();
  }
  assert.deepEqual(server.asked, []);
});

test("a gap keeps an old place up to date, and what is after it away", async () => {
  for (let count = 0; count < 200; count++) server.send(GENERAL);
  navigation.message_id = 60;
  emit("hello", {});
  await settled();
  navigation.message_id = null;
  server.edit({ channel_id: GENERAL, id: 60 }, "edited");
  server.send(GENERAL);
  emit("resync");
  await settled();
  assert.ok(shown().includes("edited"));
  assert.ok(!shown().includes("message 201"));
  assert.equal(store.state.timelines[GENERAL].has_newer, true);
});

test("an open thread is loaded once, and again after a gap", async () => {
  const [root] = await begin();
  server["message.replies"] = () => ({ root, messages: [], has_more: false });
  navigation.thread_id = root.id;
  await sync.loadOpen();
  await sync.loadOpen();
  assert.equal(server.asked.filter((what) => what === "message.replies").length, 1);
  emit("resync");
  await settled();
  assert.equal(store.state.replies[root.id].status, "ready");
  assert.equal(server.asked.filter((what) => what === "message.replies").length, 2);
});

test("who was called something else in a gap is so afterwards", async () => {
  await begin();
  server["channel.members"] = () => ({ members: [{ user: { ...bob, display_name: "Robert" }, role: "member" }] });
  emit("resync");
  await settled();
  assert.equal(store.state.people[bob.id].display_name, "Robert");
});

const joined = (user) => ({ frame: { seq: ++server.seq, event: "workspace.member_joined", data: { workspace: { id: 3 }, user } } });

test("who comes into a workspace asks who is there, and nobody does for somebody else", async () => {
  await begin();
  server["presence.list"] = () => ({ presence: [{ user_id: 2, status: "away", version: 4 }] });
  hear(joined(bob));
  await settled();
  assert.deepEqual(store.state.presence, {});
  hear(joined(ada));
  await settled();
  assert.equal(store.state.presence[2].status, "away");
});

/** How often presence is asked for while somebody with this role is put into a channel into which others come later. */
async function asksWhoIsThereAs(role) {
  const boot = server["client.boot"]();
  server["client.boot"] = () => ({ ...boot, workspaces: [{ id: 3, role }] });
  server["presence.list"] = () => ({ presence: [{ user_id: 2, status: "away", version: 4 }] });
  await begin();
  const tell = (event, channel) => hear({ frame: { seq: ++server.seq, event, data: { channel: { id: 9, workspace_id: 3, ...channel } } } });
  tell("channel.added", { kind: "private", name: "den", member_count: 2, rev: 1 });
  tell("channel.updated", { name: "den", member_count: 40, rev: 2 });
  tell("channel.updated", { name: "lair", member_count: 40, rev: 3 });
  await settled();
  return server.asked.filter((what) => what === "presence.list").length;
}

test("a guest asks who is there when a channel shows them people", async () => {
  assert.equal(await asksWhoIsThereAs("guest"), 2);
  assert.equal(store.state.presence[2].status, "away");
});

test("a member, who sees everybody already, does not ask who is there for a channel", async () => {
  assert.equal(await asksWhoIsThereAs("member"), 0);
});

test("the names of a channel's members are asked for once, and again after a new beginning", async () => {
  await begin();
  server["channel.members"] = () => ({ members: [{ user: bob, role: "member" }] });
  await sync.loadPeople(GENERAL);
  await sync.loadPeople(GENERAL);
  assert.deepEqual(store.state.members[GENERAL], [bob.id]);
  emit("resync");
  await settled();
  await sync.loadPeople(GENERAL);
  assert.equal(server.asked.filter((what) => what === "channel.members").length, 2);
});
