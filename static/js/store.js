/**
 * What the page knows, and how it changes. Every function here takes a state and gives the next one; none of them touches
 * the page or the network. Applying something twice changes nothing the second time.
 *
 * @typedef {{ id: number, username: string, display_name: string, avatar_url: ?string, active?: boolean }} User
 * @typedef {{ emoji: string, user_ids: number[] }} Reaction
 * @typedef {{ id: number, channel_id: number, author: User, body: string, html: string, created_at: string,
 *   edited_at: ?string, deleted: boolean, thread_root_id?: ?number, reply_count?: number, reactions?: Reaction[],
 *   pinned?: boolean, client_msg_id: ?string, rev: number }} Message
 * @typedef {{ id: number, workspace_id: number, kind: "public" | "private" | "direct", name: string, topic: string,
 *   archived: boolean, member_count: number, role: string, muted: boolean, notify: string, members?: User[],
 *   last_read_id: number, read_version: number, unread_count: number, mention_count: number, latest_message_id: number,
 *   rev: number, whole_rev?: number, pins_rev?: number, doubtful?: boolean, held?: boolean }} Channel
 *   `rev`: of what it says of itself. `whole_rev`: what is loaded of it holds every change up to it; only the server's word
 *   moves it, as a replayed event carries a message's newest rev and not its own. `pins_rev`: when its pins last changed.
 *   `doubtful`: the counts may be wrong, and the server has to be asked. `held`: marked unread, so not read by being open
 * @typedef {{ thread_root_id: number, channel_id: number, following: boolean, last_read_id: number, unread_count: number,
 *   reply_count: number, latest_reply_id: number, rev: number }} Thread
 * @typedef {{ id: number, name: string, open: boolean, role: string, member_count: number, silenced_until?: ?string }} Workspace
 * @typedef {{ client_msg_id: string, channel_id: number, thread_root_id?: ?number, body: string, created_at: string,
 *   status: "sending" | "waiting" | "failed", error: string, confirm_mentions?: boolean }} Pending  a message on its way
 * @typedef {{ messages: Message[], has_more: boolean, has_newer?: boolean, status: "loading" | "ready" | "failed" }} Timeline
 *   `has_more`: there are older ones; `has_newer`: it was opened around an old message, and does not reach to the newest
 * @typedef {Timeline & { root: ?Message }} Replies
 * @typedef {{ user_id: number, status: "online" | "away" | "offline", status_text?: string, status_emoji?: string,
 *   version: number }} Presence
 * @typedef {{ user_ids: number[], until: number }} Typing  the others who type, and when (a monotonic clock, ms) that ends
 */

import { countCreated, countDeleted, countMention, counted, readHere, tell, uncountMention } from "./counts.js";
import { gettext, interpolate } from "./i18n.js";

/** A state that knows nothing yet. */
export const EMPTY = Object.freeze({
  /** @type {?User} */ me: null,
  /** @type {?string} */ epoch: null,
  seq: 0,
  /** @type {Record<number, Workspace>} */ workspaces: {},
  /** @type {{ id: number, name: string }[]} */ open_workspaces: [],
  /** @type {Record<number, Channel>} */ channels: {},
  /** @type {Record<number, Timeline>} */ timelines: {},
  /** @type {Record<number, Thread>} by the id of the root */ threads: {},
  /** @type {Record<number, Replies>} by the id of the root */ replies: {},
  /** @type {Record<number, number[]>} who is in a channel, where it was asked for */ members: {},
  /** @type {Record<number, Presence>} */ presence: {},
  /** @type {Record<number, Typing>} */ typing: {},
  /** @type {Record<number, User>} everybody who was seen, as they are called now */ people: {},
  /** @type {Record<string, Pending>} */ pending: {},
  /** @type {Record<string, any>} */ limits: {},
});

/**
 * A fresh login, or a new beginning: what the server says replaces everything but what is still on its way to it. The
 * messages of channels load anew, or come back with `applyChanges`.
 */
