/** The quick way to a channel or a person: a few letters of its name, the arrows and Enter. */

import { api, sentence } from "./api.js";
import { avatar, element, icon, reconcile, setText } from "./elements.js";
import { closeByClick, openDialog } from "./forms.js";
import { gettext } from "./i18n.js";
import { found } from "./matching.js";
import { say } from "./notices.js";
import { longestWord } from "./people_picker.js";
import { applyChannel, applyPeople, channelName, nameOf, othersOf, partnerOf, shownUnread } from "./store.js";

const TYPED_MS = 120;
const PEOPLE = 30;

const byId = (id) => document.getElementById(id);

/**
 * Everything that one can go to: channels where something is unread first, then channels here, then elsewhere, then people
 * with whom no direct channel is open yet.
 * @param {any} state
 * @param {number} workspace_id
 * @param {any[]} people of the workspace
 */
export function placesOf(state, workspace_id, people) {
  const channels = Object.values(state.channels).map((channel) => {
    const name = channelName(state, channel);
    const usernames = channel.kind === "direct" ? othersOf(state, channel).map(({ username }) => username) : [];
    const elsewhere = channel.workspace_id === workspace_id ? "" : (state.workspaces[channel.workspace_id]?.name ?? "");
    return {
      key: `c${channel.id}`,
      channel,
      name,
      elsewhere,
      texts: [name, ...usernames, elsewhere].filter(Boolean),
      weight: weightOf(channel, elsewhere),
    };
  });
  const direct = new Set(
    Object.values(state.channels)
      .filter((channel) => channel.kind === "direct" && channel.workspace_id === workspace_id)
      .map((channel) => partnerOf(state, channel)?.id),
  );
  const others = people
    .filter((user) => user.active !== false && !direct.has(user.id))
    .map((user) => ({
      key: `u${user.id}`,
      user,
      name: nameOf(user),
      elsewhere: "",
      texts: [nameOf(user), user.username],
      weight: -2,
    }));
  const byName = (a, b) => a.name.localeCompare(b.name);
  return [...channels.sort(byName), ...others.sort(byName)];
}

function weightOf(channel, elsewhere) {
  if (channel.archived) return -3;
  const call = channel.mention_count + (channel.kind === "direct" ? shownUnread(channel) : 0);
  const unread = call ? 4 : shownUnread(channel) ? 2 : 0;
  return unread - (elsewhere ? 1 : 0);
}

export class Switcher {
  #store;
  #navigation;
  #dialog = /** @type {HTMLDialogElement} */ (byId("switcher"));
  #field = /** @type {HTMLInputElement} */ (byId("switcher-query"));
  #list = byId("switcher-list");
  #people = [];
  /** @type {ReturnType<typeof placesOf>} */ #offered = [];
  #at = 0;
  #busy = false;
  #round = 0;
  /** @type {any} */ #typed;

  constructor({ store, navigation }) {
    this.#store = store;
    this.#navigation = navigation;
    closeByClick(this.#dialog);
    const button = byId("open-switcher");
    button.addEventListener("click", () => this.open());
    if (/Mac|iPhone|iPad/.test(navigator.platform)) setText(button.querySelector("kbd"), "⌘ K");
    document.addEventListener("keydown", (event) => this.#shortcut(event));
    this.#field.addEventListener("input", () => this.#asked());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.#go(this.#offered[[...this.#list.children].indexOf(row)]);
    });
    store.listen(() => this.draw());
  }

