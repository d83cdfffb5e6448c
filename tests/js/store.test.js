import assert from "node:assert/strict";
import { test } from "node:test";

import {
  EMPTY,
  Store,
  applyBoot,
  applyChanges,
  applyCounts,
  applyEvent,
  applyEventToMessages,
  applyMessage,
  applyOwnRead,
  applyPage,
  applyPending,
  applyPeople,
  applyPresence,
  applyTimelineStatus,
  applyTyping,
  channelName,
  channelsOf,
  doubtful,
  expireTyping,
  partnerOf,
  patchPending,
  pendingOf,
  typistsOf,
  unreadOf,
} from "../../static/js/store.js";

const ada = { id: 1, username: "ada", display_name: "Ada", avatar_url: null };
const bob = { id: 2, username: "bob", display_name: "Bob", avatar_url: null };
const GENERAL = 5;

const message = (id, author = bob, more = {}) => ({
  id,
  channel_id: GENERAL,
  author,
  body: `message ${id}`,
  html: `<p>message ${id}</p>`,
  created_at: "2026-11-21T09:00:00Z",
  edited_at: null,
  deleted: false,
  reply_count: 0,
  client_msg_id: null,
  rev: id,
  ...more,
});

const channel = (more = {}) => ({
  id: GENERAL,
  workspace_id: 3,
  kind: "public",
  name: "general",
  topic: "",
  archived: false,
  member_count: 2,
  role: "member",
  last_read_id: 10,
  unread_count: 0,
  mention_count: 0,
  latest_message_id: 10,
  rev: 10,
  ...more,
});

const boot = (more = {}) => ({
  me: ada,
  epoch: "e_1",
  seq: 20,
  workspaces: [{ id: 3, name: "Studio", open: false, role: "owner", member_count: 2 }],
  open_workspaces: [{ id: 4, name: "Garden" }],
  channels: [channel()],
  presence: [{ user_id: 2, status: "online", version: 1 }],
  limits: { message_characters: 4000 },
  ...more,
});

const booted = (more) => applyBoot(EMPTY, boot(more));
const opened = (...messages) => applyPage(booted(), GENERAL, { messages, has_more: false });
const created = (state, entry) => applyEvent(state, "message.created", { message: entry });
const unread = (state) => state.channels[GENERAL].unread_count;
const ids = (state) => state.timelines[GENERAL].messages.map(({ id }) => id);

test("somebody's message counts as unread, once", () => {
  const once = created(booted(), message(11));
  assert.equal(unread(once), 1);
  assert.equal(unread(created(once, message(11))), 1);
});

test("an own message is not unread", () => {
  assert.equal(unread(created(booted(), message(11, ada))), 0);
});

test("a message that the boot knows already is not counted again", () => {
  assert.equal(unread(created(booted({ channels: [channel({ latest_message_id: 12, unread_count: 2, rev: 12 })] }), message(12))), 2);
});

test("events appear in an open channel in the order of their ids, however they come", () => {
  const state = [message(12), message(11), message(12)].reduce(applyMessage, opened(message(10)));
  assert.deepEqual(ids(state), [10, 11, 12]);
});

test("an older state of a message changes nothing", () => {
  const edited = applyEvent(opened(message(10)), "message.updated", { message: message(10, bob, { body: "new", rev: 15 }) });
  const late = applyMessage(edited, message(10, bob, { body: "old", rev: 14 }));
  assert.equal(late, edited);
  assert.equal(late.timelines[GENERAL].messages[0].body, "new");
});

test("a deletion erases the text and takes the message out of the count, once", () => {
  const before = created(opened(message(10)), message(11));
  const event = { message_id: 11, channel_id: GENERAL, rev: 12 };
  const after = applyEvent(before, "message.deleted", event);
  assert.deepEqual([after.timelines[GENERAL].messages[1].body, after.timelines[GENERAL].messages[1].html], ["", ""]);
  assert.equal(unread(after), 0);
  assert.equal(applyEvent(after, "message.deleted", event), after);
});