export function applyBoot(state, boot) {
  const met = boot.channels.flatMap(({ members }) => members ?? []);
  // Of who left one workspace there is only the name; the profile, where another one shows it, is later in the list.
  const people = [boot.me, ...met.filter(({ active }) => active === false), ...met.filter(({ active }) => active !== false)];
  return {
    ...EMPTY,
    pending: state.pending,
    me: boot.me,
    epoch: boot.epoch,
    seq: boot.seq,
    workspaces: byId(boot.workspaces),
    open_workspaces: boot.open_workspaces ?? [],
    channels: byId(boot.channels.map((channel) => whole(channel, state.channels[channel.id]))),
    threads: Object.fromEntries((boot.threads ?? []).map((thread) => [thread.thread_root_id, thread])),
    presence: Object.fromEntries((boot.presence ?? []).map((entry) => [entry.user_id, entry])),
    people: { ...state.people, ...byId(people) },
    limits: boot.limits ?? {},
  };
}

/** One event of the stream. Names that this page does not know change nothing. */
export function applyEvent(state, event, data) {
  return EVENTS[event]?.(state, data) ?? state;
}

/** Of an event only what it changes in the messages: for a page that was asked for before it and came after it. */
export function applyEventToMessages(state, event, data) {
  return MESSAGE_EVENTS[event]?.(state, data) ?? state;
}

const MESSAGE_EVENTS = {
  "message.created": (state, { message }) => applyMessage(state, message),
  "message.updated": (state, { message }) => applyMessage(state, message),
  "message.deleted": eraseMessage,
  "message.reacted": (state, { message_id, channel_id, reactions, rev }) =>
    patchMessage(state, channel_id, message_id, { reactions, rev }),
  "message.pinned": (state, { message_id, channel_id, pinned, rev }) =>
    patchMessage(state, channel_id, message_id, { pinned, rev }),
};

const EVENTS = {
  ...MESSAGE_EVENTS,
  "message.created": applyCreation,
  "message.updated": (state, { message }) => {
    const next = applyMessage(state, message);
    return message.pinned ? movePins(next, message.channel_id, message.rev) : next;
  },
  "message.deleted": applyDeletion,
  "message.pinned": (state, data) => movePins(MESSAGE_EVENTS["message.pinned"](state, data), data.channel_id, data.rev),
  "mention.created": (state, { mention, message }) =>
    changeChannel(applyMessage(state, message), mention.channel_id, (channel) => countMention(channel, mention, message.deleted)),
  "mention.deleted": (state, data) => changeChannel(state, data.channel_id, (channel) => uncountMention(channel, data)),
  "thread.updated": (state, { thread }) => applyThread(state, thread),
  "channel.added": (state, { channel }) => applyChannel(state, channel),
  "channel.updated": (state, { channel }) => (state.channels[channel.id] ? applyChannel(state, channel) : state),
  "channel.removed": (state, { channel_id }) => removeChannel(state, channel_id),
  "channel.member_joined": applyMemberJoined,
  "channel.member_left": applyMemberLeft,
  "workspace.updated": applyWorkspaceUpdate,
  "workspace.member_joined": applyWorkspaceJoin,
  "workspace.member_left": applyWorkspaceLeave,
  "user.updated": applyUser,
  "read.updated": applyRead,
  "presence.updated": applyPresence,
};

export function applyWorkspace(state, workspace) {
  return {
    ...state,
    workspaces: { ...state.workspaces, [workspace.id]: { ...state.workspaces[workspace.id], ...workspace } },
    open_workspaces: state.open_workspaces.filter(({ id }) => id !== workspace.id),
  };
}

/** A channel as an event or an answer has it: all of it, what everybody sees of it, or only the own settings of it. */
export function applyChannel(state, channel) {
  const known = state.channels[channel.id];
  const met = channel.members ? applyPeople(state, channel.members) : state;
  if (!known) return { ...met, channels: { ...met.channels, [channel.id]: whole(channel) } };
  const { muted = known.muted, notify = known.notify, ...said } = channel;
  const { last_read_id, read_version, unread_count, mention_count, latest_message_id, ...seen } = said;
  const settled = { ...known, ...(said.rev >= known.rev ? seen : {}), muted, notify };
  const told = { last_read_id, version: read_version, unread_count, mention_count, latest_message_id, rev: said.rev };
  const next = read_version > known.read_version ? tell(settled, told) : settled;
  return { ...met, channels: { ...met.channels, [channel.id]: next } };
}

