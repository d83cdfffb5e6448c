/** How one message looks, sent or on its way, and the lines between messages. */

import { dayKey, dayOf, element, icon, timeOf } from "./elements.js";
import { gettext } from "./i18n.js";
import { portrait, statusMark } from "./presence.js";
import { nameOf } from "./store.js";

/**
 * @param {import("./store.js").Message} message
 * @param {{ grouped: boolean, editor?: HTMLElement, onEdit?: false | (() => void), onDelete?: false | (() => void) }} options
 */
export function messageNode(message, { grouped, editor, onEdit, onDelete }) {
  const { node, main } = frame(message, message.author, grouped);
  if (editor) main.append(editor);
  else {
    const text = element("div.message-text");
    text.innerHTML = message.html;
    main.append(text);
    if (message.edited_at) main.append(element("span.message-mark", {}, gettext("edited")));
    if (onEdit || onDelete) node.append(actions(onEdit, onDelete));
  }
  return node;
}

/**
 * @param {import("./store.js").Pending} message
 * @param {import("./store.js").User} author
 * @param {{ grouped: boolean, onRetry: () => void, onDiscard: () => void }} options
 */
export function pendingNode(message, author, { grouped, onRetry, onDiscard }) {
  const { node, main } = frame(message, author, grouped);
  node.classList.add("pending", message.status);
  main.append(element("div.message-text.plain", {}, message.body));
  if (message.status === "sending") {
    main.append(element("span.message-mark.late", {}, gettext("Sending…")));
    return node;
  }
  const failed = message.status === "failed";
  const trouble = element("p.message-trouble", { role: failed ? "alert" : false });
  trouble.append(
    failed ? message.error : gettext("Waiting for the connection"),
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
  return { key: "new", make: () => element("li.new-line", {}, element("span", {}, gettext("New"))) };
}

const reader = document.createElement("template");

/** The words of a message's html. A template's content is inert. */
export function textOf(html) {
  reader.innerHTML = html;
  return reader.content.textContent.trim();
}

/** The author is in each message, for those who listen; where it would only be repeated, it is not shown. */
function frame(message, author, grouped) {
  const name = element("strong.message-author", {}, nameOf(author));
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

function actions(onEdit, onDelete) {
  return element(
    "div.message-actions",
    {},
    onEdit && actionButton("edit", gettext("Edit message"), onEdit),
    onDelete && actionButton("delete", gettext("Delete message"), onDelete),
  );
}

function actionButton(name, label, click) {
  const attributes = { type: "button", title: label, on: { click } };
  return element("button.icon-button.icon-button-small", attributes, icon(name), element("span.hidden", {}, label));
}
