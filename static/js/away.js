/**
 * Whether the person of this page said that they are away. They stay it, whatever they do here meanwhile and in every tab
 * of this browser, until they say otherwise or sign out: who only looks up a message does not want to be seen for it.
 * Another device knows nothing of it: who goes on there is there.
 */

import { applyPresence } from "./store.js";

const KEY = "meshsite.away";

export class Away {
  #store;
  #client;
  #user_id = NaN;

  constructor({ store, client }) {
    this.#store = store;
    this.#client = client;
    client.on("hello", ({ user_id, session }) => {
      this.#user_id = user_id;
      // A session that is new to the server begins as that of somebody who is there.
      if (this.declared) client.call("presence.set_away", { away: true, session }).catch(() => {});
    });
  }

  get declared() {
    return localStorage.getItem(KEY) === String(this.#user_id);
  }

  /** For all sessions of the person. Rejects with what the server says against it. */
  async declare(away) {
    const { presence } = await this.#client.call("presence.set_away", { away });
    if (away) localStorage.setItem(KEY, String(this.#user_id));
    else this.forget();
    this.#store.update((state) => applyPresence(state, presence));
  }

  forget() {
    localStorage.removeItem(KEY);
  }
}
