/** Changes the text of an own message, in its place. */

import { api, sentence } from "./api.js";
import { element, setText } from "./elements.js";
import { gettext } from "./i18n.js";

const ROWS = 8;

/**
 * @param {import("./store.js").Message} message
 * @param {(changed: ?import("./store.js").Message) => void} onEnd told once, with null when nothing changed
 */
export function editorOf(message, onEnd) {
  const rows = Math.min(ROWS, message.body.split("\n").length);
  const field = element("textarea.input", { rows, "aria-label": gettext("Edit message") });
  field.value = message.body;
  const trouble = element("p.form-error", { role: "alert", hidden: true });

  async function save() {
    const body = field.value.trim();
    if (!body) return;
    if (body === message.body) return onEnd(null);
    try {
      onEnd((await api("message.update", { message_id: message.id, body })).message);
    } catch (error) {
      trouble.hidden = false;
      setText(trouble, sentence(error));
    }
  }

  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || event.keyCode === 229) return;
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
  return element("div.editor", {}, field, trouble, buttons);
}
