/** Tells the server what was read: the newest message of the open channel, while a person looks at it. */

import { applyOwnRead } from "./store.js";

export class Reading {
  #store;
  #client;
  #navigation;
  #timeline;
  #retry;

  constructor({ store, client, navigation, timeline }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    this.#timeline = timeline;
    timeline.onReachedEnd = () => this.look();
    client.on("state", ({ state }) => state === "live" && this.look());
  }

  look() {
    const channel_id = this.#navigation.channel_id;
    const channel = this.#store.state.channels[channel_id];
    const newest = this.#store.state.timelines[channel_id]?.messages.at(-1);
    if (!channel || !newest || newest.id <= channel.last_read_id) return;
    if (!attentive() || !this.#timeline.atEnd || this.#retry) return;
    this.#store.update((state) => applyOwnRead(state, channel_id, newest.id));
    this.#client.call("read.mark", { channel_id, last_read_id: newest.id }).catch(() => this.#again(channel));
  }

  /** It was not told: the cursor is put back, so that the next look tells it again. */
  #again(channel) {
    const { last_read_id, unread_count, mention_count } = channel;
    this.#store.update((state) => {
      const known = state.channels[channel.id];
      if (!known) return state;
      const restored = { ...known, last_read_id, unread_count, mention_count };
      return { ...state, channels: { ...state.channels, [channel.id]: restored } };
    });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.look();
    }, 5_000);
  }
}

export function attentive() {
  return document.visibilityState === "visible" && document.hasFocus();
}
