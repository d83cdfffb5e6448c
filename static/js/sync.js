/**
 * Keeps the store equal to the server: a boot, then every event in order. While a boot is on its way events are held
 * back, and afterwards those that it does not know yet are applied. Where events were lost a boot follows again, and what
 * was loaded of the channels is brought to date by what changed in them, so that a reader keeps their place.
 */

import {
  applyBoot,
  applyChanges,
  applyCounts,
  applyEvent,
  applyEventToMessages,
  applyMembers,
  applyPage,
  applyPresence,
  applyReplies,
  applyRepliesStatus,
  applyTimelineStatus,
  doubtful,
  isLoaded,
} from "./store.js";

const PAGE = 50;
const PEOPLE = 200;
// More people than this are not all offered for completion.
const PEOPLE_PAGES = 5;
const CHANGES = 200;
// More than this is sooner loaded anew than caught up.
const CHANGES_PAGES = 10;
const RETRY_MS = [1_000, 2_000, 5_000, 10_000];

export class Sync {
  #store;
  #client;
  #navigation;
  #api;
  #wait;
  #held = /** @type {?object[]} */ ([]);
  /** Of each page that is on its way, the events that came meanwhile. */
  #meanwhile = /** @type {Set<object[]>} */ (new Set());
  #round = 0;
  #asked = false;
  #greeted = false;
  #recounting = false;
  /** The channels of which the members' names were asked for since the last boot. */
  #peopled = new Set();

