/** A thread beside the conversation: its first message, the replies, and a field to write one. */

import { dayKey, element, setText } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { dayRow } from "./message.js";
import { attentive } from "./reading.js";
import { MessageRows, follows } from "./rows.js";
import { applyThread, channelName, pendingOf } from "./store.js";

const END_PX = 48;
const OLDER_PX = 300;
const RETRY_MS = 5_000;

const byId = (id) => document.getElementById(id);

export class ThreadPanel {
  #store;
  #client;
  #sync;
  #navigation;
  #deeds;
  #panel = byId("thread-panel");
  #scroller = byId("thread-scroller");
  #list = byId("thread-messages");
  #top = byId("thread-top");
  #follow = /** @type {HTMLButtonElement} */ (byId("follow-thread"));
  /** @type {?number} */ #shown = null;
  /** Where the focus was when it was opened. @type {?Element} */ #opener = null;
  #atEnd = true;
  #ready = false;
  /** The reply up to which the server was told that it is read. */
  #told = 0;
  rows;

  constructor({ store, client, sync, navigation, deeds, onLeave }) {
    this.#store = store;
    this.#client = client;
    this.#sync = sync;
    this.#navigation = navigation;
    this.#deeds = deeds;
    const onRedraw = () => this.draw();
    this.rows = new MessageRows({ store, deeds, list: this.#list, inThread: true, onRedraw, onLeave });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    byId("close-thread").addEventListener("click", () => navigation.closeThread());
    this.#panel.addEventListener("keydown", (event) => {
      const writing = event.target === byId("thread-composer-body");
      if (event.key === "Escape" && !event.defaultPrevented && writing) navigation.closeThread();
    });
    this.#follow.addEventListener("click", () => this.#toggleFollowing());
    new ResizeObserver(() => this.#atEnd && this.#toEnd()).observe(this.#scroller);
  }

  /** @returns {?{ channel_id: number, thread_root_id: number }} */
  get target() {
    const { channel_id, thread_id } = this.#navigation;
    return thread_id && channel_id ? { channel_id, thread_root_id: thread_id } : null;
  }

  draw() {
    const { state } = this.#store;
    const { thread_id, channel_id } = this.#navigation;
    const channel = thread_id ? state.channels[channel_id] : undefined;
    const open = Boolean(thread_id && (channel || !state.me));
    if (open !== !this.#panel.hidden) this.#show(open);
    if ((open ? thread_id : null) !== this.#shown) this.#opened(open ? thread_id : null);
    if (!channel) return;
    const replies = state.replies[thread_id];
    const name = channel.kind === "direct" ? channelName(state, channel) : `#${channel.name}`;
    setText(byId("thread-where"), name);
    this.#drawFollowing(state.threads[thread_id]);
    this.#drawTop(replies);
    const height = this.#scroller.scrollHeight;
    const top = this.#scroller.scrollTop;
    const first = this.#list.querySelector(".message:nth-of-type(3)")?.id;
    this.rows.draw(replies?.root ? this.#rows(state, channel, replies) : []);
    const grown = first && first !== this.#list.querySelector(".message:nth-of-type(3)")?.id;
    if (!this.#ready && replies?.status === "ready") {
      this.#ready = true;
      this.#toEnd();
    } else if (this.#atEnd) this.#toEnd();
    else if (grown) this.#scroller.scrollTop = top + this.#scroller.scrollHeight - height;
    this.look();
  }

  editLast() {
    return this.rows.editLast(this.#store.state.replies[this.#shown]?.messages ?? []);
  }

  written() {
    this.#atEnd = true;
  }

  /** What is seen is read. */
  async look() {
    const { threads, replies } = this.#store.state;
    const thread = threads[this.#shown];
    const newest = replies[this.#shown]?.messages.at(-1)?.id ?? 0;
    if (!thread?.following || thread.unread_count === 0 || newest <= Math.max(thread.last_read_id, this.#told)) return;
    if (!attentive() || !this.#atEnd || !this.#ready) return;
    this.#told = newest;
    try {
      const answer = await this.#client.call("thread.mark_read", { message_id: thread.thread_root_id, last_read_id: newest });
      this.#store.update((state) => applyThread(state, answer.thread));
    } catch {
      setTimeout(() => {
        this.#told = 0;
        this.look();
      }, RETRY_MS);
    }
  }

  #show(open) {
    if (open) this.#opener = document.activeElement;
    this.#panel.hidden = !open;
    byId("shell").classList.toggle("thread-open", open);
    const opener = this.#opener;
    if (open || !(opener instanceof HTMLElement)) return;
    // A row may have been made anew meanwhile.
    const back = opener.isConnected ? opener : document.getElementById(opener.id);
    (back ?? byId("composer-body")).focus({ preventScroll: true });
  }

  #opened(thread_id) {
    this.#shown = thread_id;
    this.#ready = false;
    this.#atEnd = true;
    this.#told = 0;
    this.rows.forget();
  }

  #rows(state, channel, { root, messages, has_more }) {
    const rows = [this.#row(state, channel, root, null), this.#divider(root.reply_count)];
    let before = null;
    for (const message of messages) {
      if (message.deleted) continue;
      const newDay = dayKey(message.created_at) !== dayKey((before ?? root).created_at);
      if (newDay && !(before === null && has_more)) rows.push(dayRow(message.created_at));
      rows.push(this.#row(state, channel, message, newDay ? null : before));
      before = message;
    }
    let grouped = before?.author.id === state.me.id;
    for (const message of pendingOf(state, channel.id).filter(({ thread_root_id }) => thread_root_id === root.id)) {
      rows.push(this.rows.pendingRow({ ...state }, { ...message, thread_root_id: null }, grouped));
      grouped = true;
    }
    return rows;
  }

  #row(state, channel, message, before) {
    if (message.deleted) return this.rows.tombstone(message);
    return this.rows.row(state, channel, message, { grouped: follows(message, before), root: undefined });
  }

  #divider(count) {
    const text = count
      ? interpolate(ngettext("%(count)s reply", "%(count)s replies", count), { count })
      : gettext("No replies yet");
    return { key: "replies", sign: text, make: () => element("li.day.thread-count", {}, element("span", {}, text)) };
  }

  #drawTop(replies) {
    const kind = topKind(replies);
    if (this.#top.dataset.kind === kind) return;
    this.#top.dataset.kind = kind;
    const again = () => {
      if (this.#store.state.replies[this.#shown]?.root) this.#sync.loadOlderReplies(this.#shown);
      else this.#sync.loadOpenThread({ again: true });
    };
    const content = {
      "": [],
      loading: [element("p.quiet", { role: "status" }, gettext("Loading…"))],
      older: [element("button.text-button", { type: "button", on: { click: again } }, gettext("Show earlier replies"))],
      failed: [
        element("p.quiet", { role: "alert" }, gettext("The thread could not be loaded.")),
        element("button.button.button-small", { type: "button", on: { click: again } }, gettext("Try again")),
      ],
    };
    this.#top.replaceChildren(...content[kind]);
  }

  #drawFollowing(thread) {
    const following = Boolean(thread?.following);
    this.#follow.hidden = !this.#store.state.replies[this.#shown]?.root;
    this.#follow.setAttribute("aria-pressed", String(following));
    setText(byId("follow-text"), following ? gettext("Following") : gettext("Follow"));
    this.#follow.title = following ? gettext("You are told of new replies") : gettext("Be told of new replies");
  }

  #toggleFollowing() {
    const thread = this.#store.state.threads[this.#shown];
    this.#deeds.follow({ thread_root_id: this.#shown }, !thread?.following);
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#scrolled();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    if (this.#atEnd) this.look();
    if (this.#ready && scrollTop < OLDER_PX && scrollHeight > clientHeight) this.#sync.loadOlderReplies(this.#shown);
  }
}

function topKind(replies) {
  if (!replies || (replies.status === "loading" && !replies.root)) return "loading";
  if (replies.status === "failed") return "failed";
  return replies.has_more ? "older" : "";
}