/** What was loaded of a channel before is gone or brought to date when the server gives it. */
function whole(channel, before) {
  return { ...counted(channel), whole_rev: channel.rev, pins_rev: channel.rev, held: before?.held ?? false };
}

export function removeChannel(state, channel_id) {
  if (!state.channels[channel_id]) return state;
  const elsewhere = (entry) => entry.channel_id !== channel_id;
  const kept = (record) => Object.fromEntries(Object.entries(record).filter(([, entry]) => elsewhere(entry)));
  const gone = Object.keys(state.replies).filter((id) => state.replies[id].channel_id === channel_id);
  return {
    ...state,
    channels: without(state.channels, channel_id),
    timelines: without(state.timelines, channel_id),
    members: without(state.members, channel_id),
    typing: without(state.typing, channel_id),
    threads: kept(state.threads),
    replies: gone.reduce(without, state.replies),
    pending: kept(state.pending),
  };
}

export function applyTimelineStatus(state, channel_id, status) {
  const timeline = state.timelines[channel_id] ?? { messages: [], has_more: true };
  return placeTimeline(state, channel_id, { ...timeline, status });
}

/**
 * A page of `message.list`. The newest page (no cursor) and one around a message replace what was loaded: nothing between
 * it and other pages may be missing. Messages that came live in the meantime stay.
 */
export function applyPage(state, channel_id, { messages, has_more }, { before_id, since_id, around_id } = {}) {
  const timeline = state.timelines[channel_id];
  const known = timeline?.messages ?? [];
  const met = applyPeople(state, messages.map(({ author }) => author));
  const place = (kept, more) =>
    placeTimeline(met, channel_id, { messages: messages.reduce(placeMessage, kept), status: "ready", ...more });
  if (before_id) return place(known, { has_more, has_newer: timeline?.has_newer ?? false });
  if (since_id) return place(known, { has_more: timeline?.has_more ?? true, has_newer: has_more });
  const newest = messages.at(-1)?.id ?? 0;
  if (around_id) return place([], { has_more, has_newer: newest < (state.channels[channel_id]?.latest_message_id ?? 0) });
  // What was opened around an old message does not reach to here.
  const live = timeline?.has_newer ? [] : known;
  const kept = live.filter(({ id }) => id > newest || messages.some((other) => other.id === id));
  return place(kept, { has_more, has_newer: false });
}

/** Whether it is known where the loaded messages end: from the oldest of them on none is missing. */
export function isLoaded(timeline) {
  return timeline.messages.length > 0 || !timeline.has_more;
}

/**
 * Messages that were loaded before a boot, brought to date by everything that changed in the channel since its `whole_rev`:
 * so none is missing between what is shown and what is new. `rev`: up to where the changes go.
 */
export function applyChanges(state, channel_id, { messages, has_more, has_newer = false }, changes, rev = 0) {
  const oldest = has_more ? messages[0].id : 0;
  const newest = has_newer ? messages.at(-1).id : Infinity;
  const shown = changes.filter(({ id }) => id >= oldest && id <= newest).reduce(placeMessage, messages);
  const met = applyPeople(state, changes.map(({ author }) => author));
  const placed = placeTimeline(met, channel_id, { messages: shown, has_more, has_newer, status: "ready" });
  return changeChannel(placed, channel_id, (channel) => ({ ...channel, whole_rev: Math.max(channel.whole_rev, rev) }));
}

/** A message as the server has it now, from whichever side it came first: the event, a reply, a page. */
export function applyMessage(state, message) {
  const known = state.channels[message.channel_id];
  const mine = message.author.id === state.me?.id && message.client_msg_id in state.pending;
  const pending = mine ? without(state.pending, message.client_msg_id) : state.pending;
  const next = known ? applyPeople(state, [message.author]) : state;
  return placeReply(placeInTimeline(pending === next.pending ? next : { ...next, pending }, message), message);
}

