/**
 * Keeps the store equal to the server: a boot, then every event in order. While a boot is on its way events are held
 * back, and afterwards those that it does not know yet are applied.
 */

import { api } from "./api.js";
import { applyBoot, applyEvent, applyPage, applyTimelineStatus } from "./store.js";

const PAGE = 50;
const RETRY_MS = [1_000, 2_000, 5_000, 10_000];

export class Sync {
  #store;
  #client;
  #navigation;
  #held = /** @type {?object[]} */ ([]);
  #round = 0;
  #asked = false;

  constructor({ store, client, navigation }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    client.on("event", (frame) => this.#take(frame));
    client.on("resync", () => this.refetch());
    // The first boot waits for the first hello, so that no event falls between the two; where the socket does not come
    // up at all, the page shows what there is without it.
    client.on("hello", () => (this.#asked ? this.#loadFailed() : this.refetch()));
    client.on("state", ({ state }) => state === "reconnecting" && !this.#asked && this.refetch());
  }

  async refetch() {
    const round = ++this.#round;
    this.#asked = true;
    this.#held ??= [];
    for (let attempt = 0; ; attempt++) {
      try {
        const boot = await api("client.boot");
        const channel_id = this.#navigation.channelAfter(boot);
        const page = channel_id && (await api("message.list", { channel_id, limit: PAGE }));
        if (round !== this.#round) return;
        this.#begin(boot, channel_id, page);
        // Another channel may have been opened in the meantime.
        return this.loadOpenChannel();
      } catch (error) {
        if (error.status === 401) return signIn();
        await new Promise((resume) => setTimeout(resume, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
        if (round !== this.#round) return;
      }
    }
  }

  #begin(boot, channel_id, page) {
    const later = (this.#held ?? []).filter(({ seq }) => seq > boot.seq);
    this.#held = null;
    this.#store.update((state) => {
      const booted = applyBoot(state, boot);
      const opened = page ? applyPage(booted, channel_id, page) : booted;
      return later.reduce((current, { event, data }) => applyEvent(current, event, data), opened);
    });
  }

  #take(frame) {
    if (this.#held) this.#held.push(frame);
    else this.#store.update((state) => applyEvent(state, frame.event, frame.data));
  }

  /** The newest messages of the channel that is looked at, unless they are there or on their way. */
  async loadOpenChannel({ again = false } = {}) {
    const channel_id = this.#navigation.channel_id;
    const timeline = this.#store.state.timelines[channel_id];
    if (!channel_id || !this.#store.state.channels[channel_id] || (timeline && !again)) return;
    await this.#load(channel_id, {});
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
    this.#store.update((state) => applyTimelineStatus(state, channel_id, "loading"));
    try {
      const page = await api("message.list", { channel_id, limit: PAGE, ...cursor });
      if (round !== this.#round) return;
      this.#store.update((state) => (state.channels[channel_id] ? applyPage(state, channel_id, page, cursor) : state));
    } catch (error) {
      if (error.status === 401) return signIn();
      if (round === this.#round) this.#store.update((state) => applyTimelineStatus(state, channel_id, "failed"));
    }
  }
}

function signIn() {
  location.assign(document.body.dataset.login);
}