test("a late edit does not bring a deleted message back", () => {
  const deleted = applyEvent(opened(message(10)), "message.deleted", { message_id: 10, channel_id: GENERAL, rev: 12 });
  assert.equal(applyMessage(deleted, message(10, bob, { rev: 11 })), deleted);
});

test("a deletion of what was read, or that the boot knows already, leaves the count", () => {
  const state = booted({ channels: [channel({ unread_count: 2, latest_message_id: 13, rev: 14 })] });
  assert.equal(unread(applyEvent(state, "message.deleted", { message_id: 9, channel_id: GENERAL, rev: 15 })), 2);
  assert.equal(unread(applyEvent(state, "message.deleted", { message_id: 13, channel_id: GENERAL, rev: 14 })), 2);
});

const deletion = (message_id, rev) => ({ message_id, channel_id: GENERAL, rev });
const erase = (state, message_id, rev) => applyEvent(state, "message.deleted", deletion(message_id, rev));

test("a deletion in a channel that was never opened leaves the count in doubt, as its author is not known", () => {
  const state = created(created(booted(), message(11)), message(12));
  const after = erase(state, 11, 13);
  assert.deepEqual([unread(after), doubtful(state), doubtful(after)], [2, false, true]);
});

test("a deletion of what was read, or where nothing is unread, leaves no doubt", () => {
  const state = created(booted(), message(11));
  assert.equal(doubtful(erase(state, 9, 13)), false);
  assert.equal(doubtful(erase(applyOwnRead(state, GENERAL, 11), 12, 13)), false);
});

test("a deletion of an own message is not taken out of the count", () => {
  const after = erase(created(created(opened(message(10)), message(11)), message(12, ada)), 12, 13);
  assert.deepEqual([unread(after), doubtful(after)], [1, false]);
});

test("the server's counts end the doubt, and what they knew is not counted again", () => {
  const asked = erase(created(created(booted(), message(11)), message(12)), 11, 13);
  const told = applyCounts(asked, [channel({ unread_count: 2, latest_message_id: 14, rev: 15 })]);
  assert.deepEqual([unread(told), doubtful(told)], [2, false]);
  assert.equal(unread(created(told, message(14, bob, { rev: 14 }))), 2);
  assert.equal(unread(created(told, message(16))), 3);
});

test("counts from before the deletion, or from before what was read here, settle nothing", () => {
  const asked = erase(created(created(booted(), message(11)), message(12)), 11, 13);
  assert.equal(applyCounts(asked, [channel({ unread_count: 2, rev: 12 })]), asked);
  assert.equal(applyCounts(asked, [channel({ unread_count: 1, rev: 13, last_read_id: 9 })]), asked);
});

test("counts of a channel that nobody doubts, or that is gone, change nothing", () => {
  const state = booted();
  assert.equal(applyCounts(state, [channel({ unread_count: 7, rev: 30 }), channel({ id: 99 })]), state);
});

test("read.updated ends the doubt", () => {
  const asked = erase(created(created(booted(), message(11)), message(12)), 11, 13);
  const read = applyEvent(asked, "read.updated", { channel_id: GENERAL, last_read_id: 10, unread_count: 1, mention_count: 0 });
  assert.deepEqual([unread(read), doubtful(read)], [1, false]);
});

test("read.updated brings the server's counts, and an older one nothing", () => {
  const state = created(created(booted(), message(11)), message(12));
  const read = applyEvent(state, "read.updated", { channel_id: GENERAL, last_read_id: 12, unread_count: 0, mention_count: 0 });
  assert.equal(unread(read), 0);
  assert.equal(applyEvent(read, "read.updated", { channel_id: GENERAL, last_read_id: 11, unread_count: 1, mention_count: 0 }), read);
});

