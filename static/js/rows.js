/**
 * A list of messages: each row made anew only when something of it changed, one stop of the tab key, arrows from message to
 * message, and a key for everything that one does with a message. The conversation and the thread have one each.
 */

import { mayWrite } from "./deeds.js";
import { editorOf } from "./editor.js";
import { reconcile } from "./elements.js";
import { messageNode, pendingNode, reactedBy, replyNode, tombstoneNode } from "./message.js";
import { showPresence } from "./presence.js";
import { applyMessage, nameOf, peopleToName, personOf } from "./store.js";

const GROUP_MS = 5 * 60_000;

export class MessageRows {
  #store;
  #deeds;
  #list;
  #inThread;
  #onRedraw;
  #onLeave;
  /** @type {?number} */ #editing = null;
  /** @type {?import("./completion.js").Completion} of the field in which a message is edited */ #completion = null;
  /** @type {?number} */ highlighted = null;
  /** @type {(client_msg_id: string) => void} */ onRetry = () => {};
  /** @type {(client_msg_id: string) => void} */ onDiscard = () => {};
  /** The names of those in a channel are needed. @type {(channel_id: number) => void} */
  onPeople = () => {};

  /**
   * @param {{ store: any, deeds: import("./deeds.js").Deeds, list: HTMLElement, inThread?: boolean, onRedraw: () => void,
   *   onLeave: () => void }} options  `onLeave`: the focus is wanted elsewhere
   */
  constructor({ store, deeds, list, inThread = false, onRedraw, onLeave }) {
    this.#store = store;
    this.#deeds = deeds;
    this.#list = list;
    this.#inThread = inThread;
    this.#onRedraw = onRedraw;
    this.#onLeave = onLeave;
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("contextmenu", (event) => this.#contextMenu(event));
  }

  draw(rows) {
    reconcile(this.#list, rows);
    this.#rove();
    this.#completion?.again();
  }

  forget() {
    this.#editing = null;
    this.highlighted = null;
  }

  /** @param {{ grouped: boolean, root?: import("./store.js").Message }} place  `root`: of a reply among other messages */
  row(state, channel, message, { grouped, root }) {
    const editing = this.#editing === message.id;
    const compact = Boolean(message.thread_root_id) && !this.#inThread && !editing;
    const thread = state.threads[message.id];
    const highlighted = this.highlighted === message.id;
    const author = personOf(state, message.author);
    const reacted = (message.reactions ?? []).map(({ user_ids }) => reactedBy(state, user_ids));
    const about = compact ? `${root?.rev} ${root?.deleted}` : `${thread?.following} ${thread?.unread_count}`;
    const who = `${nameOf(author)} ${author.avatar_url}`;
    return {
      key: `m${message.id}`,
      // While it is edited it stays as it is, whatever comes.
      sign: editing ? "editing" : [message.rev, grouped, highlighted, this.#mayWrite(channel), about, who, ...reacted].join(" "),
      make: () => {
        const uses = this.#uses(message, channel);
        if (compact) return replyNode(state, message, { root, grouped, uses, highlighted });
        const editor = editing ? this.#editor(message, channel) : undefined;
        return messageNode(state, message, { grouped, editor, uses, thread, highlighted, inThread: this.#inThread });
      },
    };
  }

  tombstone(message) {
    return { key: `m${message.id}`, sign: "deleted", make: () => tombstoneNode(message) };
  }

  pendingRow(state, message, grouped) {
    return {
      key: `p${message.client_msg_id}`,
      sign: `${message.status} ${message.error} ${grouped}`,
      make: () =>
        pendingNode(message, state.me, {
          grouped,
          onRetry: () => this.onRetry(message.client_msg_id),
          onDiscard: () => this.onDiscard(message.client_msg_id),
        }),
    };
  }

  edit(message_id) {
    this.#editing = message_id;
    this.#redraw();
    const field = this.#list.querySelector(".editor textarea");
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }

  /** Edit the newest own message, as arrow up in an empty composer does. */
  editLast(messages) {
    const { me, channels } = this.#store.state;
    const last = messages.findLast((message) => message.author.id === me.id && !message.deleted);
    if (!last || !this.#mayWrite(channels[last.channel_id])) return false;
    this.edit(last.id);
    return true;
  }

  nodeOf(message_id) {
    return this.#list.querySelector(`[data-key="m${message_id}"]`);
  }

  #mayWrite(channel) {
    return mayWrite(this.#store.state, channel);
  }

  #uses(message, channel) {
    const may = this.#deeds.rights(this.#store.state, channel, message);
    const back = () => this.nodeOf(message.id);
    return {
      react: may.write && ((emoji) => this.#deeds.react(message, emoji)),
      pick: may.write && ((anchor) => this.#deeds.pick(message, anchor, back())),
      reply: !this.#inThread && (() => this.#deeds.openThread(message)),
      menu: (anchor) => this.#menu(message, anchor),
      history: may.history && (() => this.#deeds.history(message)),
    };
  }

  #menu(message, anchor) {
    const node = this.nodeOf(message.id);
    if (!node) return;
    this.#deeds.openMenu(message, anchor, { onEdit: () => this.edit(message.id), back: node, inThread: this.#inThread });
  }

  /** Of this list only; the portraits in new rows know nothing yet of who is there. */
  #redraw() {
    this.#onRedraw();
    showPresence(this.#store.state);
  }

  #editor(message, channel) {
    const { node, completion } = editorOf(message, {
      onEnd: (changed) => this.#endEdit(message.id, changed),
      onUnconfirmed: (error) => this.#deeds.confirmMentions(error),
      naming: {
        people: () => peopleToName(this.#store.state, channel.id),
        groups: () => this.#store.state.workspaces[channel.workspace_id]?.role !== "guest",
        onNeeded: () => this.onPeople(channel.id),
      },
    });
    this.#completion = completion;
    return node;
  }

  async #endEdit(message_id, changed) {
    this.#editing = null;
    this.#completion = null;
    if (changed) this.#store.update((state) => applyMessage(state, changed));
    this.#redraw();
    this.nodeOf(message_id)?.focus({ preventScroll: true });
  }

  #messageOf(node) {
    const id = Number(node?.dataset.key?.slice(1));
    const { timelines, replies } = this.#store.state;
    const loaded = [...Object.values(timelines), ...Object.values(replies)];
    const all = loaded.flatMap(({ messages, root }) => (root ? [root, ...messages] : messages));
    return node?.dataset.key?.startsWith("m") ? all.find((message) => message.id === id && !message.deleted) : undefined;
  }

  #rove() {
    const messages = this.#list.querySelectorAll(".message");
    if (this.#list.querySelector('.message[tabindex="0"]')) return;
    messages[messages.length - 1]?.setAttribute("tabindex", "0");
  }

  #key(event) {
    const node = event.target.closest?.(".message");
    if (!node || event.target !== node || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#walk(event, node)) return;
    if (event.key === "Escape") return this.#onLeave();
    const message = this.#messageOf(node);
    const act = message && this.#actOf(event.key, message, node);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #actOf(key, message, node) {
    const channel = this.#store.state.channels[message.channel_id];
    const may = this.#deeds.rights(this.#store.state, channel, message);
    const threaded = (message.thread_root_id || message.reply_count) && !this.#inThread;
    const keys = {
      e: may.edit && (() => this.edit(message.id)),
      r: !this.#inThread && (() => this.#deeds.openThread(message)),
      "+": may.write && (() => this.#deeds.pick(message, node, node)),
      p: may.pin && (() => this.#deeds.togglePin(message)),
      u: () => this.#deeds.markUnread(message),
      c: () => this.#deeds.copyLink(message),
      q: may.write && (() => this.#deeds.quote(message, this.#inThread)),
      h: may.history && message.edited_at && (() => this.#deeds.history(message)),
      m: () => this.#menu(message, node),
      Enter: () => (threaded ? this.#deeds.openThread(message) : this.#menu(message, node)),
      Delete: may.delete && (() => this.#deeds.remove(message)),
    };
    return keys[key];
  }

  /** The key for menus. The right mouse button keeps the browser's own, which copies text and opens links. */
  #contextMenu(event) {
    const message = event.button === 2 ? undefined : this.#messageOf(event.target);
    if (!message) return;
    event.preventDefault();
    this.#menu(message, event.target);
  }

  #walk(event, from) {
    const messages = [...this.#list.querySelectorAll(".message")];
    const at = messages.indexOf(from);
    const ways = { ArrowUp: messages[at - 1], ArrowDown: messages[at + 1], Home: messages[0], End: messages.at(-1) };
    if (event.key === "ArrowDown" && at === messages.length - 1) {
      event.preventDefault();
      this.#onLeave();
      return true;
    }
    const to = ways[event.key];
    if (!to) return false;
    event.preventDefault();
    for (const message of messages) message.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
    return true;
  }
}

/** Soon after the one before, by the same author: its name need not be shown again. */
export function follows(message, before) {
  if (!before || before.deleted || before.thread_root_id !== message.thread_root_id) return false;
  const apart_ms = new Date(message.created_at).getTime() - new Date(before.created_at).getTime();
  return before.author.id === message.author.id && apart_ms < GROUP_MS;
}

/** A reply that stands under another one of its thread: what the thread is about need not be said again. */
export function sameThread(message, before) {
  return Boolean(before && message.thread_root_id) && before.thread_root_id === message.thread_root_id;
}
