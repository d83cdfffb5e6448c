import assert from "node:assert/strict";
import { test } from "node:test";

import {
  EMPTY,
  Store,
  applyBoot,
  applyChanges,
  applyChannel,
  applyCounts,
  applyEvent,
  applyEventToMessages,
  applyMembers,
  applyMessage,
  applyOwnRead,
  applyPage,
  applyPending,
  applyPeople,
  applyPresence,
  applyReadAnswer,
  applyReplies,
  applyTimelineStatus,
  applyTyping,
  channelName,
  channelsOf,
  doubtful,
  expireTyping,
  messageOf,
  partnerOf,
  patchPending,
  pendingOf,
  peopleToName,
  personOf,
  releaseHeld,
  typistsOf,
  undoOwnRead,
  unreadOf,
  unreadThreads,
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
  muted: false,
  notify: "all",
  last_read_id: 10,
  read_version: 3,
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
  const event = { message_id: 11, channel_id: GENERAL, author_id: bob.id, thread_root_id: null, rev: 12 };
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

const EMPTY_WITH_ME = applyBoot(EMPTY, { me: ada, epoch: "e_1", seq: 0, workspaces: [], channels: [] });
const told = (version, last_read_id, unread_count, rev, mention_count = 0) => ({
  channel_id: GENERAL,
  last_read_id,
  version,
  unread_count,
  mention_count,
  rev,
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

test("counts from before the deletion leave the doubt, and those from before what was read here say nothing", () => {
  const asked = erase(created(created(booted(), message(11)), message(12)), 11, 13);
  assert.equal(doubtful(applyCounts(asked, [channel({ unread_count: 2, rev: 12 })])), true);
  assert.equal(applyCounts(asked, [channel({ unread_count: 1, rev: 13, read_version: 2 })]), asked);
});

test("counts of a channel that nobody doubts, or that is gone, change nothing", () => {
  const state = booted();
  assert.equal(applyCounts(state, [channel({ unread_count: 7, rev: 30 }), channel({ id: 99 })]), state);
});

test("read.updated ends the doubt", () => {
  const asked = erase(created(created(booted(), message(11)), message(12)), 11, 13);
  const read = applyEvent(asked, "read.updated", told(4, 10, 1, 13));
  assert.deepEqual([unread(read), doubtful(read)], [1, false]);
});

test("read.updated brings the server's counts, and an older one nothing", () => {
  const state = created(created(booted(), message(11)), message(12));
  const read = applyEvent(state, "read.updated", told(5, 12, 0, 12));
  assert.equal(unread(read), 0);
  assert.equal(applyEvent(read, "read.updated", told(5, 12, 0, 12)), read);
  assert.equal(applyEvent(read, "read.updated", told(4, 11, 1, 12)), read);
});

test("a higher version is true also when it goes back, and the channel is held until it is opened again", () => {
  const state = applyEvent(created(created(booted(), message(11)), message(12)), "read.updated", told(5, 12, 0, 12));
  const back = applyEvent(state, "read.updated", told(6, 10, 2, 12));
  assert.deepEqual([unread(back), back.channels[GENERAL].last_read_id, back.channels[GENERAL].held], [2, 10, true]);
  const again = releaseHeld(back, GENERAL);
  assert.equal(again.channels[GENERAL].held, false);
  assert.equal(releaseHeld(again, GENERAL), again);
});

test("what was marked unread stays so over a new boot", () => {
  const held = applyEvent(created(booted(), message(11)), "read.updated", told(5, 9, 2, 11));
  assert.equal(applyBoot(held, boot()).channels[GENERAL].held, true);
});

test("numbers from before an event that is here already are brought to now", () => {
  const state = created(created(created(booted(), message(11)), message(12)), message(13));
  assert.equal(unread(applyEvent(state, "read.updated", told(5, 11, 1, 12))), 2);
});

test("numbers that hold more than the events so far do not count those again when they come", () => {
  const state = applyEvent(booted(), "read.updated", told(5, 10, 2, 12));
  assert.equal(unread(created(created(state, message(11)), message(12))), 2);
  assert.equal(unread(created(created(created(state, message(11)), message(12)), message(13))), 3);
});

test("a replayed message that changed since cannot be told from one that was counted, and is asked for", () => {
  const state = applyEvent(booted(), "read.updated", told(5, 10, 1, 12));
  const replayed = message(11, bob, { rev: 15, edited_at: "2026-11-21T09:00:00Z" });
  assert.equal(doubtful(created(state, replayed)), true);
  assert.equal(doubtful(created(booted(), replayed)), false);
});

test("a reading that could not be told is taken back, and asked for", () => {
  const before = created(booted(), message(11));
  const state = undoOwnRead(applyOwnRead(before, GENERAL, 11), before.channels[GENERAL]);
  assert.deepEqual([unread(state), state.channels[GENERAL].last_read_id, doubtful(state)], [1, 10, true]);
});

test("the answer to a reading and its event are one", () => {
  const state = applyReadAnswer(created(booted(), message(11)), told(4, 11, 0, 11));
  assert.equal(unread(state), 0);
  assert.equal(applyEvent(state, "read.updated", told(4, 11, 0, 11)), state);
});

test("a deletion of a message that was never opened is taken out of the count, as the event names its author", () => {
  const state = created(created(booted(), message(11)), message(12, ada));
  const event = (id, author, rev) => ({ message_id: id, channel_id: GENERAL, author_id: author.id, rev });
  const after = applyEvent(state, "message.deleted", event(11, bob, 13));
  assert.deepEqual([unread(after), doubtful(after)], [0, false]);
  assert.equal(applyEvent(after, "message.deleted", event(11, bob, 13)), after);
  assert.equal(unread(applyEvent(state, "message.deleted", event(12, ada, 13))), 1);
});

test("a deletion that the server's numbers hold is not taken out again", () => {
  const state = booted({ channels: [channel({ unread_count: 2, latest_message_id: 13, rev: 14 })] });
  const event = { message_id: 12, channel_id: GENERAL, author_id: bob.id, rev: 14 };
  assert.equal(unread(applyEvent(state, "message.deleted", event)), 2);
  assert.equal(unread(applyEvent(state, "message.deleted", { ...event, rev: 15 })), 1);
});

test("a message that is deleted by the time it is replayed is not taken out twice", () => {
  const state = created(created(booted(), message(11)), message(12, bob, { deleted: true, rev: 14 }));
  const event = { message_id: 12, channel_id: GENERAL, author_id: bob.id, rev: 14 };
  assert.equal(unread(applyEvent(state, "message.deleted", event)), 1);
});

test("a deletion that was caught up before its event comes is counted by the event", () => {
  const state = created(opened(message(10)), message(11));
  const caught = applyMessage(state, message(11, bob, { deleted: true, body: "", html: "", rev: 12 }));
  assert.equal(unread(applyEvent(caught, "message.deleted", { message_id: 11, channel_id: GENERAL, author_id: bob.id, rev: 12 })), 0);
});

const mentioned = (state, id, rev = id) =>
  applyEvent(state, "mention.created", {
    mention: { kind: "user", message_id: id, channel_id: GENERAL, rev },
    message: message(id),
  });
const unmentioned = (state, message_id, rev) => applyEvent(state, "mention.deleted", { message_id, channel_id: GENERAL, rev });
const mentions = (state) => state.channels[GENERAL].mention_count;

test("a mention counts once, until it is read or gone", () => {
  const state = mentioned(created(booted(), message(11)), 11);
  assert.equal(mentions(state), 1);
  assert.equal(mentioned(state, 11), state);
  assert.equal(mentions(applyOwnRead(state, GENERAL, 11)), 0);
  const gone = unmentioned(state, 11, 12);
  assert.equal(mentions(gone), 0);
  assert.equal(unmentioned(gone, 11, 12), gone);
});

test("a mention that the boot knows is not counted, and its end is", () => {
  const state = booted({ channels: [channel({ unread_count: 2, mention_count: 1, latest_message_id: 12, rev: 12 })] });
  assert.equal(mentions(mentioned(state, 12)), 1);
  assert.equal(mentions(unmentioned(state, 12, 13)), 0);
});

test("a mention of a message that is deleted by now counts neither when it comes nor when it goes", () => {
  const deleted = applyEvent(booted(), "mention.created", {
    mention: { kind: "user", message_id: 11, channel_id: GENERAL, rev: 11 },
    message: message(11, bob, { deleted: true, rev: 13 }),
  });
  assert.equal(mentions(deleted), 0);
  assert.equal(mentions(unmentioned(mentioned(deleted, 12, 12), 11, 13)), 1);
});

test("mentions after the numbers of the server are added to them", () => {
  const state = mentioned(mentioned(created(created(booted(), message(11)), message(12)), 11), 12);
  assert.equal(mentions(applyEvent(state, "read.updated", told(5, 10, 1, 11, 1))), 2);
});

test("a muted channel shows only what names its reader", () => {
  const state = mentioned(created(created(booted(), message(11)), message(12)), 12);
  assert.equal(unreadOf(state), 2);
  const muted = applyEvent(state, "channel.updated", { channel: { id: GENERAL, muted: true, notify: "mentions" } });
  assert.deepEqual([unreadOf(muted), unread(muted), muted.channels[GENERAL].name], [1, 2, "general"]);
});

test("reactions are the whole set of the event, and an older one changes nothing", () => {
  const event = (rev, ...user_ids) => ({ message_id: 10, channel_id: GENERAL, reactions: [{ emoji: "👍", user_ids }], rev });
  const state = applyEvent(opened(message(10)), "message.reacted", event(12, 1, 2));
  assert.deepEqual(messageOf(state, GENERAL, 10).reactions, [{ emoji: "👍", user_ids: [1, 2] }]);
  assert.equal(applyEvent(state, "message.reacted", event(12, 1, 2)), state);
  assert.equal(applyEvent(state, "message.reacted", event(11, 1)), state);
  assert.deepEqual(messageOf(state, GENERAL, 10).body, "message 10");
});

test("a pin shows at its message, and moves the pins of the channel", () => {
  const event = { message_id: 10, channel_id: GENERAL, pinned: true, user_id: 2, rev: 12 };
  const state = applyEvent(opened(message(10)), "message.pinned", event);
  assert.deepEqual([messageOf(state, GENERAL, 10).pinned, state.channels[GENERAL].pins_rev], [true, 12]);
  assert.equal(applyEvent(state, "message.pinned", event), state);
});

test("the deletion of what is not loaded may be that of a pin", () => {
  const state = erase(booted(), 3, 13);
  assert.equal(state.channels[GENERAL].pins_rev, 13);
});

const thread = (more) => ({ thread_root_id: 10, channel_id: GENERAL, following: true, last_read_id: 10, unread_count: 1, reply_count: 1, latest_reply_id: 11, rev: 12, ...more });

test("a thread is as its newest event says, or a later one of the same rev", () => {
  const state = applyEvent(booted({ threads: [thread()] }), "thread.updated", { thread: thread({ unread_count: 2, rev: 13 }) });
  assert.deepEqual(unreadThreads(state, 3).map(({ unread_count }) => unread_count), [2]);
  assert.equal(applyEvent(state, "thread.updated", { thread: thread() }), state);
  const read = applyEvent(state, "thread.updated", { thread: thread({ unread_count: 0, rev: 13 }) });
  assert.deepEqual(unreadThreads(read, 3), []);
});

test("a thread that is open has replies in order, its root and their reactions live", () => {
  const replies = { root: message(10), messages: [message(11, bob, { thread_root_id: 10 })], has_more: false };
  const state = applyReplies(booted(), 10, replies);
  const more = created(state, message(12, ada, { thread_root_id: 10 }));
  const reacted = applyEvent(more, "message.reacted", { message_id: 11, channel_id: GENERAL, reactions: [{ emoji: "👍", user_ids: [1] }], rev: 13 });
  const counted = applyEvent(reacted, "message.updated", { message: message(10, bob, { reply_count: 2, rev: 14 }) });
  assert.deepEqual(counted.replies[10].messages.map(({ id }) => id), [11, 12]);
  assert.equal(counted.replies[10].messages[0].reactions.length, 1);
  assert.equal(counted.replies[10].root.reply_count, 2);
  const removed = applyEvent(counted, "channel.removed", { channel_id: GENERAL });
  assert.deepEqual([removed.replies, removed.threads], [{}, {}]);
});

test("older replies are put before, and the newest page keeps what came live", () => {
  const reply = (id) => message(id, bob, { thread_root_id: 10 });
  const state = applyReplies(booted(), 10, { root: message(10), messages: [reply(14)], has_more: true });
  const older = applyReplies(state, 10, { root: message(10), messages: [reply(12), reply(13)], has_more: false }, { before_id: 14 });
  assert.deepEqual([older.replies[10].messages.map(({ id }) => id), older.replies[10].has_more], [[12, 13, 14], false]);
  const again = applyReplies(created(older, reply(15)), 10, { root: message(10), messages: [reply(14)], has_more: true });
  assert.deepEqual(again.replies[10].messages.map(({ id }) => id), [14, 15]);
});

test("around an old message the newest ones stay away until they are asked for", () => {
  const state = booted({ channels: [channel({ latest_message_id: 50, rev: 50 })] });
  const around = applyPage(state, GENERAL, { messages: [message(20), message(21)], has_more: true }, { around_id: 20 });
  assert.equal(around.timelines[GENERAL].has_newer, true);
  const live = created(around, message(51));
  assert.deepEqual([ids(live), unread(live)], [[20, 21], 1]);
  const next = applyPage(live, GENERAL, { messages: [message(50), message(51)], has_more: false }, { since_id: 21 });
  assert.deepEqual([ids(next), next.timelines[GENERAL].has_newer], [[20, 21, 50, 51], false]);
  const newest = applyPage(live, GENERAL, { messages: [message(51)], has_more: true });
  assert.deepEqual([ids(newest), newest.timelines[GENERAL].has_newer], [[51], false]);
});

test("a new name is everybody's name at once, wherever it stands", () => {
  const direct = channel({ id: 7, kind: "direct", name: "", members: [ada, bob] });
  const state = applyChannel(opened(message(10)), direct);
  const renamed = applyEvent(state, "user.updated", { user: { ...bob, display_name: "Robert", active: true, time_zone: "" } });
  assert.equal(personOf(renamed, bob).display_name, "Robert");
  assert.equal(channelName(renamed, renamed.channels[7]), "Robert");
  const me = applyEvent(renamed, "user.updated", { user: { ...ada, display_name: "Countess" } });
  assert.equal(me.me.display_name, "Countess");
});

test("a role that changed is mine only when it is", () => {
  const workspace = { id: 3, name: "Studio 2", open: false, member_count: 2 };
  const theirs = applyEvent(booted(), "workspace.updated", { workspace, member: { user_id: 2, role: "guest" } });
  assert.deepEqual([theirs.workspaces[3].role, theirs.workspaces[3].name], ["owner", "Studio 2"]);
  const mine = applyEvent(theirs, "workspace.updated", { workspace, member: { user_id: 1, role: "admin" } });
  assert.equal(mine.workspaces[3].role, "admin");
});

test("what a channel says of itself follows its own rev, not that of messages", () => {
  const state = created(booted(), message(11, bob, { rev: 30 }));
  const renamed = applyEvent(state, "channel.updated", { channel: { ...channel({ name: "all", rev: 12 }) } });
  assert.equal(renamed.channels[GENERAL].name, "all");
  assert.equal(applyEvent(renamed, "channel.updated", { channel: { id: GENERAL, name: "old", rev: 11 } }).channels[GENERAL].name, "all");
});

test("a channel that is added again with what is known takes nothing back", () => {
  const state = created(applyChannel(EMPTY_WITH_ME, channel()), message(11));
  assert.equal(unread(applyChannel(state, channel())), 1);
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

test("of a direct channel who leaves keeps their name alone, until they are back", () => {
  const shown = { ...bob, active: true, time_zone: "Asia/Tokyo", avatar_url: "/avatars/b" };
  const direct = channel({ id: 7, kind: "direct", name: "", members: [ada, shown], member_count: 2 });
  const state = applyEvent(booted(), "channel.added", { channel: direct });
  const left = applyEvent(state, "channel.member_left", { channel_id: 7, user_id: bob.id, member_count: 1 });
  const nothing = { display_name: "bob", avatar_url: null, time_zone: "", active: false };
  assert.deepEqual(left.channels[7].members, [ada, { ...bob, ...nothing }]);
  assert.equal(channelName(left, left.channels[7]), "bob");
  const back = applyEvent(left, "channel.member_joined", { channel_id: 7, user: shown, member_count: 2 });
  assert.deepEqual(back.channels[7].members, [ada, shown]);
  assert.equal(channelName(back, back.channels[7]), "Bob");
});

test("a profile that another workspace shows goes before the name that is left of it in one", () => {
  const former = { ...bob, display_name: "bob", active: false };
  const direct = (id, user) => channel({ id, kind: "direct", name: "", members: [ada, user] });
  const channels = [direct(7, { ...bob, active: true }), direct(8, former)];
  const state = applyBoot(EMPTY, { me: ada, epoch: "e", seq: 1, workspaces: [], channels });
  assert.deepEqual([7, 8].map((id) => channelName(state, state.channels[id])), ["Bob", "bob"]);
  assert.equal(state.people[bob.id].display_name, "Bob");
});

test("who may be named is in the channel, active, and somebody else", () => {
  const eve = { id: 4, username: "eve", display_name: "", active: false };
  const state = applyMembers(booted(), GENERAL, [ada, bob, eve]);
  assert.deepEqual(peopleToName(state, GENERAL), [bob]);
  assert.deepEqual(peopleToName(state, undefined), []);
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
