/** How one message looks, sent or on its way, and the lines between messages. */

import { avatar, dayKey, dayOf, element, icon, timeOf } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { portrait, statusMark } from "./presence.js";
import { nameOf, personOf } from "./store.js";

const NAMES = 12;

/**
 * What a message may be used for here; what is absent may not be done.
 * @typedef {{ react?: (emoji: string) => void, pick?: (anchor: HTMLElement) => void, reply?: () => void,
 *   menu?: (anchor: HTMLElement) => void, history?: () => void }} Uses
 * @typedef {{ grouped: boolean, editor?: HTMLElement, uses: Uses, thread?: import("./store.js").Thread,
 *   highlighted?: boolean, inThread?: boolean }} Look
 */

/**
 * @param {any} state
 * @param {import("./store.js").Message} message
 * @param {Look} look
 */
export function messageNode(state, message, { grouped, editor, uses, thread, highlighted, inThread = false }) {
  const { node, main } = frame(message, personOf(state, message.author), grouped && !message.pinned);
  if (highlighted) node.classList.add("highlighted");
  if (message.pinned) main.append(element("p.message-pin", {}, icon("pin"), gettext("Pinned")));
  if (editor) {
    main.append(editor);
    return node;
  }
  main.append(textNode(message.html, readerOf(state, message)));
  if (main.querySelector(".mention.is-me")) node.classList.add("names-me");
  if (message.edited_at) main.append(editedMark(message, uses.history));
  main.append(...reactionsOf(state, message, uses));
  if (message.reply_count && !inThread) main.append(threadSummary(message, thread));
  node.append(toolbar(uses));
  return node;
}

/** A reply among the messages of its channel: one line, and the way into its thread. */
export function replyNode(state, message, { root, grouped, uses, highlighted }) {
  const author = personOf(state, message.author);
  const about = root && !root.deleted ? textOf(root.html) : root ? gettext("a deleted message") : "";
  const line = element(
    "a.reply-line",
    { href: threadAddress(message.channel_id, message.thread_root_id) },
    !grouped && about && element("span.reply-about", { dir: "auto" }, icon("thread"), element("bdi", {}, about)),
    element(
      "span.reply-said",
      {},
      element("span.portrait-small", {}, avatar(author)),
      element("bdi.message-author", {}, nameOf(author)),
      element("span.reply-text", { dir: "auto" }, textOf(message.html)),
      timeOf(message.created_at),
    ),
  );
  const spoken = { name: nameOf(author), text: textOf(message.html) };
  line.setAttribute("aria-label", interpolate(gettext("Reply of %(name)s: %(text)s"), spoken));
  const main = element("div.message-main", {}, line, ...reactionsOf(state, message, uses));
  const node = element(
    "li.message.reply",
    { tabindex: -1, id: `message-${message.id}` },
    element("div.message-side", {}, icon("reply")),
    main,
    toolbar(uses),
  );
  if (highlighted) node.classList.add("highlighted");
  if (namesMe(message.html, readerOf(state, message))) node.classList.add("names-me");
  return node;
}

/** Where a message was that is deleted by now. */
export function tombstoneNode(message) {
  return element(
    "li.tombstone",
    {},
    element("div.message-side", { "aria-hidden": "true" }, icon("delete")),
    element("p", {}, gettext("This message was deleted."), " ", timeOf(message.created_at)),
  );
}

/**
 * @param {import("./store.js").Pending} message
 * @param {import("./store.js").User} author
 * @param {{ grouped: boolean, onRetry: () => void, onDiscard: () => void }} options
 */
export function pendingNode(message, author, { grouped, onRetry, onDiscard }) {
  const { node, main } = frame(message, author, grouped);
  node.classList.add("pending", message.status);
  if (message.thread_root_id) main.append(element("p.message-mark", {}, icon("reply"), gettext("In a thread")));
  main.append(element("div.message-text.plain", { dir: "auto" }, message.body));
  if (message.status === "sending") {
    main.append(element("span.message-mark.late", {}, gettext("Sending…")));
    return node;
  }
  const failed = message.status === "failed";
  const trouble = element("p.message-trouble", { role: failed ? "alert" : false });
  trouble.append(
    message.error || (failed ? gettext("This was not sent.") : gettext("Waiting for the connection")),
    element("button.text-button", { type: "button", on: { click: onRetry } }, gettext("Try again")),
    element("button.text-button", { type: "button", on: { click: onDiscard } }, gettext("Discard")),
  );
  main.append(trouble);
  return node;
}

export function dayRow(moment) {
  const day = dayOf(moment);
  return { key: `d${dayKey(moment)}`, sign: day, make: () => element("li.day", {}, element("span", {}, day)) };
}

export function newRow() {
  const title = gettext("New since you were here last");
  return { key: "new", make: () => element("li.new-line", { title }, element("span", {}, gettext("New"))) };
}

/** Whom a message can name; nobody is told of what they wrote themselves. */
export function readerOf(state, message) {
  return message.author.id === state.me.id ? null : state.me.id;
}

