/**
 * In a large workspace the server tells of the presence of those only whom a page asks for. This asks for whom it shows:
 * soon after that changed, and again before the server forgets it.
 */

import { shownPeople } from "./presence.js";
import { applyPresence } from "./store.js";

const AT_ONCE = 500;
const SOON_MS = 1_000;
const RETRY_MS = 30_000;

export class Watching {
  #store;
  #client;
  #navigation;
  /** @type {any} */ #timer;
  #ask_at = Infinity;
  /** Whom the server was asked for last, as a text to compare. */
  #asked = "";
  /** Whom it told of. A new boot knows nothing of them. @type {number[]} */
  #told = [];

  constructor({ store, client, navigation }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    client.on("hello", () => this.again());
  }

  /** Another tab may have asked for others since: the last one to ask is the one who is told. */
  again() {
    this.#asked = "";
    this.look();
  }

  look() {
    const { presence } = this.#store.state;
    const forgotten = this.#told.some((user_id) => !presence[user_id]);
    if (this.#large && (forgotten || this.#asked !== String(this.#wanted()))) this.#askIn(SOON_MS);
  }

  get #large() {
    const { limits, workspaces } = this.#store.state;
    return workspaces[this.#navigation.workspace_id]?.member_count > (limits.presence_members ?? Infinity);
  }

  /** In one order, whatever the order on the page is. */
  #wanted() {
    return shownPeople().slice(0, AT_ONCE).sort((a, b) => a - b);
  }

  #askIn(ms) {
    const at = performance.now() + ms;
    // On a busy page something changes all the time.
    if (at >= this.#ask_at) return;
    this.#ask_at = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#ask_at = Infinity;
      this.#ask();
    }, ms);
  }

  async #ask() {
    this.#asked = "";
    if (!this.#large) return;
    const user_ids = this.#wanted();
    this.#asked = String(user_ids);
    try {
      const { presence } = await this.#client.call("presence.watch", { user_ids });
      this.#told = presence.map(({ user_id }) => user_id);
      this.#store.update((state) => presence.reduce(applyPresence, state));
      this.#askIn((this.#store.state.limits.watch_seconds / 2) * 1_000);
    } catch {
      this.#askIn(RETRY_MS);
    }
  }
}
