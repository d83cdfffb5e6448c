/** The messages of the open channel: by day and author, oldest first, with the reader's place kept. */

import { api, sentence } from "./api.js";
import { avatar, dayKey, dayOf, element, icon, reconcile, setText, timeOf } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { attentive } from "./reading.js";
import { applyMessage, channelName, pendingOf } from "./store.js";

const GROUP_MS = 5 * 60_000;
const END_PX = 48;
const OLDER_PX = 600;
const FAR_PX = 900;
const OFFERED = 3;
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
    this.#showVacant(state, channel);
    const changed = (channel?.id ?? null) !== this.#shown;
    if (changed) this.#opened(channel);
    const anchor = changed ? null : this.#anchor();
    this.#announce(state, channel, timeline);
    this.#drawTop(state, channel, timeline);
    reconcile(this.#list, channel ? this.#rows(state, channel, timeline) : []);
    this.#rove();
    this.#place(timeline, anchor);
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
    setText(byId("channel-topic"), channel?.topic ?? "");
    byId("members-button").hidden = !channel;
    setText(byId("members-count"), String(channel?.member_count ?? ""));
    byId("channel-menu-button").hidden = !channel || direct;
  }

  #showVacant(state, channel) {
    const workspace = state.workspaces[this.#navigation.workspace_id];
    const kind = !state.me || channel ? "" : workspace ? "channel" : "workspace";
    const open = kind === "workspace" ? state.open_workspaces.slice(0, OFFERED) : [];
    const sign = `${kind} ${open.map(({ id }) => id)}`;
    this.#vacant.hidden = !kind;
    if (!kind || this.#vacant.dataset.sign === sign) return;
    this.#vacant.dataset.sign = sign;
    const [title, text, ...buttons] =
      kind === "workspace"
        ? [
            gettext("A place for your people"),
            gettext("Create a workspace for your team or class, or join one that you were invited to."),
            ...open.map((offered) => this.#offer(offered)),
            this.#action(gettext("Add a workspace"), "add-workspace", open.length === 0),
          ]
        : [
            gettext("No channels here yet"),
            gettext("Conversations live in channels. Create the first one, or look for those that others made."),
            this.#action(gettext("Create a channel"), "add-channel", true),
            this.#action(gettext("Browse channels"), "browse-channels", false),
          ];
    this.#vacant.replaceChildren(
      element("div.vacant-card", {}, element("h2", {}, title), element("p", {}, text), element("div.vacant-actions", {}, ...buttons), element("p.form-error", { role: "alert", hidden: true })),
    );
  }

  #offer({ id, name }) {
    const button = element("button.button.button-primary", { type: "button" }, interpolate(gettext("Join %(name)s"), { name }));
    button.addEventListener("click", () => this.#dialogs.joinOpen(id, button));
    return button;
  }

  #action(label, id, primary) {
    const button = element(primary ? "button.button.button-primary" : "button.button", { type: "button" }, label);
    button.addEventListener("click", () => byId(id).click());
    return button;
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
    this.#announcer.textContent = others.map((message) => `${nameOf(message.author)}: ${textOf(message.html)}`).join("\n");
  }

  #drawTop(state, channel, timeline) {
    const kind = topKind(state, channel, timeline);
    const sign = `${kind} ${channel ? `${channel.id} ${channelName(state, channel)}` : ""}`;
    if (this.#top.dataset.sign === sign) return;
    this.#top.dataset.sign = sign;
    this.#top.dataset.kind = kind;
    const content = {
      "": () => [],
      skeleton: () => [4, 2, 5, 3, 2, 4].map(skeletonMessage),
      older: () => [element("p.quiet", {}, gettext("Loading older messages…"))],
      failed: () => [
        element("p.quiet", { role: "alert" }, gettext("The messages could not be loaded.")),
        element("button.button", { type: "button", on: { click: () => this.#again() } }, gettext("Try again")),
      ],
      beginning: () => [
        element("span.beginning-sign", { "aria-hidden": "true" }, icon(channel.kind === "private" ? "lock" : channel.kind === "direct" ? "people" : "hash")),
        element("h3.beginning-title", {}, channel.kind === "direct" ? channelName(state, channel) : interpolate(gettext("Welcome to #%(name)s"), { name: channel.name })),
        element("p.quiet", {}, gettext("This is where the conversation begins.")),
      ],
    };
    this.#top.replaceChildren(...content[kind]());
  }

  #again() {
    const timeline = this.#store.state.timelines[this.#shown];
    if (timeline?.messages.length) this.#sync.loadOlder(this.#shown);
    else this.#sync.loadOpenChannel({ again: true });
  }

  #rows(state, channel, timeline) {
    const rows = [];
    const shown = (timeline?.messages ?? []).filter((message) => !message.deleted || message.reply_count > 0);
    const moderates = channel.role === "admin" || MODERATORS.includes(state.workspaces[channel.workspace_id]?.role);
    let before = null;
    let marked = this.#newAfter === null;
    for (const message of [...shown, ...pendingOf(state, channel.id)]) {
      const author = message.author ?? state.me;
      const newDay = !before || dayKey(before.created_at) !== dayKey(message.created_at);
      if (newDay) rows.push(dayRow(message.created_at));
      const newHere = !marked && message.id > this.#newAfter && author.id !== state.me.id;
      if (newHere) {
        rows.push(NEW_ROW());
        marked = true;
      }
      const grouped =
        !newDay && !newHere && before.authorId === author.id && !before.deleted && new Date(message.created_at) - new Date(before.created_at) < GROUP_MS;
      rows.push(message.client_msg_id && !message.id ? this.#pendingRow(message, author, grouped) : this.#messageRow(state, message, grouped, moderates));
      before = { created_at: message.created_at, authorId: author.id, deleted: message.deleted };
    }
    return rows;
  }

  #messageRow(state, message, grouped, moderates) {
    const editing = this.#editing === message.id;
    const own = message.author.id === state.me.id;
    return {
      key: `m${message.id}`,
      // While it is edited it stays as it is, whatever comes.
      sign: editing ? "editing" : `${message.rev} ${grouped} ${own || moderates}`,
      make: () => {
        const node = frame(message, message.author, grouped);
        const main = node.querySelector(".message-main");
        if (message.deleted) main.append(element("p.message-tombstone", {}, gettext("This message was deleted.")));
        else if (editing) main.append(this.#editor(message));
        else {
          const text = element("div.message-text");
          text.innerHTML = message.html;
          main.append(text);
          if (message.edited_at) main.append(element("span.message-mark", {}, gettext("edited")));
          if (own || moderates) node.append(this.#actions(message, own));
        }
        return node;
      },
    };
  }

  #pendingRow(message, author, grouped) {
    return {
      key: `p${message.client_msg_id}`,
      sign: `${message.status} ${message.error} ${grouped}`,
      make: () => {
        const node = frame(message, author, grouped);
        node.classList.add("pending", message.status);
        const main = node.querySelector(".message-main");
        main.append(element("div.message-text.plain", {}, message.body));
        if (message.status === "sending") main.append(element("span.message-mark.late", {}, gettext("Sending…")));
        else {
          const failed = message.status === "failed";
          const why = failed ? message.error : gettext("Waiting for the connection");
          main.append(
            element(
              "p.message-trouble",
              { role: failed ? "alert" : false },
              why,
              element("button.text-button", { type: "button", on: { click: () => this.onRetry(message.client_msg_id) } }, gettext("Try again")),
              element("button.text-button", { type: "button", on: { click: () => this.onDiscard(message.client_msg_id) } }, gettext("Discard")),
            ),
          );
        }
        return node;
      },
    };
  }

  #actions(message, own) {
    const button = (name, label, click) =>
      element("button.icon-button.icon-button-small", { type: "button", title: label, on: { click } }, icon(name), element("span.hidden", {}, label));
    return element(
      "div.message-actions",
      {},
      own && button("edit", gettext("Edit message"), () => this.#edit(message.id)),
      button("delete", gettext("Delete message"), () => this.#delete(message)),
    );
  }

  #edit(message_id) {
    this.#editing = message_id;
    this.draw();
    const field = this.#list.querySelector(".editor textarea");
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }

  #endEdit(message_id) {
    this.#editing = null;
    this.draw();
    this.#list.querySelector(`[data-key="m${message_id}"]`)?.focus({ preventScroll: true });
  }

  #editor(message) {
    const field = element("textarea.input", { rows: Math.min(8, message.body.split("\n").length), "aria-label": gettext("Edit message") });
    field.value = message.body;
    const trouble = element("p.form-error", { role: "alert", hidden: true });
    const save = async () => {
      const body = field.value.trim();
      if (!body) return;
      if (body === message.body) return this.#endEdit(message.id);
      try {
        const { message: updated } = await api("message.update", { message_id: message.id, body });
        this.#store.update((state) => applyMessage(state, updated));
        this.#endEdit(message.id);
      } catch (error) {
        trouble.hidden = false;
        setText(trouble, sentence(error));
      }
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing) return;
      if (event.key === "Escape") this.#endEdit(message.id);
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        save();
      }
    });
    return element(
      "div.editor",
      {},
      field,
      trouble,
      element(
        "div.editor-actions",
        {},
        element("button.button.button-small", { type: "button", on: { click: () => this.#endEdit(message.id) } }, gettext("Cancel")),
        element("button.button.button-small.button-primary", { type: "button", on: { click: save } }, gettext("Save")),
      ),
    );
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

  /** The first message that is seen, and where it is: it stays there when something is put above it. */
  #anchor() {
    const top = this.#scroller.getBoundingClientRect().top;
    // A line between messages stands elsewhere once older ones are there.
    for (const node of this.#list.querySelectorAll(".message")) {
      const rect = node.getBoundingClientRect();
      if (rect.bottom > top) return { key: node.dataset.key, top: rect.top };
    }
    return null;
  }

  #place(timeline, anchor) {
    if (!timeline || (timeline.status !== "ready" && timeline.messages.length === 0)) return;
    if (!this.#ready) {
      this.#ready = true;
      const line = this.#list.querySelector(".new-line");
      this.toEnd();
      if (line && line.offsetTop < this.#scroller.scrollTop) this.#scroller.scrollTop = line.offsetTop - 24;
    } else if (this.atEnd) this.toEnd();
    else if (anchor) {
      const node = this.#list.querySelector(`[data-key="${CSS.escape(anchor.key)}"]`);
      if (node) this.#scroller.scrollTop += node.getBoundingClientRect().top - anchor.top;
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
    if (this.#ready && scrollTop < OLDER_PX && timeline?.has_more && timeline.status === "ready") this.#sync.loadOlder(this.#shown);
  }

  #drawJump() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const far = this.#ready && scrollHeight - scrollTop - clientHeight > FAR_PX;
    this.#jump.hidden = this.atEnd || !(far || this.#missed);
    const text = this.#missed
      ? interpolate(ngettext("%(count)s new message", "%(count)s new messages", this.#missed), { count: this.#missed })
      : gettext("Newest messages");
    setText(byId("jump-text"), text);
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
    const to = { ArrowUp: messages[at - 1], ArrowDown: messages[at + 1], Home: messages[0], End: messages.at(-1) }[event.key];
    if (!to) return;
    event.preventDefault();
    for (const message of messages) message.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

/** What stands above the oldest message. */
function topKind(state, channel, timeline) {
  if (state.me && !channel) return "";
  if (timeline?.status === "failed") return "failed";
  if (!timeline || (timeline.status === "loading" && timeline.messages.length === 0)) return "skeleton";
  return timeline.has_more ? "older" : "beginning";
}

function frame(message, author, grouped) {
  const meta = element("p.message-meta", {}, element("strong.message-author", {}, nameOf(author)), " ", timeOf(message.created_at));
  const node = element(
    "li.message",
    { tabindex: -1, id: message.id ? `message-${message.id}` : null },
    element("div.message-side", {}, grouped ? timeOf(message.created_at) : avatar(author)),
    element("div.message-main", {}, meta),
  );
  // Who wrote it is said to those who listen, where it is not shown again.
  if (grouped) node.classList.add("grouped");
  return node;
}

function skeletonMessage(width) {
  const lines = [1, width].map((data) => element("span.skeleton", { "data-width": data }));
  return element("div.skeleton-message", { "aria-hidden": "true" }, element("span.skeleton.skeleton-avatar"), element("span.skeleton-lines", {}, ...lines));
}

function dayRow(moment) {
  const day = dayOf(moment);
  return { key: `d${dayKey(moment)}`, sign: day, make: () => element("li.day", {}, element("span", {}, day)) };
}

const NEW_ROW = () => ({ key: "new", make: () => element("li.new-line", {}, element("span", {}, gettext("New"))) });

function nameOf(user) {
  return user.display_name || user.username;
}

const reader = document.createElement("template");

function textOf(html) {
  reader.innerHTML = html;
  return reader.content.textContent.trim();
}
