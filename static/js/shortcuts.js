/** Keys that work everywhere on the page, and the dialog that lists all keys. */

import { closeByClick, openDialog } from "./forms.js";

/** @param {{ focusMessages: () => void }} options */
export function listenForShortcuts({ focusMessages }) {
  const dialog = document.getElementById("shortcuts-dialog");
  closeByClick(dialog);
  document.getElementById("show-shortcuts").addEventListener("click", () => {
    document.getElementById("account-menu").hidePopover();
    openDialog(dialog.id);
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.key === "?" && !writing(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      openDialog(dialog.id);
    }
    if (event.key === "F6") {
      event.preventDefault();
      focusMessages();
    }
  });
}

function writing(node) {
  return node.closest?.("input, textarea, select, [contenteditable]") !== null;
}
