/**
 * Messages on their way: on the screen at once, kept over a reload, sent one after the other so that they arrive in the
 * order in which they were written, and sent again by itself when the connection or the server was the trouble. Each has a
 * key, `client_msg_id`: the server answers a repeat with the first message, so none arrives twice.
 */

import { applyMessage, applyPending, patchPending, removePending } from "./store.js";

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 30_000;
// A server that fails at one message again and again must not hold up the others for ever.
const FAILURES = 5;
// Who has to wait longer than this is told so.
const PATIENCE_SECONDS = 30;
// The server remembers keys for a day: an older message might arrive a second time.
const REMEMBERED_MS = 20 * 3_600_000;

/** @typedef {import("./store.js").Pending} Pending */

export class Outbox {
  #store;
  #client;
  #keptOf;
  #explain;
  #setTimeout;
  #clearTimeout;
  #random;
  #now;
  /** @type {?import("./kept.js").Kept} */ #kept = null;
  #storedFor = NaN;
  /** @type {Set<string>} what this browser keeps */ #stored = new Set();
  #sending = false;
  /** @type {any} */ #timer;
  #attempt = 0;
  #failures = new Map();
  /** The server wants to know whether so many people shall really be named. @type {(message: Pending, error: any) => void} */
  onUnconfirmed = () => {};

  /**
   * @param {{ store: any, client: any, keptOf: (user_id: number) => import("./kept.js").Kept, explain: (error: any) => string,
   *   setTimeout?: (run: () => void, ms: number) => any, clearTimeout?: (timer: any) => void, random?: () => number,
   *   now?: () => number }} options
   */
  constructor({
    store,
    client,
    keptOf,
    explain,
    setTimeout = globalThis.setTimeout.bind(globalThis),
    clearTimeout = globalThis.clearTimeout.bind(globalThis),
    random = Math.random,
    now = Date.now,
  }) {
    this.#store = store;
    this.#client = client;
    this.#keptOf = keptOf;
    this.#explain = explain;
    this.#setTimeout = setTimeout;
    this.#clearTimeout = clearTimeout;
    this.#random = random;
    this.#now = now;
    store.listen(() => this.#look());
    client.on("state", ({ state }) => state === "live" && this.#sendAtOnce());
  }

  /** @param {{ channel_id: number, thread_root_id?: ?number, body: string }} message */
  write({ channel_id, thread_root_id = null, body }) {
    const created_at = new Date(this.#now()).toISOString();
    /** @type {Pending} */
    const message = { client_msg_id: randomId(), channel_id, thread_root_id, body, created_at, status: "sending", error: "" };
    this.#keep(message);
    this.#store.update((state) => applyPending(state, message));
    this.#send();
    return message;
  }

  /** @param {Partial<Pending>} more */
  retry(client_msg_id, more = {}) {
    this.#failures.delete(client_msg_id);
    this.#patch(client_msg_id, { status: "waiting", error: "", ...more });
    this.#sendAtOnce();
  }

  discard(client_msg_id) {
    this.#store.update((state) => removePending(state, client_msg_id));
    this.#forget(client_msg_id);
  }

  /** Another tab of this browser changed what is kept: what is settled there is settled here. */
  heard({ key, newValue }) {
    const client_msg_id = this.#kept?.messageOf(key);
    if (client_msg_id && newValue === null) this.#store.update((state) => removePending(state, client_msg_id));
  }

  /** Sign-out: nothing is kept from now on. */
  close() {
    this.#kept = null;
    this.#clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #look() {
    const { me, pending } = this.#store.state;
    if (!me) return;
    if (this.#storedFor !== me.id) return this.#take(me.id);
    // The event or the answer brought it, or its channel is gone.
    for (const client_msg_id of this.#stored) if (!pending[client_msg_id]) this.#forget(client_msg_id);
  }

  /** What a reload interrupted goes on. */
  #take(user_id) {
    this.#storedFor = user_id;
    this.#kept = this.#keptOf(user_id);
    for (const message of Object.values(this.#store.state.pending)) this.#keep(message);
    const messages = this.#kept.messages().filter(({ client_msg_id }) => !this.#store.state.pending[client_msg_id]);
    for (const message of messages) {
      this.#stored.add(message.client_msg_id);
      const old = this.#now() - new Date(message.created_at).getTime() > REMEMBERED_MS;
      const status = old || message.status === "failed" ? "failed" : "waiting";
      this.#store.update((state) => applyPending(state, { ...message, status, error: message.error ?? "" }));
    }
    this.#send();
  }

  #sendAtOnce() {
    this.#clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempt = 0;
    this.#send();
  }

  async #send() {
    if (this.#sending || this.#timer !== undefined) return;
    this.#sending = true;
    try {
      for (let next = this.#next(); next && this.#timer === undefined; next = this.#next()) await this.#deliver(next);
    } finally {
      this.#sending = false;
    }
  }

  #next() {
    return Object.values(this.#store.state.pending).find(({ status }) => status !== "failed");
  }

  /** @param {Pending} message */
  async #deliver({ client_msg_id, channel_id, thread_root_id, body, confirm_mentions }) {
    this.#patch(client_msg_id, { status: "sending", error: "" });
    const more = { ...(thread_root_id && { thread_root_id }), ...(confirm_mentions && { confirm_mentions }) };
    const params = { channel_id, body, client_msg_id, ...more };
    try {
      const { message } = await this.#client.call("message.send", params);
      this.#attempt = 0;
      this.#failures.delete(client_msg_id);
      this.#store.update((state) => removePending(applyMessage(state, message), client_msg_id));
      this.#forget(client_msg_id);
    } catch (error) {
      this.#failed(client_msg_id, error);
    }
  }

  #failed(client_msg_id, error) {
    const message = this.#store.state.pending[client_msg_id];
    if (!message) return;
    // It would be shown nowhere, and tried for ever.
    if (!this.#store.state.channels[message.channel_id]) return this.discard(client_msg_id);
    const failures = (this.#failures.get(client_msg_id) ?? 0) + 1;
    const limited = error.code === "rate_limited" && (error.retry_after ?? 0) <= PATIENCE_SECONDS;
    const broken = error.code === "internal_error" || error.status === 500 || error.status === 401;
    if (error.lost || limited || (broken && failures < FAILURES)) {
      if (broken) this.#failures.set(client_msg_id, failures);
      this.#patch(client_msg_id, { status: "waiting", error: limited ? this.#explain(error) : "" });
      return this.#later((error.retry_after ?? 0) * 1_000);
    }
    this.#patch(client_msg_id, { status: "failed", error: this.#explain(error) });
    if (error.code === "mention_unconfirmed") this.onUnconfirmed(message, error);
  }

  #later(at_least_ms) {
    const ceiling_ms = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt++);
    this.#timer = this.#setTimeout(
      () => {
        this.#timer = undefined;
        this.#send();
      },
      at_least_ms + ceiling_ms / 2 + (this.#random() * ceiling_ms) / 2,
    );
  }

  #patch(client_msg_id, patch) {
    this.#store.update((state) => patchPending(state, client_msg_id, patch));
    const message = this.#store.state.pending[client_msg_id];
    if (message) this.#keep(message);
  }

  #keep(message) {
    this.#kept?.keepMessage(message);
    if (this.#kept) this.#stored.add(message.client_msg_id);
  }

  #forget(client_msg_id) {
    this.#stored.delete(client_msg_id);
    this.#kept?.forgetMessage(client_msg_id);
  }
}

/** `crypto.randomUUID` is there on https and localhost only, and a server in the next room has neither. */
function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