test("an own reading shows at once", () => {
  const state = applyOwnRead(created(booted(), message(11)), GENERAL, 11);
  assert.deepEqual([unread(state), state.channels[GENERAL].last_read_id], [0, 11]);
});

test("a pending message goes when the event or the reply brings it, in either order", () => {
  const pending = { client_msg_id: "k1", channel_id: GENERAL, body: "hi", created_at: "", status: "sending", error: "" };
  const mine = message(11, ada, { client_msg_id: "k1" });
  const waiting = applyPending(opened(message(10)), pending);
  assert.equal(pendingOf(waiting, GENERAL).length, 1);
  const byEvent = created(waiting, mine);
  assert.equal(pendingOf(byEvent, GENERAL).length, 0);
  assert.deepEqual(ids(applyMessage(byEvent, mine)), [10, 11]);
  assert.equal(patchPending(byEvent, "k1", { status: "failed" }), byEvent);
});

test("another person's client_msg_id takes nothing of mine away", () => {
  const pending = { client_msg_id: "k1", channel_id: GENERAL, body: "hi", created_at: "", status: "sending", error: "" };
  const state = created(applyPending(opened(), pending), message(11, bob, { client_msg_id: "k1" }));
  assert.equal(pendingOf(state, GENERAL).length, 1);
});

test("an older page is put before, and its overlap changes nothing", () => {
  const state = applyPage(booted(), GENERAL, { messages: [message(8), message(9)], has_more: true });
  const more = applyPage(state, GENERAL, { messages: [message(6), message(7), message(8)], has_more: false }, { before_id: 8 });
  assert.deepEqual(ids(more), [6, 7, 8, 9]);
  assert.equal(more.timelines[GENERAL].has_more, false);
});

test("the newest page replaces what was loaded and keeps what came live since", () => {
  const old = opened(message(3), message(4));
  const state = applyPage(created(old, message(12)), GENERAL, { messages: [message(10), message(11)], has_more: true });
  assert.deepEqual(ids(state), [10, 11, 12]);
});

test("while the first page is on its way nothing is shown that it may not hold", () => {
  const loading = applyTimelineStatus(booted(), GENERAL, "loading");
  assert.deepEqual(ids(created(loading, message(11))), []);
});

test("events that came while a page was on its way change what it brought, and no count", () => {
  const before = created(booted(), message(11));
  const page = applyPage(before, GENERAL, { messages: [message(9), message(10), message(11)], has_more: true });
  const after = [
    ["message.updated", { message: message(9, bob, { body: "new", rev: 12 }) }],
    ["message.deleted", deletion(10, 13)],
    ["message.created", { message: message(14) }],
    ["read.updated", { channel_id: GENERAL, last_read_id: 11, unread_count: 0, mention_count: 0 }],
  ].reduce((state, [event, data]) => applyEventToMessages(state, event, data), page);
  assert.deepEqual(after.timelines[GENERAL].messages.map(({ body }) => body), ["new", "", "message 11", "message 14"]);
  assert.equal(unread(after), 1);
});

const timeline = (messages, has_more = true) => ({ messages, has_more, status: "ready" });

test("changes replace, erase and append what is shown, and keep what is not touched", () => {
  const changes = [
    message(9, bob, { body: "edited", rev: 21 }),
    message(10, bob, { body: "", html: "", deleted: true, rev: 22 }),
    message(12, bob, { rev: 23 }),
  ];
  const state = applyChanges(booted(), GENERAL, timeline([message(8), message(9), message(10)]), changes);
  const shown = state.timelines[GENERAL].messages.filter(({ deleted }) => !deleted);
  assert.deepEqual(shown.map(({ body }) => body), ["message 8", "edited", "message 12"]);
  assert.deepEqual([state.timelines[GENERAL].has_more, state.timelines[GENERAL].status], [true, "ready"]);
});

