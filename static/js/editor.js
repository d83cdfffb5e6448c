/** Changes the text of an own message, in its place. */

import { api, sentence } from "./api.js";
import { Completion } from "./completion.js";
import { element, setText } from "./elements.js";
import { gettext } from "./i18n.js";

const ROWS = 8;

/**
 * @param {import("./store.js").Message} message
 * @param {{ onEnd: (changed: ?import("./store.js").Message) => void, onUnconfirmed: (error: any) => Promise<boolean>,
 *   naming: { people: () => import("./store.js").User[], groups: () => boolean, onNeeded: () => void } }} options
 *   `onEnd`: told once, with null when nothing changed; `onUnconfirmed`: whether so many people shall really be named
 * @returns {{ node: HTMLElement, completion: Completion }}
 */
export function editorOf(message, { onEnd, onUnconfirmed, naming }) {
  const rows = Math.min(ROWS, message.body.split("\n").length);
  const field = element("textarea.input", { rows, "aria-label": gettext("Edit message") });
  field.value = message.body;
  const trouble = element("p.form-error", { role: "alert", hidden: true });

  async function save() {
    const body = field.value.trim();
    if (!body) return;
    if (body === message.body) return onEnd(null);
    try {
      const changed = await update(body);
      if (changed) onEnd(changed);
    } catch (error) {
      trouble.hidden = false;
      setText(trouble, sentence(error));
    }
  }

  /** @returns {Promise<?import("./store.js").Message>} null where the question was answered with no */
  async function update(body, more = {}) {
    try {
      return (await api("message.update", { message_id: message.id, body, ...more })).message;
    } catch (error) {
      if (error.code !== "mention_unconfirmed" || more.confirm_mentions) throw error;
      if (await onUnconfirmed(error)) return update(body, { confirm_mentions: true });
      field.focus();
      return null;
    }
  }

  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || event.keyCode === 229 || completion.key(event)) return;
    if (event.key === "Escape") onEnd(null);
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      save();
    }
  });
  const cancel = { type: "button", on: { click: () => onEnd(null) } };
  const buttons = element(
    "div.editor-actions",
    {},
    element("button.button.button-small", cancel, gettext("Cancel")),
    element("button.button.button-small.button-primary", { type: "button", on: { click: save } }, gettext("Save")),
  );
  const node = element("div.editor", {}, element("div.editor-field", {}, field), trouble, buttons);
  const completion = new Completion({ field, ...naming });
  return { node, completion };
}
