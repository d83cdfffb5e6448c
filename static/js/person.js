/** Somebody's card: who they are, whether they are there, what time it is for them, and the way to write to them. */

import { api } from "./api.js";
import { element, setText } from "./elements.js";
import { showFacts } from "./facts.js";
import { attempt, closeByClick, openDialog, tell } from "./forms.js";
import { gettext, language } from "./i18n.js";
import { portrait, presenceText, statusLine } from "./presence.js";
import { roleName } from "./roles.js";
import { applyChannel, applyPeople, nameOf } from "./store.js";

const CLOCK_MS = 20_000;

const byId = (id) => document.getElementById(id);

/** Their name, which opens their card. @param {import("./store.js").User} user */
export function personLink(user, text = nameOf(user)) {
  return element("button.person-link", { type: "button", "data-person": user.id }, element("bdi", {}, text));
}

/** Both of their names and what they say of themselves, for a row of a list. @param {import("./store.js").User} user */
export function memberName(user, text) {
  return element(
    "span.choice-name",
    {},
    personLink(user, text),
    element("small", {}, `@${user.username}`),
    statusLine(user),
  );
}

export class PersonCard {
  #store;
  #navigation;
  #onPeople;
  #dialog = /** @type {HTMLDialogElement} */ (byId("person-dialog"));
  #user_id = 0;
  #role = "";
  #gone = "";
  /** @type {any} */ #clock;
  /** @type {() => void} */
  onEdit = () => {};

  constructor({ store, client, navigation, onPeople }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#onPeople = onPeople;
    closeByClick(this.#dialog);
    document.addEventListener("click", (event) => this.#clicked(event));
    const button = byId("message-person");
    button.addEventListener("click", () => attempt(this.#dialog, button, () => this.#write()));
    byId("edit-own-profile").addEventListener("click", () => {
      this.#dialog.close();
      this.onEdit();
    });
    this.#dialog.addEventListener("close", () => clearInterval(this.#clock));
    client.on("event", ({ event, data }) => {
      if (event !== "workspace.updated" || data.member?.user_id !== this.#user_id) return;
      if (data.workspace.id === navigation.workspace_id) this.#role = data.member.role;
    });
    store.listen(() => this.draw());
  }

  /** @param {number} user_id */
  async open(user_id) {
    this.#user_id = user_id;
    this.#role = this.#gone = "";
    openDialog(this.#dialog.id);
    this.draw();
    clearInterval(this.#clock);
    this.#clock = setInterval(() => this.draw(), CLOCK_MS);
    try {
      const { user } = await api("user.get", { user_id });
      this.#store.update((state) => applyPeople(state, [user]));
      const { workspace_id } = this.#navigation;
      if (!workspace_id || user_id !== this.#user_id) return;
      const { users } = await api("user.list", { workspace_id, query: user.username, after_id: user_id - 1, limit: 1 });
      if (user_id !== this.#user_id) return;
      this.#role = users[0]?.id === user_id ? users[0].role : "none";
    } catch (error) {
      if (user_id !== this.#user_id) return;
      if (error.status === 404) this.#gone = gettext("You share no workspace with them any more.");
      else tell(this.#dialog, error.detail || gettext("Something went wrong."));
    }
    this.draw();
  }

  draw() {
    if (!this.#dialog.open) return;
    const { state } = this.#store;
    const user = state.people[this.#user_id];
    if (!user) return this.#drawUnknown();
    const own = user.id === state.me.id;
    const face = byId("person-portrait");
    const sign = `${user.id} ${nameOf(user)} ${user.avatar_url}`;
    if (face.dataset.sign !== sign) face.replaceChildren(portrait(user));
    face.dataset.sign = sign;
    setText(byId("person-name"), nameOf(user));
    setText(byId("person-username"), `@${user.username}`);
    showFacts(byId("person-facts"), this.#facts(user));
    const button = byId("message-person");
    setText(button, own ? gettext("Notes to yourself") : gettext("Message"));
    const elsewhere = this.#role === "none" || Boolean(this.#gone) || !this.#navigation.workspace_id;
    button.hidden = user.active === false || elsewhere;
    byId("edit-own-profile").hidden = !own;
    this.#onPeople();
  }

  /** Somebody of whom nobody here has heard yet, or never will. */
  #drawUnknown() {
    byId("person-portrait").replaceChildren(element("span.avatar"));
    byId("person-portrait").dataset.sign = "";
    setText(byId("person-name"), this.#gone || gettext("Loading…"));
    setText(byId("person-username"), "");
    showFacts(byId("person-facts"), []);
    byId("message-person").hidden = byId("edit-own-profile").hidden = true;
  }

  #facts(user) {
    const { presence } = this.#store.state;
    const ended = user.active === false;
    const role = this.#role && this.#role !== "none" ? roleName(this.#role) : "";
    return [
      ended
        ? [gettext("Account"), gettext("Ended; what they wrote stays.")]
        : [gettext("Now"), presenceText(presence[user.id])],
      user.time_zone && !ended && [gettext("Their time"), timeIn(user.time_zone)],
      [gettext("Role"), this.#gone || (this.#role === "none" ? gettext("Not in this workspace") : role || "…")],
    ];
  }

  async #write() {
    const { state } = this.#store;
    const peer_ids = this.#user_id === state.me.id ? [] : [this.#user_id];
    const params = { workspace_id: this.#navigation.workspace_id, kind: "direct", peer_ids };
    const { channel } = await api("channel.create", params);
    this.#store.update((current) => applyChannel(current, channel));
    for (const dialog of document.querySelectorAll("dialog[open]")) /** @type {HTMLDialogElement} */ (dialog).close();
    this.#navigation.openChannel(channel.id);
  }

  /** A name, a face beside a message, or somebody who is named in one. */
  #clicked(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const name = target.closest("[data-person]");
    const face = target.closest(".message-side [data-portrait]");
    const mention = target.closest(".message-text .mention[data-user-id]");
    const user_id = name?.dataset.person ?? face?.dataset.portrait ?? mention?.dataset.userId;
    if (user_id) this.open(Number(user_id));
  }
}

/** @returns {string} what the clocks show there, and of which day where it is another one */
export function timeIn(time_zone, now = new Date(), own = undefined) {
  const format = (zone, options) => new Intl.DateTimeFormat(language, { timeZone: zone, ...options }).format(now);
  try {
    const time = format(time_zone, { hour: "numeric", minute: "2-digit" });
    const day = { weekday: "long" };
    const there = format(time_zone, day);
    return there === format(own, day) ? time : `${time}, ${there}`;
  } catch {
    // A browser that does not know the zone.
    return time_zone;
  }
}
