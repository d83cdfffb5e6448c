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
  applyPage,
  applyPeople,
  applyPresence,
  applyTimelineStatus,
  doubtful,
  isLoaded,
} from "./store.js";

const PAGE = 50;
const PEOPLE = 100;
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
        const page = unloaded && (await this.#api("message.list", { channel_id, limit: PAGE }));
        if (round !== this.#round) return;
        this.#begin(boot, changes, channel_id, page);
        // Another channel may have been opened in the meantime.
        return this.loadOpenChannel();
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

  #begin(boot, changes, channel_id, page) {
    // Pages that are still on their way belong to what is replaced here.
    this.#round++;
    this.#peopled.clear();
    const later = (this.#held ?? []).filter(({ seq }) => seq > boot.seq);
    this.#held = null;
    this.#store.update((state) => {
      const kept = [...changes].filter(([id]) => state.timelines[id] && isLoaded(state.timelines[id]));
      const caught = kept.reduce(
        (current, [id, changed]) => applyChanges(current, id, state.timelines[id], changed),
        applyBoot(state, boot),
      );
      const opened = page ? applyPage(caught, channel_id, page) : caught;
      return later.reduce((current, { event, data }) => applyEvent(current, event, data), opened);
    });
    this.#recount();
  }

  /**
   * What changed in each channel of which messages are loaded. One that cannot be brought to date is left out: it is loaded
   * anew when it is looked at.
   * @returns {Promise<Map<number, object[]>>}
   */
  async #changes(boot) {
    const { channels, timelines } = this.#store.state;
    const changes = new Map();
    for (const { id, rev } of boot.channels) {
      const since_rev = channels[id]?.rev;
      if (!timelines[id] || !isLoaded(timelines[id]) || !(rev >= since_rev)) continue;
      const changed = rev === since_rev ? [] : await this.#changesOf(id, since_rev);
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
        if (!answer.has_more) return all;
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
    this.#store.update((state) => applyEvent(state, frame.event, frame.data));
    if (frame.event === "message.deleted") this.#recount();
    if (frame.event === "workspace.member_joined") this.#meet(frame.data);
  }

  /** Who comes into a workspace is told of changes from then on, and has to ask for how it is. */
  async #meet({ workspace, user }) {
    if (user.id !== this.#store.state.me.id) return;
    try {
      const { presence } = await this.#api("presence.list", { workspace_id: workspace.id });
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

  /** The newest messages of the channel that is looked at, unless they are there or on their way. */
  async loadOpenChannel({ again = false } = {}) {
    const channel_id = this.#navigation.channel_id;
    const timeline = this.#store.state.timelines[channel_id];
    if (!channel_id || !this.#store.state.channels[channel_id] || (timeline && !again)) return;
    await this.#load(channel_id, {});
  }

  /** The names of members, once: of others than those who wrote something nobody here knows one. */
  async loadPeople(channel_id) {
    if (this.#peopled.has(channel_id)) return;
    this.#peopled.add(channel_id);
    try {
      const { members } = await this.#api("channel.members", { channel_id, limit: PEOPLE });
      this.#store.update((state) => applyPeople(state, members.map(({ user }) => user)));
    } catch (error) {
      if (error.status === 401) return signIn();
    }
  }

  #loadFailed() {
    if (this.#store.state.timelines[this.#navigation.channel_id]?.status === "failed") this.loadOpenChannel({ again: true });
  }

  /** The messages before the oldest that is loaded. */
  async loadOlder(channel_id) {
    const timeline = this.#store.state.timelines[channel_id];
    if (!timeline?.has_more || timeline.status === "loading") return;
    await this.#load(channel_id, { before_id: timeline.messages[0]?.id });
  }

  async #load(channel_id, cursor) {
    const round = this.#round;
    const meanwhile = [];
    this.#meanwhile.add(meanwhile);
    this.#store.update((state) => applyTimelineStatus(state, channel_id, "loading"));
    try {
      const page = await this.#api("message.list", { channel_id, limit: PAGE, ...cursor });
      if (round !== this.#round) return;
      this.#store.update((state) => {
        if (!state.channels[channel_id]) return state;
        // Changed after the server read the page: an event may overtake an answer.
        const paged = applyPage(state, channel_id, page, cursor);
        return meanwhile.reduce((current, { event, data }) => applyEventToMessages(current, event, data), paged);
      });
    } catch (error) {
      if (error.status === 401) return signIn();
      if (round === this.#round) this.#store.update((state) => applyTimelineStatus(state, channel_id, "failed"));
    } finally {
      this.#meanwhile.delete(meanwhile);
    }
  }
}

function signIn() {
  location.assign(document.body.dataset.login);
}
