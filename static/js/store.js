/**
 * What the page knows, and how it changes. Every function here takes a state and gives the next one; none of them touches
 * the page or the network. Applying something twice changes nothing the second time.
 *
 * @typedef {{ id: number, username: string, display_name: string, avatar_url: string }} User
 * @typedef {{ id: number, channel_id: number, author: User, body: string, html: string, created_at: string,
 *   edited_at: ?string, deleted: boolean, reply_count?: number, client_msg_id: ?string, rev: number }} Message
 * @typedef {{ id: number, workspace_id: number, kind: "public" | "private" | "direct", name: string, topic: string,
 *   archived: boolean, member_count: number, role: string, members?: User[], last_read_id: number, unread_count: number,
 *   mention_count: number, latest_message_id: number, rev: number, counted_rev?: number, doubtful?: boolean }} Channel
 *   `rev`: what is loaded of the channel holds every change up to it. `counted_rev`: so do its counts, where they are
 *   further. `doubtful`: the counts may be wrong, and the server has to be asked.
 * @typedef {{ id: number, name: string, open: boolean, role: string, member_count: number }} Workspace
 * @typedef {{ client_msg_id: string, channel_id: number, body: string, created_at: string,
 *   status: "sending" | "waiting" | "failed", error: string }} Pending  a message on its way
 * @typedef {{ messages: Message[], has_more: boolean, status: "loading" | "ready" | "failed" }} Timeline
 * @typedef {{ user_id: number, status: "online" | "away" | "offline", status_text?: string, status_emoji?: string,
 *   version: number }} Presence
 * @typedef {{ user_ids: number[], until: number }} Typing  the others who type, and when (a monotonic clock, ms) that ends
 */

/** A state that knows nothing yet. */
export const EMPTY = Object.freeze({
  /** @type {?User} */ me: null,
  /** @type {?string} */ epoch: null,
  seq: 0,
  /** @type {Record<number, Workspace>} */ workspaces: {},
  /** @type {{ id: number, name: string }[]} */ open_workspaces: [],
  /** @type {Record<number, Channel>} */ channels: {},
  /** @type {Record<number, Timeline>} */ timelines: {},
  /** @type {Record<number, Presence>} */ presence: {},
  /** @type {Record<number, Typing>} */ typing: {},
  /** @type {Record<number, User>} who was on a list; authors are in their messages */ people: {},
  /** @type {Record<string, Pending>} */ pending: {},
  /** @type {Record<string, any>} */ limits: {},
});

/**
 * A fresh login, or a new beginning: what the server says replaces everything but what is still on its way to it. The
 * messages of channels load anew, or come back with `applyChanges`.
 */
export function applyBoot(state, boot) {
  return {
    ...EMPTY,
    pending: state.pending,
    me: boot.me,
    epoch: boot.epoch,
    seq: boot.seq,
    workspaces: byId(boot.workspaces),
    open_workspaces: boot.open_workspaces ?? [],
    channels: byId(boot.channels),
    presence: Object.fromEntries((boot.presence ?? []).map((entry) => [entry.user_id, entry])),
    limits: boot.limits ?? {},
  };
}

/** One event of the stream. Names that this page does not know change nothing. */
export function applyEvent(state, event, data) {
  return EVENTS[event]?.(state, data) ?? state;
}

/** Of an event only what it changes in the messages: for a page that was asked for before it and came after it. */
export function applyEventToMessages(state, event, data) {
  if (event === "message.deleted") return eraseMessage(state, data);
  return event === "message.created" || event === "message.updated" ? applyMessage(state, data.message) : state;
}

