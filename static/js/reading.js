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
  #marking = false;
  /** What the server was asked last, and at which version: it is not asked again for what it does not do. */
  #asked = "";

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
    // What the server said, not what is shown already: of messages that came meanwhile it has still to be told.
    if (!channel || channel.held || !newest || timeline.has_newer || newest.id <= channel.read_id) return;
    if (!attentive() || !this.#timeline.atEnd || this.#retry) return;
    this.#store.update((state) => applyOwnRead(state, channel_id, newest.id));
    this.#mark(channel, newest.id);
  }

  /** One at a time: where messages come faster than answers, an answer about an older one must not cause a call of its own. */
  async #mark(channel, last_read_id) {
    const sign = `${channel.id} ${last_read_id} ${channel.read_version}`;
    if (this.#marking || sign === this.#asked) return;
    this.#marking = true;
    this.#asked = sign;
    try {
      const told = await this.#client.call("read.mark", { channel_id: channel.id, last_read_id });
      this.#store.update((state) => applyReadAnswer(state, told));
    } catch {
      this.#asked = "";
      this.#again(channel);
    }
    this.#marking = false;
    this.look();
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
