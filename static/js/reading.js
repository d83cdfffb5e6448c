/**
 * Tells the server what was read: the newest message of the open channel, while a person looks at it. Not where they marked
 * something unread, here or on another device, until they open the channel again.
 */

import { applyOwnRead, applyReadAnswer, undoOwnRead } from "./store.js";

const RETRY_MS = 5_000;

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
    const timeline = this.#store.state.timelines[channel_id];
    const newest = timeline?.messages.at(-1);
    if (!channel || channel.held || !newest || timeline.has_newer || newest.id <= channel.last_read_id) return;
    if (!attentive() || !this.#timeline.atEnd || this.#retry) return;
    this.#store.update((state) => applyOwnRead(state, channel_id, newest.id));
    this.#client.call("read.mark", { channel_id, last_read_id: newest.id }).then(
      (told) => this.#store.update((state) => applyReadAnswer(state, told)),
      () => this.#again(channel),
    );
  }

  /** It was not told: the cursor is put back, so that the next look tells it again. */
  #again(channel) {
    this.#store.update((state) => undoOwnRead(state, channel));
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.look();
    }, RETRY_MS);
  }
}

export function attentive() {
  return document.visibilityState === "visible" && document.hasFocus();
}