  constructor({ store, client, navigation, api, wait = (ms) => new Promise((done) => setTimeout(done, ms)) }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    this.#api = api;
    this.#wait = wait;
    client.on("event", (frame) => this.#take(frame));
    client.on("resync", () => this.refetch());
    // The boot waits for the first hello, so that no event falls between the two; where nothing can be followed at all,
    // the page shows what there is without it.
    client.on("hello", () => this.#hello());
    client.on("state", ({ state }) => state === "reconnecting" && !this.#asked && this.refetch());
  }

  async refetch() {
    const round = ++this.#round;
    this.#asked = true;
    // What came before is in the boot that follows; after a new epoch its numbers would mean something else.
    this.#held = [];
    for (let attempt = 0; ; attempt++) {
      try {
        const boot = await this.#api("client.boot");
        const changes = await this.#changes(boot);
        const channel_id = this.#navigation.channelAfter(boot);
        const unloaded = channel_id && !changes.has(channel_id);
        const cursor = this.#cursor(channel_id);
        const page = unloaded && (await this.#api("message.list", { channel_id, limit: PAGE, ...cursor }));
        const thread = await this.#openThread(channel_id);
        if (round !== this.#round) return;
        this.#begin(boot, changes, { channel_id, page, cursor, thread });
        // Who was called something else in between is so in what was loaded before.
        if (changes.has(channel_id)) this.loadPeople(channel_id);
        // Another channel may have been opened in the meantime.
        return this.loadOpen();
      } catch (error) {
        if (error.status === 401) return signIn();
        await this.#wait(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
        if (round !== this.#round) return;
      }
    }
  }

  #hello() {
    if (this.#greeted) return this.#loadFailed();
    this.#greeted = true;
    this.refetch();
  }

  /** The thread that stays open over a new beginning. */
  async #openThread(channel_id) {
    const { thread_id } = this.#navigation;
    if (!channel_id || !this.#store.state.replies[thread_id]) return null;
    return this.#api("message.replies", { message_id: thread_id, limit: PAGE }).catch(() => null);
  }

  #begin(boot, changes, { channel_id, page, cursor, thread }) {
    // Pages that are still on their way belong to what is replaced here.
    this.#round++;
    this.#peopled.clear();
    const later = (this.#held ?? []).filter(({ seq }) => seq > boot.seq);
    this.#held = null;
    this.#store.update((state) => {
      const kept = [...changes].filter(([id]) => state.timelines[id] && isLoaded(state.timelines[id]));
      const caught = kept.reduce(
        (current, [id, { changed, rev }]) => applyChanges(current, id, state.timelines[id], changed, rev),
        applyBoot(state, boot),
      );
      const paged = page ? applyPage(caught, channel_id, page, cursor) : caught;
      const opened = thread?.root ? applyReplies(paged, thread.root.id, thread) : paged;
      return later.reduce((current, { event, data }) => applyEvent(current, event, data), opened);
    });
    this.#recount();
  }

  /**
   * What changed in each channel of which messages are loaded. One that cannot be brought to date is left out: it is loaded
   * anew when it is looked at. From the rev that the server last called whole, never from that of an event: a replayed one
   * carries its message's newest rev, and what happened before that may still be to come.
   * @returns {Promise<Map<number, { changed: object[], rev: number }>>}
   */
  async #changes(boot) {
    const { channels, timelines } = this.#store.state;
    const changes = new Map();
    for (const { id, rev } of boot.channels) {
      const since_rev = channels[id]?.whole_rev;
      if (!timelines[id] || !isLoaded(timelines[id]) || !(rev >= since_rev)) continue;
      const changed = rev === since_rev ? { changed: [], rev } : await this.#changesOf(id, since_rev);
      if (changed) changes.set(id, changed);
    }
    return changes;
  }

  async #changesOf(channel_id, since_rev) {
    const all = [];
    for (let page = 0; page < CHANGES_PAGES; page++) {
      try {
        const answer = await this.#api("message.changes", { channel_id, since_rev, limit: CHANGES });
        all.push(...answer.changes);
        if (!answer.has_more) return { changed: all, rev: answer.rev };
        since_rev = answer.rev;
      } catch (error) {
        // Its reader was removed since the boot; the event that says so is on its way.
        if (error.status === 403 || error.status === 404) return null;
        throw error;
      }
    }
    return null;
  }

  #take(frame) {
    for (const frames of this.#meanwhile) frames.push(frame);
    if (this.#held) return void this.#held.push(frame);
    const before = this.#store.state;
    this.#store.update((state) => applyEvent(state, frame.event, frame.data));
    this.#recount();
    const workspace_id = metIn(frame, before);
    if (workspace_id) this.#meet(workspace_id);
  }

  /** Who comes among people is told of changes from then on, and has to ask for how it is. */
  async #meet(workspace_id) {
    try {
      const { presence } = await this.#api("presence.list", { workspace_id });
      this.#store.update((state) => presence.reduce(applyPresence, state));
    } catch (error) {
      if (error.status === 401) return signIn();
    }
  }

  /** Ask the server for its counts where those of this page are in doubt: soon, and once for many deletions. */
  async #recount() {
    if (this.#recounting || !doubtful(this.#store.state)) return;
    this.#recounting = true;
    for (let attempt = 0; doubtful(this.#store.state); attempt++) {
      await this.#wait(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
      try {
        const { channels } = await this.#api("channel.list");
        this.#store.update((state) => applyCounts(state, channels));
      } catch (error) {
        if (error.status === 401) return signIn();
      }
    }
    this.#recounting = false;
  }

  /** What is looked at, unless it is there or on its way. */
  async loadOpen() {
    await Promise.all([this.loadOpenChannel(), this.loadOpenThread()]);
  }

  /** The newest messages of the channel that is looked at, or those around the one that its address names. */
  async loadOpenChannel({ again = false } = {}) {
    const channel_id = this.#navigation.channel_id;
    const timeline = this.#store.state.timelines[channel_id];
    const cursor = this.#cursor(channel_id);
    const missed = cursor.around_id && timeline?.status !== "loading" && !covers(timeline, cursor.around_id);
    if (!channel_id || !this.#store.state.channels[channel_id] || (timeline && !again && !missed)) return;
    await this.#load(channel_id, cursor);
  }

  /** Leave what is around an old message for the newest ones. */
  async loadNewest(channel_id) {
    await this.#load(channel_id, {});
  }

  #cursor(channel_id) {
    const { message_id } = this.#navigation;
    return message_id && channel_id === this.#navigation.channel_id ? { around_id: message_id } : {};
  }

  async loadOpenThread({ again = false } = {}) {
    const { channel_id, thread_id } = this.#navigation;
    const thread = this.#store.state.replies[thread_id];
    if (!thread_id || !this.#store.state.channels[channel_id] || (thread && !again)) return;
    await this.#loadReplies(channel_id, thread_id, {});
  }

  async loadOlderReplies(root_id) {
    const thread = this.#store.state.replies[root_id];
    if (!thread?.has_more || thread.status === "loading") return;
    await this.#loadReplies(thread.channel_id, root_id, { before_id: thread.messages[0]?.id });
  }

  async #loadReplies(channel_id, root_id, cursor) {
    await this.#fetch(
      "message.replies",
      { message_id: root_id, limit: PAGE, ...cursor },
      (state, status) => applyRepliesStatus(state, root_id, channel_id, status),
      (state, page) => (state.channels[channel_id] ? applyReplies(state, root_id, page, cursor) : state),
    );
  }

  /** Who is in a channel, once: of others than those who wrote something nobody here knows the name. */
  async loadPeople(channel_id) {
    if (this.#peopled.has(channel_id)) return;
    this.#peopled.add(channel_id);
    try {
      const users = [];
      for (let after_id = 0, page = 0; page < PEOPLE_PAGES; page++) {
        const answer = await this.#api("channel.members", { channel_id, after_id, limit: PEOPLE });
        users.push(...answer.members.map(({ user }) => user));
        if (!answer.has_more) break;
        after_id = answer.next_after_id;
      }
      this.#store.update((state) => applyMembers(state, channel_id, users));
    } catch (error) {
      this.#peopled.delete(channel_id);
      if (error.status === 401) return signIn();
    }
  }

  #loadFailed() {
    const { channel_id, thread_id } = this.#navigation;
    const { timelines, replies } = this.#store.state;
    if (timelines[channel_id]?.status === "failed") this.loadOpenChannel({ again: true });
    if (replies[thread_id]?.status === "failed") this.loadOpenThread({ again: true });
  }

  /** The messages before the oldest that is loaded. */
  async loadOlder(channel_id) {
    const timeline = this.#store.state.timelines[channel_id];
    if (!timeline?.has_more || timeline.status === "loading") return;
    const before_id = timeline.messages[0]?.id;
    await this.#load(channel_id, before_id ? { before_id } : {});
  }

  /** The messages after the newest that is loaded, where that is not the newest there is. */
  async loadNewer(channel_id) {
    const timeline = this.#store.state.timelines[channel_id];
    if (!timeline?.has_newer || timeline.status !== "ready") return;
    await this.#load(channel_id, { since_id: timeline.messages.at(-1)?.id ?? 0 });
  }

  async #load(channel_id, cursor) {
    await this.#fetch(
      "message.list",
      { channel_id, limit: PAGE, ...cursor },
      (state, status) => applyTimelineStatus(state, channel_id, status),
      (state, page) => (state.channels[channel_id] ? applyPage(state, channel_id, page, cursor) : state),
    );
  }