  open() {
    if (!this.#store.state.me) return;
    this.#field.value = "";
    this.#at = 0;
    openDialog(this.#dialog.id);
    this.#field.focus();
    this.draw();
    this.#look();
  }

  draw() {
    if (!this.#dialog.open) return;
    const before = this.#offered[this.#at]?.key;
    const places = placesOf(this.#store.state, this.#navigation.workspace_id, this.#people);
    this.#offered = found(places, this.#field.value);
    // What comes while one looks must not change what is chosen.
    const again = this.#at ? this.#offered.findIndex(({ key }) => key === before) : 0;
    this.#at = Math.max(0, again);
    this.#show();
  }

  #show() {
    reconcile(
      this.#list,
      this.#offered.map((place, at) => ({
        key: place.key,
        sign: this.#signOf(place, at),
        make: () => this.#row(place, at),
      })),
    );
    const active = this.#list.children[this.#at];
    this.#field.setAttribute("aria-activedescendant", active?.id ?? "");
    active?.scrollIntoView({ block: "nearest" });
    setText(
      byId("switcher-note"),
      this.#offered.length ? "" : this.#busy ? gettext("Looking…") : gettext("Nothing of this name."),
    );
  }

  #shortcut(event) {
    const wanted = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!wanted || event.isComposing) return;
    event.preventDefault();
    if (this.#dialog.open) return this.#dialog.close();
    // A question that waits for an answer is not to be covered.
    if (!document.querySelector("dialog[open]")) this.open();
  }

  #asked() {
    this.#at = 0;
    this.#busy = true;
    this.draw();
    clearTimeout(this.#typed);
    this.#typed = setTimeout(() => this.#look(), TYPED_MS);
  }

  async #look() {
    const { workspace_id } = this.#navigation;
    const round = ++this.#round;
    if (!workspace_id) return;
    try {
      const { users } = await api("user.list", { workspace_id, query: longestWord(this.#field.value), limit: PEOPLE });
      if (round !== this.#round) return;
      this.#people = users;
      this.#store.update((state) =>
        applyPeople(
          state,
          users.map(({ role: _role, silenced_until: _silenced, ...user }) => user),
        ),
      );
    } catch {
      // The channels are here without them.
      if (round !== this.#round) return;
      this.#people = [];
    }
    this.#busy = false;
    this.draw();
  }

  #key(event) {
    if (event.isComposing) return;
    const { length } = this.#offered;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && length) {
      event.preventDefault();
      this.#at = (this.#at + step + length) % length;
      this.#show();
    }
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (length) this.#go(this.#offered[this.#at]);
  }

  async #go({ channel, user }) {
    this.#dialog.close();
    if (channel) return this.#navigation.openChannel(channel.id);
    try {
      const peer_ids = user.id === this.#store.state.me.id ? [] : [user.id];
      const answer = await api("channel.create", { workspace_id: this.#navigation.workspace_id, kind: "direct", peer_ids });
      this.#store.update((state) => applyChannel(state, answer.channel));
      this.#navigation.openChannel(answer.channel.id);
    } catch (error) {
      say(sentence(error), { bad: true });
    }
  }

  #signOf({ name, channel, user, elsewhere }, at) {
    const counts = channel
      ? `${channel.kind} ${channel.archived} ${shownUnread(channel)} ${channel.mention_count}`
      : user.avatar_url;
    return `${at} ${at === this.#at} ${name} ${elsewhere} ${counts}`;
  }

  #row({ name, channel, user, elsewhere }, at) {
    const unread = channel ? shownUnread(channel) : 0;
    const note = channel?.archived ? gettext("archived") : user ? `@${user.username}` : elsewhere;
    return element(
      unread ? "li.name.has-unread" : "li.name",
      {
        role: "option",
        id: `place-${channel ? "c" : "u"}${(channel ?? user).id}`,
        "aria-selected": String(at === this.#at),
      },
      this.#sign(channel, user),
      element("bdi.name-shown", {}, name),
      note && element("span.name-user", {}, note),
      unread > 0 && element("span.badge", {}, unread > 99 ? "99+" : String(unread)),
    );
  }

  #sign(channel, user) {
    if (user) return avatar(user);
    const partner = partnerOf(this.#store.state, channel);
    if (partner) return avatar(partner);
    return element("span.name-sign", {}, icon({ private: "lock", direct: "people" }[channel.kind] ?? "hash"));
  }
}