/**
 * The html of a message, cleaned by the server.
 * @param {string} html  @param {?number} reader_id whose name is marked
 */
export function textNode(html, reader_id) {
  const text = element("div.message-text", { dir: "auto" });
  text.innerHTML = html;
  for (const name of text.querySelectorAll(".mention")) name.classList.toggle("is-me", namesOne(name, reader_id));
  for (const table of text.querySelectorAll("table")) {
    const place = element("div.table-scroller", { tabindex: 0, role: "group", "aria-label": gettext("Table") });
    table.replaceWith(place);
    place.append(table);
  }
  return text;
}

function namesOne(name, reader_id) {
  return reader_id !== null && (name.classList.contains("mention-group") || Number(name.dataset.userId) === reader_id);
}

const reader = document.createElement("template");

/** The words of a message's html. A template's content is inert. */
export function textOf(html) {
  reader.innerHTML = html;
  return reader.content.textContent.replace(/\s+/g, " ").trim();
}

function namesMe(html, reader_id) {
  reader.innerHTML = html;
  return [...reader.content.querySelectorAll(".mention")].some((name) => namesOne(name, reader_id));
}

export function threadAddress(channel_id, root_id) {
  return `#/channels/${channel_id}/threads/${root_id}`;
}

/** Who reacted, in words; whoever is not known here is one of the others. */
export function reactedBy(state, user_ids) {
  const mine = user_ids.includes(state.me.id);
  const others = user_ids.filter((id) => id !== state.me.id);
  const known = others.map((id) => state.people[id]).filter(Boolean).slice(0, NAMES).map(nameOf);
  const rest = others.length - known.length;
  const names = [mine && gettext("You"), ...known].filter(Boolean);
  if (rest) names.push(interpolate(ngettext("%(count)s other", "%(count)s others", rest), { count: rest }));
  return names.join(", ");
}

function reactionsOf(state, message, { react, pick }) {
  if (!message.reactions?.length) return [];
  const buttons = message.reactions.map(({ emoji, user_ids }) => {
    const names = reactedBy(state, user_ids);
    const label = interpolate(gettext("%(emoji)s by %(names)s"), { emoji, names });
    return element(
      "button.reaction",
      {
        type: "button",
        title: names,
        "data-emoji": emoji,
        "aria-label": label,
        "aria-pressed": String(user_ids.includes(state.me.id)),
        disabled: !react,
        on: { click: () => react?.(emoji) },
      },
      element("span.reaction-emoji", { "aria-hidden": "true" }, emoji),
      element("span.reaction-count", { "aria-hidden": "true" }, String(user_ids.length)),
    );
  });
  const more = pick && button("add-reaction", gettext("Add a reaction"), pick, "button.reaction.reaction-add");
  return [element("div.reactions", { role: "group", "aria-label": gettext("Reactions") }, ...buttons, more)];
}

function editedMark({ edited_at }, history) {
  const title = timeOf(edited_at).title;
  if (!history) return element("span.message-mark", { title }, gettext("edited"));
  return element("button.message-mark.mark-button", { type: "button", title, on: { click: history } }, gettext("edited"));
}

function threadSummary(message, thread) {
  const { reply_count } = message;
  const count = interpolate(ngettext("%(count)s reply", "%(count)s replies", reply_count), { count: reply_count });
  const unread = thread?.following ? thread.unread_count : 0;
  return element(
    "a.thread-summary",
    { href: threadAddress(message.channel_id, message.id) },
    icon("thread"),
    count,
    unread > 0 && element("span.badge", {}, interpolate(gettext("%(count)s new"), { count: unread })),
  );
}

/** The author is in each message, for those who listen; where it would only be repeated, it is not shown. */
function frame(message, author, grouped) {
  // For the mouse; with the keyboard the menu of the message leads there.
  const opens = { type: "button", tabindex: -1, "data-person": author.id };
  const link = element("button.person-link", opens, element("bdi", {}, nameOf(author)));
  const name = element("strong.message-author", {}, link);
  const meta = element("p.message-meta", {}, name, " ", !grouped && statusMark(author), " ", timeOf(message.created_at));
  const main = element("div.message-main", {}, meta);
  const node = element(
    grouped ? "li.message.grouped" : "li.message",
    { tabindex: -1, id: message.id ? `message-${message.id}` : null },
    element("div.message-side", {}, grouped ? timeOf(message.created_at) : portrait(author)),
    main,
  );
  return { node, main };
}

function toolbar({ pick, reply, menu }) {
  return element(
    "div.message-actions",
    {},
    pick && button("add-reaction", gettext("Add a reaction"), pick),
    reply && button("reply", gettext("Reply in thread"), reply),
    menu && button("more", gettext("More"), menu),
  );
}

function button(name, label, click, tag = "button.icon-button.icon-button-small") {
  const attributes = { type: "button", title: label, on: { click: (event) => click(event.currentTarget) } };
  return element(tag, attributes, icon(name), element("span.hidden", {}, label));
}
