/** The messages of the open channel: by day and author, oldest first, with the reader's place kept. */

import { dayKey, setText } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { dayRow, newRow, textOf } from "./message.js";
import { say } from "./notices.js";
import { showTop, showVacant } from "./placeholders.js";
import { presenceText } from "./presence.js";
import { attentive } from "./reading.js";
import { MessageRows, follows, sameThread } from "./rows.js";
import { channelName, messageOf, nameOf, partnerOf, pendingOf, personOf } from "./store.js";

const END_PX = 48;
const OLDER_PX = 600;
const FAR_PX = 900;
const SPOKEN = 5;
const HIGHLIGHT_MS = 4_000;

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
  /** @type {?number} the cursor to which the reader put it back */ #heldAt = null;
  /** What was there to read since the channel was opened: of it a deleted one leaves a mark. @type {Set<number>} */
  #seen = new Set();
  #ready = false;
  /** The reader wants the newest messages, and not the first that they have not read. */
  #jumped = false;
  #newest = 0;
  #missed = 0;
  /** @type {any} */ #unhighlight;
  atEnd = true;
  onReachedEnd = () => {};
  rows;

  constructor({ store, sync, navigation, dialogs, deeds, onLeave }) {
    this.#store = store;
    this.#sync = sync;
    this.#navigation = navigation;
    this.#dialogs = dialogs;
    this.rows = new MessageRows({ store, deeds, list: this.#list, onRedraw: () => this.draw(), onLeave });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#jump.addEventListener("click", () => this.#jumpToEnd());
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
    if (channel?.held && channel.last_read_id !== this.#heldAt) this.#newAfter = this.#heldAt = channel.last_read_id;
    const anchors = changed ? [] : this.#anchors();
    this.#announce(state, channel, timeline);
    showTop(this.#top, state, channel, timeline, () => this.#again());
    this.rows.draw(channel ? this.#rows(state, channel, timeline) : []);
    if (reactedUnknown(state, timeline)) this.#sync.loadPeople(channel.id);
    this.#place(timeline, anchors);
    if (timeline?.status === "ready") this.#goTo(state, timeline);
    this.#drawJump();
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#scrolled();
  }

  /** Somebody wrote here: they want to see it. */
  written() {
    const timeline = this.#store.state.timelines[this.#shown];
    if (timeline?.has_newer) this.#jumpToEnd();
    this.atEnd = true;
  }

  editLast() {
    return this.rows.editLast(this.#store.state.timelines[this.#shown]?.messages ?? []);
  }

  /** Move the focus into the messages. */
  focus() {
    this.#list.querySelector('.message[tabindex="0"]')?.focus();
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
    byId("pins-button").hidden = !channel;
    byId("channel-menu-button").hidden = !channel;
  }

  #opened(channel) {
    this.#shown = channel?.id ?? null;
    this.#newAfter = channel?.unread_count ? channel.last_read_id : null;
    this.#heldAt = null;
    this.#jumped = false;
    this.#seen.clear();
    this.rows.forget();
    this.#ready = false;
    this.#missed = 0;
    this.#newest = 0;
    this.atEnd = true;
    setText(this.#announcer, "");
  }

  #announce(state, channel, timeline) {
    const newest = timeline?.has_newer ? null : timeline?.messages.at(-1);
    if (!newest || newest.id <= this.#newest) return;
    const fresh = this.#newest ? timeline.messages.filter(({ id }) => id > this.#newest) : [];
    this.#newest = newest.id;
    const others = fresh.filter((message) => message.author.id !== state.me.id && !message.deleted);
    if (!this.#ready || others.length === 0) return;
    if (!this.atEnd) this.#missed += others.length;
    // The line stands where the reader was when they looked away the last time.
    if (!attentive() && channel.last_read_id > (this.#newAfter ?? -1)) this.#newAfter = channel.last_read_id;
    const spoken = others.map((message) => `${nameOf(personOf(state, message.author))}: ${textOf(message.html)}`);
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
    let before = null;
    let marked = this.#newAfter === null;
    for (const message of timeline?.messages ?? []) {
      if (message.deleted && !this.#seen.has(message.id)) continue;
      const newDay = !before || dayKey(before.created_at) !== dayKey(message.created_at);
      const counts = !message.deleted && (this.#heldAt !== null || message.author.id !== state.me.id);
      const newHere = !marked && counts && message.id > this.#newAfter;
      if (newDay) rows.push(dayRow(message.created_at));
      if (newHere) rows.push(newRow());
      marked ||= newHere;
      if (message.deleted) rows.push(this.rows.tombstone(message));
      else rows.push(this.#row(state, channel, message, newDay || newHere ? null : before));
      before = message;
    }
    let grouped = before?.author.id === state.me?.id && !before?.deleted && !before?.thread_root_id;
    for (const message of timeline?.has_newer ? [] : pendingOf(state, channel.id)) {
      rows.push(this.rows.pendingRow(state, message, grouped));
      grouped = true;
    }
    return rows;
  }

  #row(state, channel, message, before) {
    this.#seen.add(message.id);
    const reply = Boolean(message.thread_root_id);
    const root = reply ? messageOf(state, channel.id, message.thread_root_id) : undefined;
    const grouped = reply ? sameThread(message, before) : follows(message, before);
    return this.rows.row(state, channel, message, { grouped, root });
  }

  /** Where the address points to, once it is loaded. */
  #goTo(state, timeline) {
    const { message_id } = this.#navigation;
    if (!message_id) return;
    const node = this.rows.nodeOf(message_id);
    if (!node) {
      const oldest = timeline.messages[0]?.id ?? 0;
      const newest = timeline.messages.at(-1)?.id ?? 0;
      const outside = (timeline.has_more && message_id < oldest) || (timeline.has_newer && message_id > newest);
      if (outside) return;
      this.#navigation.arrived();
      return say(gettext("This message is not there any more."));
    }
    this.#navigation.arrived();
    this.rows.highlighted = message_id;
    this.draw();
    const shown = this.rows.nodeOf(message_id);
    for (const other of this.#list.querySelectorAll('.message[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    shown.tabIndex = 0;
    shown.scrollIntoView({ block: "center" });
    shown.focus({ preventScroll: true });
    this.#scrolled();
    clearTimeout(this.#unhighlight);
    this.#unhighlight = setTimeout(() => {
      this.rows.highlighted = null;
      this.draw();
    }, HIGHLIGHT_MS);
  }

  #jumpToEnd() {
    const timeline = this.#store.state.timelines[this.#shown];
    if (!timeline?.has_newer) return this.toEnd();
    this.#ready = false;
    this.#jumped = true;
    this.atEnd = true;
    this.#newest = 0;
    this.#sync.loadNewest(this.#shown);
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
    if (!this.#ready && timeline.status !== "ready") return;
    if (!this.#ready) {
      this.#ready = true;
      if (this.#navigation.message_id) return;
      const line = this.#list.querySelector(".new-line");
      this.toEnd();
      const toLine = line && !this.#jumped && line.offsetTop < this.#scroller.scrollTop;
      this.#jumped = false;
      if (toLine) this.#scroller.scrollTop = line.offsetTop - 24;
    } else if (this.atEnd && !timeline.has_newer) this.toEnd();
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
    const timeline = this.#store.state.timelines[this.#shown];
    const below = scrollHeight - scrollTop - clientHeight;
    this.atEnd = below < END_PX && !timeline?.has_newer;
    if (this.atEnd) this.#missed = 0;
    this.#drawJump();
    if (this.atEnd && !was) this.onReachedEnd();
    if (!this.#ready || timeline?.status !== "ready") return;
    if (timeline.has_more && scrollTop < OLDER_PX) this.#sync.loadOlder(this.#shown);
    else if (timeline.has_newer && below < OLDER_PX) this.#sync.loadNewer(this.#shown);
  }

  #drawJump() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const further = this.#store.state.timelines[this.#shown]?.has_newer;
    const far = this.#ready && (further || scrollHeight - scrollTop - clientHeight > FAR_PX);
    this.#jump.hidden = this.atEnd || !(far || this.#missed);
    setText(byId("jump-text"), this.#missed ? newText(this.#missed) : gettext("Newest messages"));
    this.#jump.classList.toggle("has-news", this.#missed > 0);
  }
}

/** What a direct channel is about is how the other person is. */
function topicOf(state, channel) {
  const partner = channel && partnerOf(state, channel);
  return partner ? presenceText(state.presence[partner.id]) : (channel?.topic ?? "");
}

/** Whether somebody reacted of whom nobody here knows the name. */
function reactedUnknown({ people }, timeline) {
  const reactions = (timeline?.messages ?? []).flatMap((message) => message.reactions ?? []);
  return reactions.some(({ user_ids }) => user_ids.some((id) => !people[id]));
}

function newText(count) {
  return interpolate(ngettext("%(count)s new message", "%(count)s new messages", count), { count });
}