function placeInTimeline(state, message) {
  const timeline = state.timelines[message.channel_id];
  // A channel that was never opened loads when it is.
  if (!timeline) return state;
  // From before what is loaded, or while nothing is: it will come with its page. So will what is after an old page.
  const oldest = timeline.messages[0]?.id ?? Infinity;
  const newest = timeline.messages.at(-1)?.id ?? 0;
  if ((timeline.has_more && message.id < oldest) || (timeline.has_newer && message.id > newest)) return state;
  const messages = placeMessage(timeline.messages, message);
  return messages === timeline.messages ? state : placeTimeline(state, message.channel_id, { ...timeline, messages });
}

/** In the thread that it belongs to, or that it began, where one is loaded. */
function placeReply(state, message) {
  const own = state.replies[message.id];
  if (own?.root && message.rev > own.root.rev) return placeReplies(state, message.id, { ...own, root: message });
  const thread = state.replies[message.thread_root_id];
  const oldest = thread?.messages[0]?.id ?? Infinity;
  if (!thread || (thread.has_more && message.id < oldest)) return state;
  const messages = placeMessage(thread.messages, message);
  return messages === thread.messages ? state : placeReplies(state, message.thread_root_id, { ...thread, messages });
}

/** The message wherever it is loaded; undefined where it is not. @returns {Message | undefined} */
export function messageOf(state, channel_id, message_id) {
  const inTimeline = state.timelines[channel_id]?.messages.find(({ id }) => id === message_id);
  if (inTimeline) return inTimeline;
  const threads = Object.values(state.replies).filter((thread) => thread.channel_id === channel_id);
  return threads.flatMap(({ root, messages }) => [root, ...messages]).find((message) => message?.id === message_id);
}

function patchMessage(state, channel_id, message_id, patch) {
  const known = messageOf(state, channel_id, message_id);
  return known ? applyMessage(state, { ...known, ...patch }) : state;
}

function applyCreation(state, { message }) {
  const applied = changeChannel(applyMessage(state, message), message.channel_id, (channel) =>
    countCreated(channel, message, state.me?.id),
  );
  return endTyping(applied, message.channel_id, message.author.id);
}

function applyDeletion(state, deletion) {
  const { channel_id, message_id, rev } = deletion;
  const known = messageOf(state, channel_id, message_id);
  const author_id = deletion.author_id ?? known?.author.id;
  const erased = changeChannel(eraseMessage(state, deletion), channel_id, (channel) =>
    countDeleted(channel, { message_id, author_id, rev }, state.me?.id),
  );
  return known?.pinned === false ? erased : movePins(erased, channel_id, rev);
}

function eraseMessage(state, { message_id, channel_id, rev }) {
  return patchMessage(state, channel_id, message_id, { body: "", html: "", deleted: true, reactions: [], pinned: false, rev });
}

function movePins(state, channel_id, rev) {
  const moved = (channel) => (rev > channel.pins_rev ? { ...channel, pins_rev: rev } : channel);
  return changeChannel(state, channel_id, moved);
}

/** Whether the server has to be asked for its counts. */
export function doubtful(state) {
  return Object.values(state.channels).some((channel) => channel.doubtful);
}

/** The server's counts of `channel.list`. They settle what they hold; doubts about what came after them stay. */
export function applyCounts(state, channels) {
  return channels.reduce((current, { id, read_version = 0, ...row }) => {
    const known = current.channels[id];
    if (!known?.doubtful || read_version < known.read_version || row.last_read_id < known.last_read_id) return current;
    return changeChannel(current, id, (channel) => tell(channel, { ...row, version: read_version }));
  }, state);
}

/** The server's own counts. The higher version is true, also when it goes back. */
function applyRead(state, { channel_id, ...told }) {
  return changeChannel(state, channel_id, (channel) => (told.version > channel.read_version ? tell(channel, told) : channel));
}

/** The answer to the own marking. @param {{ channel_id: number, last_read_id: number, version: number }} told */
export function applyReadAnswer(state, told) {
  return told.version === undefined ? state : applyRead(state, /** @type {any} */ (told));
}

/** What this page is about to tell the server, shown at once. */
export function applyOwnRead(state, channel_id, last_read_id) {
  return changeChannel(state, channel_id, (channel) => readHere(channel, last_read_id));
}

