/** The messages of the open channel: by day and author, oldest first, with the reader's place kept. */

import { api } from "./api.js";
import { editorOf } from "./editor.js";
import { dayKey, reconcile, setText } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { dayRow, messageNode, newRow, pendingNode, textOf } from "./message.js";
import { showTop, showVacant } from "./placeholders.js";
import { presenceText } from "./presence.js";
import { attentive } from "./reading.js";
import { applyMessage, channelName, nameOf, partnerOf, pendingOf } from "./store.js";

const GROUP_MS = 5 * 60_000;
const END_PX = 48;
const OLDER_PX = 600;
const FAR_PX = 900;
const SPOKEN = 5;
const MODERATORS = ["owner", "admin", "moderator"];

const byId = (id) => document.getElementById(id);

export class Timeline {
  #store;
  #sync;
  #navigation;
  #dialogs;
  #scroller = byId("scroller");
  #list = byId("timeline");
  #top = byId("timeline-top");
  #jump = byId("jump");
  #vacant = byId("vacant");
  #announcer = byId("announcer");
  /** @type {?number} */ #shown = null;
  /** @type {?number} where the line "new" is: after this message */ #newAfter = null;
  /** @type {?number} */ #editing = null;
  #ready = false;
  #newest = 0;
  #missed = 0;
  atEnd = true;
  onReachedEnd = () => {};
  /** @type {(client_msg_id: string) => void} */ onRetry = () => {};
  /** @type {(client_msg_id: string) => void} */ onDiscard = () => {};

  constructor({ store, sync, navigation, dialogs }) {
    this.#store = store;
    this.#sync = sync;
    this.#navigation = navigation;
    this.#dialogs = dialogs;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    this.#jump.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.#scroller);
  }