test("changes of messages before what is loaded wait for their page", () => {
  const old = message(3, bob, { rev: 30 });
  assert.deepEqual(ids(applyChanges(booted(), GENERAL, timeline([message(8)]), [old])), [8]);
  assert.deepEqual(ids(applyChanges(booted(), GENERAL, timeline([message(8)], false), [old])), [3, 8]);
});

test("a change that is older than what is shown changes nothing", () => {
  const known = message(8, bob, { body: "newest", rev: 40 });
  const state = applyChanges(booted(), GENERAL, timeline([known]), [message(8, bob, { body: "older", rev: 39 })]);
  assert.equal(state.timelines[GENERAL].messages[0].body, "newest");
});

test("a change of a message that is not loaded yet waits for its page", () => {
  const state = applyPage(booted(), GENERAL, { messages: [message(8), message(9)], has_more: true });
  assert.equal(applyMessage(state, message(2, bob, { rev: 30 })), state);
});

test("a channel comes and goes with its events", () => {
  const other = channel({ id: 6, name: "quiet" });
  const added = applyEvent(booted(), "channel.added", { channel: other });
  assert.deepEqual(channelsOf(added, 3, ["public"]).map(({ id }) => id), [GENERAL, 6]);
  const removed = applyEvent(added, "channel.removed", { channel_id: 6 });
  assert.deepEqual(channelsOf(removed, 3, ["public"]).map(({ id }) => id), [GENERAL]);
  assert.equal(applyEvent(removed, "channel.removed", { channel_id: 6 }), removed);
});

test("members who come and go change the count", () => {
  const state = applyEvent(booted(), "channel.member_joined", { channel_id: GENERAL, user: bob, member_count: 3 });
  assert.equal(state.channels[GENERAL].member_count, 3);
});

test("joining a workspace elsewhere shows it here", () => {
  const workspace = { id: 4, name: "Garden", open: true, member_count: 2 };
  const state = applyEvent(booted(), "workspace.member_joined", { workspace, user: ada, role: "member" });
  assert.deepEqual(state.workspaces[4], { ...workspace, role: "member" });
  assert.deepEqual(state.open_workspaces, []);
});

test("somebody else who joins does not change my role", () => {
  const workspace = { id: 3, name: "Studio", open: false, member_count: 3 };
  const state = applyEvent(booted(), "workspace.member_joined", { workspace, user: bob, role: "member" });
  assert.deepEqual([state.workspaces[3].role, state.workspaces[3].member_count], ["owner", 3]);
});

test("leaving a workspace takes its channels along", () => {
  const state = applyEvent(booted(), "workspace.member_left", { workspace_id: 3, user_id: ada.id });
  assert.deepEqual([state.workspaces, state.channels], [{}, {}]);
});

test("presence follows its version", () => {
  const state = applyEvent(booted(), "presence.updated", { user_id: 2, status: "offline", version: 3 });
  assert.equal(state.presence[2].status, "offline");
  assert.equal(applyEvent(state, "presence.updated", { user_id: 2, status: "online", version: 2 }), state);
});

test("an unknown event changes nothing", () => {
  const state = booted();
  assert.equal(applyEvent(state, "weather.updated", {}), state);
});

const presence = (status, version, more = {}) => ({ user_id: 2, status, status_text: "", status_emoji: "", version, ...more });

test("presence follows its version: an older one changes nothing", () => {
  const away = applyEvent(booted(), "presence.updated", presence("away", 5, { status_text: "At lunch" }));
  assert.deepEqual(away.presence[2], presence("away", 5, { status_text: "At lunch" }));
  assert.equal(applyEvent(away, "presence.updated", presence("online", 4)), away);
  assert.equal(applyEvent(away, "presence.updated", presence("offline", 6)).presence[2].status, "offline");
});

test("the answer to an own change counts, although its event is still to come", () => {
  const state = applyPresence(booted(), presence("online", 1, { status_text: "Back at two" }));
  assert.equal(state.presence[2].status_text, "Back at two");
});