const EVENTS = {
  "message.created": applyCreation,
  "message.updated": (state, { message }) => advanceRev(applyMessage(state, message), message),
  "message.deleted": applyDeletion,
  "channel.added": (state, { channel }) => applyChannel(state, channel),
  "channel.updated": (state, { channel }) => applyChannel(state, { ...state.channels[channel.id], ...channel }),
  "channel.removed": (state, { channel_id }) => removeChannel(state, channel_id),
  "channel.member_joined": (state, { channel_id, user, member_count }) =>
    patchChannel(applyPeople(state, [user]), channel_id, { member_count }),
  "channel.member_left": (state, { channel_id, user_id, member_count }) =>
    patchChannel(endTyping(state, channel_id, user_id), channel_id, { member_count }),
  "workspace.updated": (state, { workspace }) => patchWorkspace(state, workspace.id, workspace),
  "workspace.member_joined": applyWorkspaceJoin,
  "workspace.member_left": applyWorkspaceLeave,
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

export function applyChannel(state, channel) {
  const known = state.channels[channel.id];
  if (known && channel.rev < known.rev) return state;
  return { ...state, channels: { ...state.channels, [channel.id]: { ...known, ...channel } } };
}

export function removeChannel(state, channel_id) {
  if (!state.channels[channel_id]) return state;
  const pending = Object.values(state.pending).filter((message) => message.channel_id !== channel_id);
  return {
    ...state,
    channels: without(state.channels, channel_id),
    timelines: without(state.timelines, channel_id),
    typing: without(state.typing, channel_id),
    pending: Object.fromEntries(pending.map((message) => [message.client_msg_id, message])),
  };
}

export function applyTimelineStatus(state, channel_id, status) {
  const timeline = state.timelines[channel_id] ?? { messages: [], has_more: true };
  return { ...state, timelines: { ...state.timelines, [channel_id]: { ...timeline, status } } };
}

/**
 * A page of `message.list`. The newest page (`before_id` absent) replaces what was loaded: nothing between it and older
 * pages may be missing. Messages that came live in the meantime stay.
 */
export function applyPage(state, channel_id, { messages, has_more }, { before_id = null } = {}) {
  const known = state.timelines[channel_id]?.messages ?? [];
  const newest = messages.at(-1)?.id ?? 0;
  const kept = before_id ? known : known.filter(({ id }) => id > newest || messages.some((other) => other.id === id));
  const merged = messages.reduce(placeMessage, kept);
  return {
    ...state,
    timelines: { ...state.timelines, [channel_id]: { messages: merged, has_more, status: "ready" } },
  };
}

/** Whether it is known where the loaded messages end: from the oldest of them on none is missing. */
export function isLoaded(timeline) {
  return timeline.messages.length > 0 || !timeline.has_more;
}

/**
 * Messages that were loaded before a boot, brought to date by everything that changed in the channel since `rev`: so none
 * is missing between what is shown and what is new.
 */
export function applyChanges(state, channel_id, { messages, has_more }, changes) {
  const oldest = has_more ? messages[0].id : 0;
  const shown = changes.filter(({ id }) => id >= oldest).reduce(placeMessage, messages);
  const timeline = { messages: shown, has_more, status: "ready" };
  return { ...state, timelines: { ...state.timelines, [channel_id]: timeline } };
}

/** A message as the server has it now, from whichever side it came first: the event, a reply, a page. */
export function applyMessage(state, message) {
  const pending = message.author.id === state.me?.id ? without(state.pending, message.client_msg_id) : state.pending;
  const next = pending === state.pending ? state : { ...state, pending };
  const timeline = state.timelines[message.channel_id];
  // A channel that was never opened loads when it is.
  if (!timeline) return next;
  // From before what is loaded, or while nothing is: it will come with its page.
  const oldest = timeline.messages[0]?.id ?? Infinity;
  if (timeline.has_more && message.id < oldest) return next;
  const messages = placeMessage(timeline.messages, message);
  if (messages === timeline.messages) return next;
  return { ...next, timelines: { ...next.timelines, [message.channel_id]: { ...timeline, messages } } };
}

function applyCreation(state, { message }) {
  const applied = advanceRev(countUnread(applyMessage(state, message), message), message);
  return endTyping(applied, message.channel_id, message.author.id);
}

function applyDeletion(state, { message_id, channel_id, rev }) {
  const known = state.timelines[channel_id]?.messages.find(({ id }) => id === message_id);
  if (known?.deleted) return state;
  const erased = eraseMessage(state, { message_id, channel_id, rev });
  return advanceRev(uncount(erased, { message_id, channel_id, rev, author: known?.author }), { channel_id, rev });
}

function eraseMessage(state, { message_id, channel_id, rev }) {
  const timeline = state.timelines[channel_id];
  const known = timeline?.messages.find(({ id }) => id === message_id);
  if (!known || known.deleted) return state;
  const messages = placeMessage(timeline.messages, { ...known, body: "", html: "", deleted: true, rev });
  return { ...state, timelines: { ...state.timelines, [channel_id]: { ...timeline, messages } } };
}

/**
 * Take a deleted message out of the count. The event names no author, so of a message that is not loaded nobody here knows
 * whether it was counted; nor after a boot, whose counts are read after its `seq` and may know the deletion already.
 */
function uncount(state, { message_id, channel_id, rev, author }) {
  const channel = state.channels[channel_id];
  if (!channel || channel.unread_count === 0 || message_id <= channel.last_read_id) return state;
  if (author?.id === state.me?.id) return state;
  const news = rev > Math.max(channel.rev, channel.counted_rev ?? 0);
  if (author && news) return patchChannel(state, channel_id, { unread_count: channel.unread_count - 1 });
  return patchChannel(state, channel_id, { doubtful: true });
}

/** Whether the server has to be asked for its counts. */
export function doubtful(state) {
  return Object.values(state.channels).some((channel) => channel.doubtful);
}

/** The server's counts of `channel.list`. An answer from before what is known here settles nothing. */
export function applyCounts(state, channels) {
  return channels.reduce((current, { id, rev, last_read_id, unread_count, mention_count, latest_message_id }) => {
    const known = current.channels[id];
    if (!known?.doubtful || rev < known.rev || last_read_id < known.last_read_id) return current;
    const counts = { last_read_id, unread_count, mention_count, latest_message_id };
    return patchChannel(current, id, { ...counts, counted_rev: rev, doubtful: false });
  }, state);
}

/** Only events move it: a reply may overtake the event of an earlier change. */
function advanceRev(state, { channel_id, rev }) {
  const channel = state.channels[channel_id];
  return channel && rev > channel.rev ? patchChannel(state, channel_id, { rev }) : state;
}

/** Ids of a channel rise in the order of its events, so a message that is not newer than the newest was counted before. */
function countUnread(state, message) {
  const channel = state.channels[message.channel_id];
  if (!channel || message.id <= (channel.latest_message_id ?? 0)) return state;
  const unread = message.author.id !== state.me?.id && !message.deleted && message.id > channel.last_read_id;
  return patchChannel(state, channel.id, {
    latest_message_id: message.id,
    unread_count: channel.unread_count + (unread ? 1 : 0),
  });
}

/** The server's own counts. A cursor never goes back, so an older answer says nothing. */
function applyRead(state, { channel_id, last_read_id, unread_count, mention_count }) {
  const channel = state.channels[channel_id];
  if (!channel || last_read_id < channel.last_read_id) return state;
  return patchChannel(state, channel_id, { last_read_id, unread_count, mention_count, doubtful: false });
}

/** What this page is about to tell the server, shown at once. */
export function applyOwnRead(state, channel_id, last_read_id) {
  return applyRead(state, { channel_id, last_read_id, unread_count: 0, mention_count: 0 });
}

function applyWorkspaceJoin(state, { workspace, user, role }) {
  if (user.id === state.me?.id) return applyWorkspace(state, { ...workspace, role });
  return patchWorkspace(state, workspace.id, { member_count: workspace.member_count });
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

/** @param {User[]} users */
export function applyPeople(state, users) {
  return { ...state, people: { ...state.people, ...byId(users) } };
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

function patchChannel(state, id, patch) {
  const channel = state.channels[id];
  return channel ? { ...state, channels: { ...state.channels, [id]: { ...channel, ...patch } } } : state;
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

export function unreadOf(state, workspace_id) {
  return Object.values(state.channels)
    .filter((channel) => channel.workspace_id === workspace_id)
    .reduce((sum, channel) => sum + channel.unread_count, 0);
}

/** A direct channel has the names of the others. */
export function channelName(state, channel) {
  if (channel.kind !== "direct") return channel.name;
  return othersOf(state, channel).map(nameOf).join(", ") || channel.name;
}

/** The people of a direct channel without oneself. */
export function othersOf(state, channel) {
  return (channel.members ?? []).filter(({ id }) => id !== state.me?.id);
}

/** The one person that a direct channel is about: the other one, or oneself alone; null where there are several. */
export function partnerOf(state, channel) {
  if (channel.kind !== "direct") return null;
  const others = othersOf(state, channel);
  return others.length > 1 ? null : (others[0] ?? state.me);
}

export function nameOf(user) {
  return user.display_name || user.username;
}

/** @returns {(User | undefined)[]} who types in a channel; undefined for who was never seen here */
export function typistsOf(state, channel_id) {
  const authors = (state.timelines[channel_id]?.messages ?? []).map(({ author }) => author);
  const seen = { ...state.people, ...byId(authors), ...byId(state.channels[channel_id]?.members ?? []) };
  return (state.typing[channel_id]?.user_ids ?? []).map((id) => seen[id]);
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