  draw() {
    const { state } = this.#store;
    const channel = state.channels[this.#navigation.channel_id];
    const timeline = channel && state.timelines[channel.id];
    this.#header(state, channel);
    showVacant(this.#vacant, state, this.#navigation, this.#dialogs);
    const changed = (channel?.id ?? null) !== this.#shown;
    if (changed) this.#opened(channel);
    const anchors = changed ? [] : this.#anchors();
    this.#announce(state, channel, timeline);
    showTop(this.#top, state, channel, timeline, () => this.#again());
    reconcile(this.#list, channel ? this.#rows(state, channel, timeline) : []);
    this.#rove();
    this.#place(timeline, anchors);
    this.#drawJump();
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#scrolled();
  }

  /** Edit the newest own message, as arrow up in an empty composer does. */
  editLast() {
    const { state } = this.#store;
    const messages = state.timelines[this.#shown]?.messages ?? [];
    const last = messages.findLast((message) => message.author.id === state.me.id && !message.deleted);
    if (last) this.#edit(last.id);
    return Boolean(last);
  }

  #header(state, channel) {
    if (!state.me) return;
    const name = byId("channel-name");
    const direct = channel?.kind === "direct";
    setText(name, channel ? channelName(state, channel) : "");
    name.classList.toggle("is-channel", Boolean(channel) && !direct);
    setText(byId("channel-topic"), topicOf(state, channel));
    byId("members-button").hidden = !channel;
    setText(byId("members-count"), String(channel?.member_count ?? ""));
    byId("channel-menu-button").hidden = !channel || direct;
  }

  #opened(channel) {
    this.#shown = channel?.id ?? null;
    this.#newAfter = channel?.unread_count ? channel.last_read_id : null;
    this.#editing = null;
    this.#ready = false;
    this.#missed = 0;
    this.#newest = 0;
    this.atEnd = true;
    setText(this.#announcer, "");
  }

  #announce(state, channel, timeline) {
    const newest = timeline?.messages.at(-1);
    if (!newest || newest.id <= this.#newest) return;
    const fresh = this.#newest ? timeline.messages.filter(({ id }) => id > this.#newest) : [];
    this.#newest = newest.id;
    const others = fresh.filter((message) => message.author.id !== state.me.id && !message.deleted);
    if (!this.#ready || others.length === 0) return;
    if (!this.atEnd) this.#missed += others.length;
    if (!attentive()) this.#newAfter ??= channel.last_read_id;
    const spoken = others.map((message) => `${nameOf(message.author)}: ${textOf(message.html)}`);
    // Nobody wants to listen to all that came while the server was away.
    this.#announcer.textContent = others.length > SPOKEN ? newText(others.length) : spoken.join("\n");
  }

  #again() {
    const timeline = this.#store.state.timelines[this.#shown];
    if (timeline?.messages.length) this.#sync.loadOlder(this.#shown);
    else this.#sync.loadOpenChannel({ again: true });
  }

  #rows(state, channel, timeline) {
    const rows = [];
    const shown = (timeline?.messages ?? []).filter((message) => !message.deleted);
    let before = null;
    let marked = this.#newAfter === null;
    for (const message of shown) {
      const newDay = !before || dayKey(before.created_at) !== dayKey(message.created_at);
      const newHere = !marked && message.id > this.#newAfter && message.author.id !== state.me.id;
      if (newDay) rows.push(dayRow(message.created_at));
      if (newHere) rows.push(newRow());
      marked ||= newHere;
      rows.push(this.#messageRow(state, channel, message, !newDay && !newHere && follows(message, before)));
      before = message;
    }
    let grouped = before?.author.id === state.me?.id && !before?.deleted;
    for (const message of pendingOf(state, channel.id)) {
      rows.push(this.#pendingRow(state, message, grouped));
      grouped = true;
    }
    return rows;
  }

  #messageRow(state, channel, message, grouped) {
    const editing = this.#editing === message.id;
    const own = message.author.id === state.me.id;
    const deletable = own || channel.role === "admin" || MODERATORS.includes(state.workspaces[channel.workspace_id]?.role);
    return {
      key: `m${message.id}`,
      // While it is edited it stays as it is, whatever comes.
      sign: editing ? "editing" : `${message.rev} ${grouped} ${deletable}`,
      make: () =>
        messageNode(message, {
          grouped,
          editor: editing ? editorOf(message, (changed) => this.#endEdit(message.id, changed)) : undefined,
          onEdit: own && (() => this.#edit(message.id)),
          onDelete: deletable && (() => this.#delete(message)),
        }),
    };
  }

  #pendingRow(state, message, grouped) {
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

  #edit(message_id) {
    this.#editing = message_id;
    this.draw();
    const field = this.#list.querySelector(".editor textarea");
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }

  #endEdit(message_id, changed) {
    this.#editing = null;
    if (changed) this.#store.update((state) => applyMessage(state, changed));
    this.draw();
    this.#list.querySelector(`[data-key="m${message_id}"]`)?.focus({ preventScroll: true });
  }

  async #delete(message) {
    const confirmed = await this.#dialogs.confirm({
      title: gettext("Delete this message?"),
      text: gettext("It disappears for everybody, and cannot be brought back."),
      quote: textOf(message.html),
      yes: gettext("Delete"),
      act: () => api("message.delete", { message_id: message.id }),
    });
    if (confirmed) byId("composer-body").focus();
  }

  /**
   * The messages that are seen, and where they are: the first that is still there afterwards stays in its place when
   * something above it comes, goes or grows.
   */
  #anchors() {
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    // A line between messages stands elsewhere once older ones are there.
    return [...this.#list.querySelectorAll(".message")]
      .map((node) => ({ key: node.dataset.key, rect: node.getBoundingClientRect() }))
      .filter(({ rect }) => rect.bottom > top && rect.top < bottom)
      .map(({ key, rect }) => ({ key, top: rect.top }));
  }

  #place(timeline, anchors) {
    if (!timeline || (timeline.status !== "ready" && timeline.messages.length === 0)) return;
    if (!this.#ready) {
      this.#ready = true;
      const line = this.#list.querySelector(".new-line");
      this.toEnd();
      if (line && line.offsetTop < this.#scroller.scrollTop) this.#scroller.scrollTop = line.offsetTop - 24;
    } else if (this.atEnd) this.toEnd();
    else {
      const nodes = new Map([...this.#list.children].map((node) => [node.dataset.key, node]));
      const anchor = anchors.find(({ key }) => nodes.has(key));
      if (anchor) this.#scroller.scrollTop += nodes.get(anchor.key).getBoundingClientRect().top - anchor.top;
    }
    this.#scrolled();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const was = this.atEnd;
    this.atEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    if (this.atEnd) this.#missed = 0;
    this.#drawJump();
    if (this.atEnd && !was) this.onReachedEnd();
    const timeline = this.#store.state.timelines[this.#shown];
    const older = timeline?.has_more && timeline.status === "ready";
    if (older && this.#ready && scrollTop < OLDER_PX) this.#sync.loadOlder(this.#shown);
  }

  #drawJump() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const far = this.#ready && scrollHeight - scrollTop - clientHeight > FAR_PX;
    this.#jump.hidden = this.atEnd || !(far || this.#missed);
    setText(byId("jump-text"), this.#missed ? newText(this.#missed) : gettext("Newest messages"));
    this.#jump.classList.toggle("has-news", this.#missed > 0);
  }

  /** The list is one stop of the tab key; arrows go from message to message. */
  #rove() {
    const messages = this.#list.querySelectorAll(".message");
    if (this.#list.querySelector('.message[tabindex="0"]')) return;
    messages[messages.length - 1]?.setAttribute("tabindex", "0");
  }

  #walk(event) {
    const from = event.target.closest?.(".message");
    if (!from || event.target !== from) return;
    const messages = [...this.#list.querySelectorAll(".message")];
    const at = messages.indexOf(from);
    const ways = { ArrowUp: messages[at - 1], ArrowDown: messages[at + 1], Home: messages[0], End: messages.at(-1) };
    const to = ways[event.key];
    if (!to) return;
    event.preventDefault();
    for (const message of messages) message.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

/** What a direct channel is about is how the other person is. */
function topicOf(state, channel) {
  const partner = channel && partnerOf(state, channel);
  return partner ? presenceText(state.presence[partner.id]) : (channel?.topic ?? "");
}

function newText(count) {
  return interpolate(ngettext("%(count)s new message", "%(count)s new messages", count), { count });
}

/** Soon after the one before, by the same author: its name need not be shown again. */
function follows(message, before) {
  const apart_ms = new Date(message.created_at) - new Date(before.created_at);
  return before.author.id === message.author.id && !before.deleted && apart_ms < GROUP_MS;
}