test("a direct channel of two is about the other one, one of three about nobody alone", () => {
  const eve = { id: 3, username: "eve" };
  const direct = (...members) => channel({ kind: "direct", name: "", members });
  assert.equal(partnerOf(booted(), direct(ada, bob)), bob);
  assert.equal(partnerOf(booted(), direct(ada)), ada);
  assert.equal(partnerOf(booted(), direct(ada, bob, eve)), null);
  assert.equal(partnerOf(booted(), channel()), null);
});

const types = (state, user_ids, more = {}) => applyTyping(state, { channel_id: GENERAL, user_ids, expires_in: 6, ...more }, 1_000);
const typists = (state) => state.typing[GENERAL]?.user_ids ?? [];

test("who types is the whole set that came last, without oneself", () => {
  const two = types(booted(), [1, 2, 3]);
  assert.deepEqual(typists(two), [2, 3]);
  assert.deepEqual(typists(types(two, [3])), [3]);
  assert.deepEqual(types(two, [1]).typing, {});
});

test("typing expires by itself, not sooner", () => {
  const state = types(booted(), [2]);
  assert.equal(expireTyping(state, 6_999), state);
  assert.deepEqual(expireTyping(state, 7_000).typing, {});
  assert.deepEqual(typists(expireTyping(types(state, [2], { expires_in: 9 }), 7_000)), [2]);
});

test("a message ends the typing of its author at once, and nobody else's", () => {
  assert.deepEqual(typists(created(types(booted(), [2, 3]), message(11))), [3]);
  assert.deepEqual(created(types(booted(), [2]), message(11)).typing, {});
  const elsewhere = message(11, bob, { channel_id: 6 });
  assert.deepEqual(typists(created(types(booted(), [2]), elsewhere)), [2]);
});

test("who leaves the channel types there no longer, and in a channel that is gone nobody does", () => {
  const left = { channel_id: GENERAL, user_id: 2, member_count: 1 };
  assert.deepEqual(typists(applyEvent(types(booted(), [2, 3]), "channel.member_left", left)), [3]);
  assert.deepEqual(applyEvent(types(booted(), [2]), "channel.removed", { channel_id: GENERAL }).typing, {});
});

test("typing in a channel that is not mine changes nothing", () => {
  const state = booted();
  assert.equal(types(state, [2], { channel_id: 99 }), state);
});

test("who types has the name of an author or of a list, and else none", () => {
  const state = applyPeople(types(opened(message(10)), [2, 3, 4]), [{ id: 3, username: "eve" }]);
  assert.deepEqual(typistsOf(state, GENERAL).map((user) => user?.username), ["bob", "eve", undefined]);
  assert.deepEqual(typistsOf(state, 6), []);
});

test("an event of a channel that is not mine changes nothing", () => {
  const state = booted();
  assert.equal(created(state, message(11, bob, { channel_id: 99 })), state);
});

test("a new boot replaces all but what is on its way", () => {
  const pending = { client_msg_id: "k1", channel_id: GENERAL, body: "hi", created_at: "", status: "waiting", error: "" };
  const state = applyBoot(applyPending(opened(message(10)), pending), boot({ channels: [] }));
  assert.deepEqual([state.channels, state.timelines], [{}, {}]);
  assert.equal(pendingOf(state, GENERAL).length, 1);
});

test("unread is summed over a workspace, and a direct channel has the names of the others", () => {
  const direct = channel({ id: 7, kind: "direct", name: "", members: [ada, bob], unread_count: 2 });
  const state = applyEvent(created(booted(), message(11)), "channel.added", { channel: direct });
  assert.equal(unreadOf(state, 3), 3);
  assert.equal(channelName(state, direct), "Bob");
});

test("listeners are told once for many changes, and not for none", async () => {
  const store = new Store();
  let told = 0;
  store.listen(() => told++);
  store.update((state) => state);
  store.update(() => booted());
  store.update((state) => created(state, message(11)));
  await Promise.resolve();
  assert.equal(told, 1);
});