/** It could not be told: the cursor is where it was, and what came since has to be asked for. */
export function undoOwnRead(state, { id, read_version, last_read_id, unread_count, mention_count }) {
  return changeChannel(state, id, (channel) =>
    channel.read_version === read_version
      ? { ...channel, last_read_id, unread_count, mention_count, doubtful: true }
      : channel,
  );
}

/** The channel is opened again: from now on who sees it reads it. */
export function releaseHeld(state, channel_id) {
  return changeChannel(state, channel_id, (channel) => (channel.held ? { ...channel, held: false } : channel));
}

/** @param {Thread} thread */
export function applyThread(state, thread) {
  const known = state.threads[thread.thread_root_id];
  if (!state.channels[thread.channel_id] || (known && thread.rev < known.rev)) return state;
  return { ...state, threads: { ...state.threads, [thread.thread_root_id]: thread } };
}

export function applyRepliesStatus(state, root_id, channel_id, status) {
  const known = state.replies[root_id] ?? { channel_id, root: null, messages: [], has_more: true };
  return placeReplies(state, root_id, { ...known, status });
}

/** A page of `message.replies`: the newest, or with `before_id` the one before what is loaded. */
export function applyReplies(state, root_id, { root, messages, has_more, thread }, { before_id } = {}) {
  const known = state.replies[root_id]?.messages ?? [];
  const newest = messages.at(-1)?.id ?? 0;
  const kept = before_id ? known : known.filter(({ id }) => id > newest);
  const met = applyPeople(state, [root, ...messages].map(({ author }) => author));
  const { channel_id } = root;
  const loaded = { channel_id, root, messages: messages.reduce(placeMessage, kept), has_more, status: "ready" };
  const placed = placeReplies(met, root_id, loaded);
  return thread ? applyThread(placed, thread) : placed;
}

function placeReplies(state, root_id, thread) {
  return { ...state, replies: { ...state.replies, [root_id]: thread } };
}

function placeTimeline(state, channel_id, timeline) {
  return { ...state, timelines: { ...state.timelines, [channel_id]: timeline } };
}

function applyMemberJoined(state, { channel_id, user, member_count }) {
  const members = state.members[channel_id];
  const next = showInDirect(patchChannel(applyPeople(state, [user]), channel_id, { member_count }), channel_id, user);
  if (!members || members.includes(user.id)) return next;
  return { ...next, members: { ...next.members, [channel_id]: [...members, user.id] } };
}

function applyMemberLeft(state, { channel_id, user_id, member_count }) {
  const members = state.members[channel_id];
  const patched = patchChannel(endTyping(state, channel_id, user_id), channel_id, { member_count });
  const former = state.channels[channel_id]?.members?.find(({ id }) => id === user_id);
  // The channel stays named after them; their profile is no longer shown.
  const nothing = { display_name: former?.username, avatar_url: null, time_zone: "", active: false };
  const next = former ? showInDirect(patched, channel_id, { ...former, ...nothing }) : patched;
  if (!members?.includes(user_id)) return next;
  return { ...next, members: { ...next.members, [channel_id]: members.filter((id) => id !== user_id) } };
}

/** A direct channel is named after its people, those who left too. */
function showInDirect(state, channel_id, user) {
  const shown = (member) => (member.id === user.id ? user : member);
  return changeChannel(state, channel_id, (channel) =>
    channel.members ? { ...channel, members: channel.members.map(shown) } : channel,
  );
}

/** Who is in a channel, as far as the server was asked. @param {User[]} users */
export function applyMembers(state, channel_id, users) {
  if (!state.channels[channel_id]) return state;
  return { ...applyPeople(state, users), members: { ...state.members, [channel_id]: users.map(({ id }) => id) } };
}

function applyWorkspaceUpdate(state, { workspace, member }) {
  const mine = member?.user_id === state.me?.id;
  return patchWorkspace(state, workspace.id, mine ? { ...workspace, role: member.role } : workspace);
}

function applyWorkspaceJoin(state, { workspace, user, role }) {
  if (user.id === state.me?.id) return applyWorkspace(state, { ...workspace, role });
  return patchWorkspace(applyPeople(state, [user]), workspace.id, { member_count: workspace.member_count });
}

