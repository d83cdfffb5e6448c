/** What one can do with a message, by a button, the menu or a key. */

import { api, sentence } from "./api.js";
import { element, icon, timeOf } from "./elements.js";
import { closeByClick } from "./forms.js";
import { gettext, interpolate } from "./i18n.js";
import { readerOf, textNode, textOf } from "./message.js";
import { say } from "./notices.js";
import { showBeside } from "./popovers.js";
import { silencedUntil } from "./silence.js";
import { applyMessage, applyReadAnswer, applyThread, nameOf, personOf } from "./store.js";

const MODERATORS = ["owner", "admin", "moderator"];

const byId = (id) => document.getElementById(id);

/** Whether anything may be written in a channel: not in an archived one, nor by whom a moderator lets only read. */
export function mayWrite(state, channel) {
  return Boolean(channel) && !channel.archived && !silencedUntil(state.workspaces[channel.workspace_id]?.silenced_until);
}

export class Deeds {
  #store;
  #client;
  #navigation;
  #dialogs;
  #picker;
  #menu = byId("message-menu");
  /** Where a quote goes: the field of the conversation, or of the open thread. @type {(text: string, inThread: boolean) => void} */
  onQuote = () => {};
  /** @type {(user_id: number) => void} */
  onPerson = () => {};

  constructor({ store, client, navigation, dialogs, picker }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    this.#dialogs = dialogs;
    this.#picker = picker;
    closeByClick(byId("versions-dialog"));
  }

  /** @returns {{ edit: boolean, delete: boolean, history: boolean, write: boolean, pin: boolean }} */
  rights(state, channel, message) {
    const role = state.workspaces[channel.workspace_id]?.role;
    const own = message.author.id === state.me.id;
    const moderates = channel.role === "admin" || MODERATORS.includes(role);
    const write = mayWrite(state, channel);
    return { edit: own && write, delete: own || moderates, history: own || moderates, write, pin: write && role !== "guest" };
  }

