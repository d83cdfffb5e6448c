/** Which workspace and channel are looked at. The address says it (#/channels/3), so back, forward and reload work. */

import { channelsOf, workspacesInOrder } from "./store.js";

const LAST = "meshsite.last";
const KINDS = ["public", "private", "direct"];

export class Navigation {
  #store;
  #listeners = new Set();
  /** @type {?number} */ channel_id = null;
  /** @type {?number} */ workspace_id = null;

  constructor(store) {
    this.#store = store;
    this.#read(location.hash);
    addEventListener("hashchange", () => {
      this.#read(location.hash);
      this.settle();
      this.#tell();
    });
  }

  listen(listener) {
    this.#listeners.add(listener);
  }

  openChannel(channel_id) {
    location.hash = `#/channels/${channel_id}`;
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
    }
    if (this.channel_id) remember(this.workspace_id, this.channel_id);
    if (this.channel_id === before) return;
    const address = this.channel_id ? `#/channels/${this.channel_id}` : "#/";
    history.replaceState(null, "", address);
    this.#tell();
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
    const [, noun, id] = hash.match(/^#\/(channels|workspaces)\/(\d+)$/) ?? [];
    if (noun === "channels") this.channel_id = Number(id);
    if (noun === "workspaces") [this.workspace_id, this.channel_id] = [Number(id), null];
  }

  #tell() {
    for (const listener of this.#listeners) listener();
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
