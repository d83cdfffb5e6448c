/** Lists beside the conversation: what is pinned in the channel, and the threads that one follows. */

import { api, sentence } from "./api.js";
import { element, icon, setText, timeOf } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { readerOf, textNode, textOf, threadAddress } from "./message.js";
import { channelName, nameOf, personOf } from "./store.js";

const THREADS = 50;

const byId = (id) => document.getElementById(id);

/** One list with a title; it loads anew while it is open and what it shows changes. */
class Panel {
  #root;
  #list;
  #button;
  /** What is shown, as a text to compare. */
  #sign = "";
  #round = 0;

  /** @param {{ name: string, button: HTMLElement, onOpen: () => void }} options */
  constructor({ name, button, onOpen }) {
    this.#root = byId(`${name}-panel`);
    this.#list = byId(`${name}-list`);
    this.#button = button;
    button.addEventListener("click", () => (this.open ? this.close() : (onOpen(), this.#show())));
    byId(`close-${name}`).addEventListener("click", () => this.close());
    this.#root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get open() {
    return !this.#root.hidden;
  }

  close({ focus = true } = {}) {
    if (!this.open) return;
    this.#root.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    byId("shell").classList.remove("list-open");
    if (focus) this.#button.focus({ preventScroll: true });
  }

  /** @param {string} sign  @param {() => Promise<Node[]>} load */
  async fill(sign, load, { again = false } = {}) {
    if (!this.open || (sign === this.#sign && !again)) return;
    const round = ++this.#round;
    const other = this.#sign.split(" ")[0] !== sign.split(" ")[0];
    if (other) this.#list.replaceChildren(element("p.quiet", { role: "status" }, gettext("Loading…")));
    this.#sign = sign;
    try {
      const rows = await load();
      if (round === this.#round) this.#list.replaceChildren(...rows);
    } catch (error) {
      if (round !== this.#round) return;
      const retry = { type: "button", on: { click: () => this.fill(sign, load, { again: true }) } };
      this.#list.replaceChildren(
        element("p.quiet", { role: "alert" }, sentence(error)),
        element("button.button.button-small", retry, gettext("Try again")),
      );
    }
  }

  #show() {
    this.#root.hidden = false;
    this.#sign = "";
    this.#button.setAttribute("aria-expanded", "true");
    byId("shell").classList.add("list-open");
    this.#root.querySelector("button").focus({ preventScroll: true });
  }
}

export class Panels {
  #store;
  #navigation;
  #deeds;
  #pins;
  #threads;

  constructor({ store, navigation, deeds }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#deeds = deeds;
    const onOpen = (other) => () => {
      other().close({ focus: false });
      navigation.closeThread();
      queueMicrotask(() => this.draw());
    };
    this.#pins = new Panel({ name: "pins", button: byId("pins-button"), onOpen: onOpen(() => this.#threads) });
    this.#threads = new Panel({ name: "threads", button: byId("threads-button"), onOpen: onOpen(() => this.#pins) });
  }

  /** A thread that is opened takes their place. */
  draw() {
    const { state } = this.#store;
    const { channel_id, thread_id, workspace_id } = this.#navigation;
    const channel = state.channels[channel_id];
    if (thread_id || (this.#pins.open && state.me && !channel)) {
      this.#pins.close({ focus: false });
      this.#threads.close({ focus: false });
    }
    if (channel) this.#pins.fill(`${channel_id} ${channel.pins_rev}`, () => this.#pinRows(channel));
    if (!workspace_id || !state.me || !this.#threads.open) return;
    const followed = Object.values(state.threads).map((thread) => Object.values(thread).join(":"));
    this.#threads.fill(`${workspace_id} ${followed.join(" ")}`, () => this.#threadRows(workspace_id));
  }

  async #pinRows(channel) {
    const { messages } = await api("message.pins", { channel_id: channel.id });
    if (messages.length === 0) {
      const text = gettext("Nothing is pinned here yet. Pin what everybody should find again: an address, a plan, a decision.");
      return [element("p.quiet", {}, text)];
    }
    return [element("ol.cards", {}, ...messages.map((message) => this.#pinRow(channel, message)))];
  }

  #pinRow(channel, message) {
    const { state } = this.#store;
    const may = this.#deeds.rights(state, channel, message);
    const go = { type: "button", on: { click: () => this.#goTo(message) } };
    const unpin = { type: "button", on: { click: () => this.#deeds.togglePin(message) } };
    return element(
      "li.card",
      {},
      this.#cardHead(message),
      textNode(message.html, readerOf(state, message)),
      element(
        "p.card-actions",
        {},
        element("button.text-button", go, gettext("Go to the message")),
        may.pin && element("button.text-button", unpin, gettext("Unpin")),
      ),
    );
  }

  #cardHead(message) {
    const author = nameOf(personOf(this.#store.state, message.author));
    return element("p.card-head", {}, element("bdi.message-author", {}, author), " ", timeOf(message.created_at, { full: true }));
  }

  #goTo(message) {
    if (matchMedia("(max-width: 63.99rem)").matches) this.#pins.close({ focus: false });
    this.#navigation.openMessage(message.channel_id, message.id);
  }

  async #threadRows(workspace_id) {
    const { threads, has_more } = await api("thread.list", { workspace_id, limit: THREADS });
    if (threads.length === 0) {
      const text = gettext("Threads that you follow are listed here: those that you began, answered in, or were named in.");
      return [element("p.quiet", {}, text)];
    }
    const rows = threads.map((entry) => this.#threadRow(entry));
    return [element("ul.cards", {}, ...rows), has_more && element("p.quiet", {}, gettext("And more."))].filter(Boolean);
  }

  #threadRow({ thread, root }) {
    const { state } = this.#store;
    const channel = state.channels[thread.channel_id];
    const name = channel ? (channel.kind === "direct" ? channelName(state, channel) : `#${channel.name}`) : "";
    const { reply_count, unread_count } = thread;
    const count = interpolate(ngettext("%(count)s reply", "%(count)s replies", reply_count), { count: reply_count });
    return element(
      "li",
      {},
      element(
        unread_count ? "a.card.card-link.has-unread" : "a.card.card-link",
        { href: threadAddress(thread.channel_id, thread.thread_root_id) },
        element("span.card-head", {}, element("bdi", {}, name), " · ", element("bdi", {}, nameOf(personOf(state, root.author)))),
        element("span.card-text", { dir: "auto" }, root.deleted ? gettext("This message was deleted.") : textOf(root.html)),
        element(
          "span.card-count",
          {},
          icon("thread"),
          count,
          unread_count > 0 && element("span.badge", {}, interpolate(gettext("%(count)s new"), { count: unread_count })),
        ),
      ),
    );
  }
}

/** The number of unread threads, beside the way to them. */
export function showThreadCount(count) {
  const badge = byId("threads-badge");
  badge.hidden = count === 0;
  setText(badge, count ? String(count) : "");
  const spoken = interpolate(ngettext("%(count)s with new replies", "%(count)s with new replies", count), { count });
  setText(byId("threads-spoken"), count ? spoken : "");
}
