/** Who types: told to the others from here, and shown under the messages here. */

import { setText } from "./elements.js";
import { gettext, interpolate } from "./i18n.js";
import { applyTyping, expireTyping, nameOf, typistsOf } from "./store.js";

const FIRST_BACKOFF_MS = 5_000;
const LAST_BACKOFF_MS = 60_000;
const SPEAK_AFTER_MS = 1_000;
const SILENT_AFTER_MS = 15_000;

/** Tells the server that the person here types, and that they stopped. Nobody waits for it, so trouble only makes it rarer. */
export class TypingRelay {
  #client;
  #seconds;
  #now;
  /** @type {?number} the channel where the others may see it */ #channel_id = null;
  #started_at = -Infinity;
  #quiet_until = -Infinity;
  #backoff_ms = FIRST_BACKOFF_MS;

  /**
   * @param {{ client: any, seconds: () => number, now?: () => number }} options
   *   `seconds`: how long it is shown after it was told
   */
  constructor({ client, seconds, now = () => performance.now() }) {
    this.#client = client;
    this.#seconds = seconds;
    this.#now = now;
  }

  typed(channel_id) {
    const now = this.#now();
    const told = this.#channel_id === channel_id && now - this.#started_at < (this.#seconds() / 2) * 1_000;
    if (told || now < this.#quiet_until) return;
    this.#channel_id = channel_id;
    this.#started_at = now;
    this.#relay(channel_id, "start");
  }

  /** The field is empty again, or left. */
  stopped() {
    const channel_id = this.#channel_id;
    this.#channel_id = null;
    const shown = this.#now() - this.#started_at < this.#seconds() * 1_000;
    if (channel_id && shown) this.#relay(channel_id, "stop");
  }

  /** The message itself ends it for everybody. */
  sent() {
    this.#channel_id = null;
  }

  async #relay(channel_id, state) {
    try {
      await this.#client.call("typing.relay", { channel_id, state });
      this.#backoff_ms = FIRST_BACKOFF_MS;
    } catch (error) {
      this.#channel_id = null;
      this.#quiet_until = this.#now() + Math.max(this.#backoff_ms, (error.retry_after ?? 0) * 1_000);
      this.#backoff_ms = Math.min(this.#backoff_ms * 2, LAST_BACKOFF_MS);
    }
  }
}

/** The line under the messages. */
export class TypingLine {
  #store;
  #navigation;
  #onUnknown;
  #line = document.getElementById("typing");
  #text = document.getElementById("typing-text");
  #spoken = document.getElementById("typing-spoken");
  #shown = "";
  /** @type {any} */ #speaking;
  /** @type {any} */ #expiring;

  /**
   * @param {{ store: any, client: any, navigation: any, onUnknown: (channel_id: number) => void }} options
   *   `onUnknown`: somebody types of whom nobody here knows the name
   */
  constructor({ store, client, navigation, onUnknown }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#onUnknown = onUnknown;
    client.on("ephemeral", ({ event, data }) => event === "typing.updated" && this.#take(data));
  }

  draw() {
    const channel_id = this.#navigation.channel_id;
    const typists = typistsOf(this.#store.state, channel_id);
    if (typists.includes(undefined)) this.#onUnknown(channel_id);
    const text = typingText(typists);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#line.classList.toggle("active", Boolean(text));
    setText(this.#text, text);
    this.#speak(text);
  }

  #take(data) {
    this.#store.update((state) => applyTyping(state, data, performance.now()));
    clearTimeout(this.#expiring);
    this.#expire();
  }

  #expire() {
    const ends = Object.values(this.#store.state.typing).map(({ until }) => until);
    if (ends.length === 0) return;
    this.#expiring = setTimeout(
      () => {
        this.#store.update((state) => expireTyping(state, performance.now()));
        this.#expire();
      },
      Math.max(0, Math.min(...ends) - performance.now()),
    );
  }

  /** Who pauses and goes on again is not announced anew, nor somebody who types for a moment only. */
  #speak(text) {
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => setText(this.#spoken, text), text ? SPEAK_AFTER_MS : SILENT_AFTER_MS);
  }
}

/** @param {(import("./store.js").User | undefined)[]} typists */
export function typingText(typists) {
  const [one, two] = typists.map((user) => (user ? nameOf(user) : gettext("Somebody")));
  if (typists.length > 2) return gettext("Several people are typing");
  if (typists.length === 2) return interpolate(gettext("%(one)s and %(two)s are typing"), { one, two });
  return typists.length === 1 ? interpolate(gettext("%(name)s is typing"), { name: one }) : "";
}