function applyWorkspaceLeave(state, { workspace_id, user_id, member_count }) {
  const workspace = state.workspaces[workspace_id];
  if (!workspace) return state;
  if (user_id !== state.me?.id) {
    return patchWorkspace(state, workspace_id, { member_count: member_count ?? workspace.member_count - 1 });
  }
  const gone = Object.values(state.channels).filter((channel) => channel.workspace_id === workspace_id);
  const next = gone.reduce((current, channel) => removeChannel(current, channel.id), state);
  return { ...next, workspaces: without(next.workspaces, workspace_id) };
}

function applyUser(state, { user }) {
  const direct = Object.values(state.channels).filter(({ members }) => members?.some(({ id }) => id === user.id));
  const next = direct.reduce((current, { id }) => showInDirect(current, id, user), applyPeople(state, [user]));
  return user.id === state.me?.id ? { ...next, me: { ...state.me, ...user } } : next;
}

/**
 * Who is there, as an event or an answer says it. The answer to an own change may have the version from before it, so only
 * an older one says nothing.
 * @param {Presence} entry
 */
export function applyPresence(state, entry) {
  const known = state.presence[entry.user_id];
  if (known && entry.version < known.version) return state;
  return { ...state, presence: { ...state.presence, [entry.user_id]: { ...known, ...entry } } };
}

/**
 * All who type in a channel from `now` on: whoever is not in the list has stopped.
 * @param {{ channel_id: number, user_ids: number[], expires_in: number }} told  `expires_in` in seconds
 */
export function applyTyping(state, { channel_id, user_ids, expires_in }, now) {
  if (!state.channels[channel_id]) return state;
  return placeTyping(state, channel_id, { user_ids: user_ids.filter((id) => id !== state.me.id), until: now + expires_in * 1_000 });
}

/** Forget who has typed nothing for too long. */
export function expireTyping(state, now) {
  const over = Object.keys(state.typing).filter((channel_id) => state.typing[channel_id].until <= now);
  return over.length ? { ...state, typing: over.reduce(without, state.typing) } : state;
}

function endTyping(state, channel_id, user_id) {
  const typing = state.typing[channel_id];
  if (!typing?.user_ids.includes(user_id)) return state;
  return placeTyping(state, channel_id, { ...typing, user_ids: typing.user_ids.filter((id) => id !== user_id) });
}

function placeTyping(state, channel_id, typing) {
  const others = without(state.typing, channel_id);
  return { ...state, typing: typing.user_ids.length ? { ...others, [channel_id]: typing } : others };
}

/** How people are called now: what the server said last. @param {User[]} users */
export function applyPeople(state, users) {
  const news = users.filter((user) => !sameUser(state.people[user.id], user));
  if (news.length === 0) return state;
  const merged = news.map((user) => ({ ...state.people[user.id], ...user }));
  return { ...state, people: { ...state.people, ...byId(merged) } };
}

function sameUser(known, user) {
  return known && Object.keys(user).every((name) => known[name] === user[name]);
}

/** @param {Pending} message */
export function applyPending(state, message) {
  return { ...state, pending: { ...state.pending, [message.client_msg_id]: message } };
}

export function patchPending(state, client_msg_id, patch) {
  const known = state.pending[client_msg_id];
  return known ? applyPending(state, { ...known, ...patch }) : state;
}

export function removePending(state, client_msg_id) {
  return { ...state, pending: without(state.pending, client_msg_id) };
}

/** Messages stay in the order of their ids; an older state of one that is known changes nothing. */
function placeMessage(messages, message) {
  const at = messages.findIndex(({ id }) => id >= message.id);
  if (at === -1) return [...messages, message];
  const known = messages[at].id === message.id;
  if (known && message.rev <= messages[at].rev) return messages;
  return [...messages.slice(0, at), message, ...messages.slice(known ? at + 1 : at)];
}

function changeChannel(state, id, change) {
  const channel = state.channels[id];
  const next = channel && change(channel);
  return next === channel ? state : { ...state, channels: { ...state.channels, [id]: next } };
}

function patchChannel(state, id, patch) {
  return changeChannel(state, id, (channel) => ({ ...channel, ...patch }));
}

function patchWorkspace(state, id, patch) {
  const workspace = state.workspaces[id];
  return workspace ? { ...state, workspaces: { ...state.workspaces, [id]: { ...workspace, ...patch } } } : state;
}

