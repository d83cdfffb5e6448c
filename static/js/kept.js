/**
 * What this browser keeps for a person over a reload: what they began to write, and what is on its way. In the name of that
 * person, so that nobody else who signs in here finds it; and gone when they sign out.
 */

const DRAFTS = "meshsite.drafts.";
const OUTBOX = "meshsite.outbox.";
const DRAFTS_KEPT = 50;
const MESSAGES_KEPT = 50;

export class Kept {
  #storage;
  #user_id;

  /** @param {{ user_id: number, storage?: Storage }} options */
  constructor({ user_id, storage = localStorage }) {
    this.#storage = storage;
    this.#user_id = user_id;
  }

  /** @param {string} place "c5" for a channel, "t57" for a thread */
  draft(place) {
    return this.#drafts()[place] ?? "";
  }

  keepDraft(place, text) {
    const { [place]: _before, ...others } = this.#drafts();
    const all = text ? { ...others, [place]: text } : others;
    // The oldest go first: names that are not numbers stay in the order in which they came.
    const kept = Object.entries(all).slice(-DRAFTS_KEPT);
    this.#write(DRAFTS + this.#user_id, kept.length ? JSON.stringify(Object.fromEntries(kept)) : null);
  }

  /** Messages that were not confirmed, oldest first. @returns {import("./store.js").Pending[]} */
  messages() {
    return this.#messageKeys()
      .map((key) => parse(this.#storage.getItem(key)))
      .filter((message) => message?.client_msg_id && message.channel_id)
      .sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }

  /** Each has a key of its own, so that two tabs do not write over each other. */
  keepMessage(message) {
    const key = this.#keyOf(message.client_msg_id);
    const keys = this.#messageKeys();
    if (keys.length < MESSAGES_KEPT || keys.includes(key)) this.#write(key, JSON.stringify(message));
  }

  forgetMessage(client_msg_id) {
    this.#write(this.#keyOf(client_msg_id), null);
  }

  /** @returns {?string} the message that this key of the storage is about */
  messageOf(key) {
    return key?.startsWith(this.#keyOf("")) ? key.slice(this.#keyOf("").length) : null;
  }

  #drafts() {
    return parse(this.#storage.getItem(DRAFTS + this.#user_id)) ?? {};
  }

  #keyOf(client_msg_id) {
    return `${OUTBOX}${this.#user_id}.${client_msg_id}`;
  }

  #messageKeys() {
    return keysOf(this.#storage).filter((key) => key.startsWith(this.#keyOf("")));
  }

  #write(key, text) {
    try {
      if (text === null) this.#storage.removeItem(key);
      else this.#storage.setItem(key, text);
    } catch {
      // A full storage keeps less over a reload; nothing else depends on it.
    }
  }
}

/** Sign-out: what was begun here is nobody's business who comes later. */
export function forgetAll(storage = localStorage) {
  for (const key of keysOf(storage)) if (key.startsWith(DRAFTS) || key.startsWith(OUTBOX)) storage.removeItem(key);
}

function keysOf(storage) {
  return Array.from({ length: storage.length }, (_, at) => storage.key(at));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