  /** The reaction again takes it back; the server decides which it is. */
  react(message, emoji) {
    return this.#do(async () => {
      this.#took(await api("message.toggle_react", { message_id: message.id, emoji }));
    });
  }

  /** @param {HTMLElement} anchor  @param {HTMLElement} back where the focus goes afterwards */
  pick(message, anchor, back) {
    this.#picker.open(anchor, {
      onChosen: (emoji) =>
        this.#do(async () => {
          this.#took(await api("message.react", { message_id: message.id, emoji }));
        }),
      onClosed: () => back?.focus({ preventScroll: true }),
    });
  }

  togglePin(message) {
    return this.#do(async () => {
      this.#took(await api(message.pinned ? "message.unpin" : "message.pin", { message_id: message.id }));
      say(message.pinned ? gettext("No longer pinned") : gettext("Pinned to this channel"));
    });
  }

  openThread(message) {
    this.#navigation.openThread(message.channel_id, message.thread_root_id ?? message.id);
  }

  async copyLink(message) {
    const address = addressOf(message);
    try {
      await navigator.clipboard.writeText(address);
      say(gettext("Link copied"));
    } catch {
      // Only on https and localhost may a page write to the clipboard.
      say(address);
    }
  }

  quote(message, inThread = false) {
    this.onQuote(quoteOf(personOf(this.#store.state, message.author), message), inThread);
  }

  markUnread(message) {
    return this.#do(async () => {
      const { channel_id, id } = message;
      const told = await api("read.mark_unread", { channel_id, message_id: id });
      this.#store.update((state) => applyReadAnswer(state, told));
      say(gettext("Marked unread from here on"));
    });
  }

  follow(thread, following) {
    return this.#do(async () => {
      const method = following ? "thread.follow" : "thread.unfollow";
      const answer = await api(method, { message_id: thread.thread_root_id });
      this.#store.update((state) => applyThread(state, answer.thread));
    });
  }

  async remove(message) {
    return this.#dialogs.confirm({
      title: gettext("Delete this message?"),
      text: gettext("It disappears for everybody, and cannot be brought back."),
      quote: textOf(message.html),
      yes: gettext("Delete"),
      act: () => api("message.delete", { message_id: message.id }),
    });
  }

  /** @returns {Promise<boolean>} whether so many people shall be told. @param {{ detail: string }} error says how many */
  confirmMentions({ detail }) {
    return this.#dialogs.confirm({ title: gettext("Tell so many people?"), text: detail, yes: gettext("Send it"), harmless: true });
  }

  /** What it said before, newest first. */
  async history(message) {
    const dialog = /** @type {HTMLDialogElement} */ (byId("versions-dialog"));
    const list = byId("versions-list");
    list.replaceChildren(element("p.quiet", { role: "status" }, gettext("Loading…")));
    dialog.showModal();
    try {
      const { versions } = await api("message.versions", { message_id: message.id });
      const all = [{ html: message.html, now: true }, ...versions.reverse()];
      const rows = all.map(({ html, replaced_at, now }) =>
        element(
          "li.version",
          {},
          element("p.version-when", {}, now ? gettext("Now") : gettext("Until"), " ", !now && timeOf(replaced_at, { full: true })),
          textNode(html, readerOf(this.#store.state, message)),
        ),
      );
      list.replaceChildren(element("ol.versions", {}, ...rows));
    } catch (error) {
      list.replaceChildren(element("p.quiet", { role: "alert" }, sentence(error)));
    }
  }

  /**
   * All of it in a menu beside the button or the message.
   * @param {{ onEdit: () => void, back: HTMLElement, inThread: boolean }} options
   */
  openMenu(message, anchor, { onEdit, back, inThread }) {
    const { state } = this.#store;
    const channel = state.channels[message.channel_id];
    if (!channel) return;
    const may = this.rights(state, channel, message);
    const author = nameOf(personOf(state, message.author));
    const items = [
      may.write && ["add-reaction", gettext("Add a reaction"), "+", () => this.pick(message, anchor, back)],
      !inThread && ["reply", gettext("Reply in thread"), "r", () => this.openThread(message)],
      may.edit && ["edit", gettext("Edit message"), "e", onEdit],
      may.write && ["quote", gettext("Quote"), "q", () => this.quote(message, inThread)],
      may.pin && ["pin", message.pinned ? gettext("Unpin") : gettext("Pin to this channel"), "p", () => this.togglePin(message)],
      ["link", gettext("Copy link"), "c", () => this.copyLink(message)],
      ["unread", gettext("Mark unread from here"), "u", () => this.markUnread(message)],
      ["person", interpolate(gettext("About %(name)s"), { name: author }), "", () => this.onPerson(message.author.id)],
      may.history && message.edited_at && ["history", gettext("Earlier versions"), "", () => this.history(message)],
      may.delete && ["delete", gettext("Delete message"), "Del", () => this.remove(message)],
    ].filter(Boolean);
    const rows = items.map(([name, text, key, act]) =>
      element(
        name === "delete" ? "button.menu-item.menu-danger" : "button.menu-item",
        { type: "button", role: "menuitem", tabindex: -1, on: { click: () => this.#chose(act, back) } },
        icon(name),
        text,
        key && element("kbd.menu-key", { "aria-hidden": "true" }, key),
      ),
    );
    this.#menu.replaceChildren(...rows);
    showBeside(this.#menu, anchor);
    rows[0].focus();
    this.#menu.onkeydown = (event) => walkMenu(event, rows, () => back.focus({ preventScroll: true }));
  }

  #chose(act, back) {
    this.#menu.hidePopover();
    back.focus({ preventScroll: true });
    act();
  }

  #took({ message }) {
    this.#store.update((state) => applyMessage(state, message));
  }

  async #do(act) {
    try {
      await act();
    } catch (error) {
      say(sentence(error), { bad: true });
    }
  }
}

export function addressOf({ channel_id, id }) {
  return new URL(`/c/${channel_id}/${id}`, location.origin).href;
}

/** Markdown that quotes a message and says where it is. */
export function quoteOf(author, message) {
  const lines = message.body.split("\n").map((line) => `> ${line}`.trimEnd());
  return `${lines.join("\n")}\n> — [${nameOf(author).replace(/[[\]\\]/g, "\\$&")}](${addressOf(message)})\n\n`;
}

function walkMenu(event, rows, close) {
  const at = rows.indexOf(document.activeElement);
  const ways = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
  if (event.key in ways) {
    event.preventDefault();
    rows.at(ways[event.key] % rows.length).focus();
  }
  if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    document.getElementById("message-menu").hidePopover();
    close();
  }
}
