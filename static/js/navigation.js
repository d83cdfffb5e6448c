/**
 * Which workspace, channel, message and thread are looked at. The address says it, so back, forward and reload work:
 * #/channels/3, #/channels/3/57 for a message in it, #/channels/3/threads/57 for the thread beside it.
 */

import { channelsOf, workspacesInOrder } from "./store.js";

const LAST = "meshsite.last";
const KINDS = ["public", "private", "direct"];

export class Navigation {
  #store;
  #listeners = new Set();
  /** @type {?number} */ channel_id = null;
  /** @type {?number} */ workspace_id = null;
  /** @type {?number} where the address points to */ message_id = null;
  /** @type {?number} the root of the thread that is open beside */ thread_id = null;

  constructor(store) {
    this.#store = store;
    this.#read(location.hash);
    addEventListener("hashchange", () => {
      const left = this.channel_id;
      this.#read(location.hash);
      this.settle();
      this.#tell({ opened: this.channel_id !== left });
    });
  }

  listen(listener) {
    this.#listeners.add(listener);
  }

  openChannel(channel_id) {
    location.hash = `#/channels/${channel_id}`;
  }

  openMessage(channel_id, message_id) {
    const address = `#/channels/${channel_id}/${message_id}`;
    if (location.hash !== address) return void (location.hash = address);
    this.#read(address);
    this.#tell({ opened: false });
  }

  openThread(channel_id, root_id) {
    location.hash = `#/channels/${channel_id}/threads/${root_id}`;
  }

  closeThread() {
    if (!this.thread_id) return;
    this.thread_id = null;
    this.openChannel(this.channel_id);
  }

  /** What the address of a message pointed to was found, and need not be looked for again. */
  arrived() {
    this.message_id = null;
  }

  openWorkspace(workspace_id) {
    location.hash = `#/workspaces/${workspace_id}`;
  }

  /** Where to be with what the store knows: an address may name a channel that is gone, or none at all. */
  settle() {
    const { state } = this.#store;
    if (!state.me) return;
    const before = this.channel_id;
    const named = state.channels[this.channel_id];
    if (named) this.workspace_id = named.workspace_id;
    else {
      const known = state.workspaces[this.workspace_id] ?? workspacesInOrder(state)[0];
      this.workspace_id = known?.id ?? null;
      this.channel_id = this.#preferred(state);
      this.message_id = this.thread_id = null;
    }
    if (this.channel_id) remember(this.workspace_id, this.channel_id);
    if (this.channel_id === before) return;
    const address = this.channel_id ? `#/channels/${this.channel_id}` : "#/";
    history.replaceState(null, "", address);
    this.#tell({ opened: true });
  }

  /** The channel that will be looked at once this boot is applied: its messages are fetched together with it. */
  channelAfter(boot) {
    if (boot.channels.some(({ id }) => id === this.channel_id)) return this.channel_id;
    return null;
  }

  #preferred(state) {
    if (!this.workspace_id) return null;
    const channels = channelsOf(state, this.workspace_id, KINDS);
    const last = recall()[this.workspace_id];
    return (channels.find(({ id }) => id === last) ?? channels[0])?.id ?? null;
  }

  #read(hash) {
    const [, noun, id, threads, further] = hash.match(/^#\/(channels|workspaces)\/(\d+)(?:\/(threads\/)?(\d+))?$/) ?? [];
    if (noun === "channels") {
      this.channel_id = Number(id);
      this.message_id = further && !threads ? Number(further) : null;
      this.thread_id = further && threads ? Number(further) : null;
    }
    if (noun === "workspaces") {
      [this.workspace_id, this.channel_id] = [Number(id), null];
      this.message_id = this.thread_id = null;
    }
  }

  #tell(change) {
    for (const listener of this.#listeners) listener(change);
  }
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(LAST) ?? "{}");
  } catch {
    return {};
  }
}

function remember(workspace_id, channel_id) {
  const last = recall();
  if (last[workspace_id] !== channel_id) localStorage.setItem(LAST, JSON.stringify({ ...last, [workspace_id]: channel_id }));
}