  async #fetch(method, params, mark, apply) {
    const round = this.#round;
    const meanwhile = [];
    this.#meanwhile.add(meanwhile);
    this.#store.update((state) => mark(state, "loading"));
    try {
      const page = await this.#api(method, params);
      if (round !== this.#round) return;
      // Changed after the server read the page: an event may overtake an answer.
      this.#store.update((state) =>
        meanwhile.reduce((current, { event, data }) => applyEventToMessages(current, event, data), apply(state, page)),
      );
    } catch (error) {
      if (error.status === 401) return signIn();
      if (round === this.#round) this.#store.update((state) => mark(state, "failed"));
    } finally {
      this.#meanwhile.delete(meanwhile);
    }
  }
}

/**
 * The workspace in which an event lets its reader see people whom they did not see before: all of it, or for a guest those of
 * a channel, also when so many came at once that they were only counted. `before`: what was known before the event.
 * @returns {number | undefined}
 */
function metIn({ event, data }, before) {
  if (event === "workspace.member_joined") return data.user.id === before.me.id ? data.workspace.id : undefined;
  const known = before.channels[data.channel?.id];
  const more = event === "channel.added" || (event === "channel.updated" && data.channel.member_count > known?.member_count);
  const workspace_id = data.channel?.workspace_id ?? known?.workspace_id;
  return more && before.workspaces[workspace_id]?.role === "guest" ? workspace_id : undefined;
}

/** Whether the place of a message is loaded: it is there, or would be if it were not deleted. */
function covers(timeline, message_id) {
  if (!timeline || !isLoaded(timeline)) return false;
  const { messages, has_more, has_newer } = timeline;
  const below = has_more && message_id < messages[0].id;
  const above = has_newer && message_id > (messages.at(-1)?.id ?? 0);
  return !below && !above;
}

function signIn() {
  location.assign(document.body.dataset.login);
}