/** @template {{ id: number }} T  @param {T[]} list  @returns {Record<number, T>} */
function byId(list) {
  return Object.fromEntries(list.map((entry) => [entry.id, entry]));
}

function without(record, key) {
  if (!(key in record)) return record;
  const { [key]: _gone, ...rest } = record;
  return rest;
}

// What is shown, read from the state

/** Channels of a workspace in the order of the sidebar: by name, archived ones left out. */
export function channelsOf(state, workspace_id, kinds) {
  return Object.values(state.channels)
    .filter((channel) => channel.workspace_id === workspace_id && !channel.archived && kinds.includes(channel.kind))
    .sort((a, b) => channelName(state, a).localeCompare(channelName(state, b)));
}

export function workspacesInOrder(state) {
  return Object.values(state.workspaces).sort((a, b) => a.id - b.id);
}

export function pendingOf(state, channel_id) {
  return Object.values(state.pending).filter((message) => message.channel_id === channel_id);
}

/** What a channel shows of its unread messages: of a muted one only those that name its reader. */
export function shownUnread(channel) {
  if (channel.archived) return 0;
  return channel.muted ? channel.mention_count : channel.unread_count;
}

/** Over a workspace, or over all. */
export function unreadOf(state, workspace_id = null) {
  return Object.values(state.channels)
    .filter((channel) => workspace_id === null || channel.workspace_id === workspace_id)
    .reduce((sum, channel) => sum + shownUnread(channel), 0);
}

/** Followed threads of a workspace with something new in them. @returns {Thread[]} */
export function unreadThreads(state, workspace_id) {
  return Object.values(state.threads).filter(
    (thread) => thread.following && thread.unread_count > 0 && state.channels[thread.channel_id]?.workspace_id === workspace_id,
  );
}

/** Somebody as they are called now, wherever they were met. @param {User} user @returns {User} */
export function personOf(state, user) {
  return state.people[user.id] ?? user;
}

/** A direct channel has the names of the others; alone with oneself, one's own. */
export function channelName(state, channel) {
  if (channel.kind !== "direct") return channel.name;
  const others = othersOf(state, channel);
  if (others.length === 0) return interpolate(gettext("%(name)s (you)"), { name: nameOf(state.me) });
  return others.map(nameOf).join(", ");
}

/** The people of a direct channel without oneself. Who left is called as the channel says, whatever else is known of them. */
export function othersOf(state, channel) {
  const others = (channel.members ?? []).filter(({ id }) => id !== state.me?.id);
  return others.map((user) => (user.active === false ? user : personOf(state, user)));
}

/** The one person that a direct channel is about: the other one, or oneself alone; null where there are several. */
export function partnerOf(state, channel) {
  if (channel.kind !== "direct") return null;
  const others = othersOf(state, channel);
  return others.length > 1 ? null : (others[0] ?? state.me);
}

/** Whom a message in a channel can name, as far as the server was asked. @returns {User[]} */
export function peopleToName(state, channel_id) {
  const ids = state.members[channel_id] ?? state.channels[channel_id]?.members?.map(({ id }) => id) ?? [];
  const others = ids.filter((id) => id !== state.me?.id).map((id) => state.people[id]);
  return others.filter((user) => user && user.active !== false && nameOf(user));
}

export function nameOf(user) {
  return user.display_name || user.username;
}

/** @returns {(User | undefined)[]} who types in a channel; undefined for who was never seen here */
export function typistsOf(state, channel_id) {
  return (state.typing[channel_id]?.user_ids ?? []).map((id) => state.people[id]);
}

/** Holds the state and tells who listens, at most once per turn however many changes came. */
export class Store {
  #listeners = new Set();
  #told = true;
  state = EMPTY;

  /** @param {(state: typeof EMPTY) => typeof EMPTY} change */
  update(change) {
    const next = change(this.state);
    if (next === this.state) return;
    this.state = next;
    if (!this.#told) return;
    this.#told = false;
    queueMicrotask(() => {
      this.#told = true;
      for (const listener of this.#listeners) listener(this.state);
    });
  }

  /** @param {(state: typeof EMPTY) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
