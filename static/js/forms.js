/** How dialogs open and close, and how their forms do what they are for: once at a time, with the trouble said in place. */

import { sentence } from "./api.js";
import { element, setText } from "./elements.js";

/**
 * Close a dialog by its buttons for that, and by a click beside it. Escape does it by itself.
 * @param {HTMLDialogElement} dialog
 */
export function closeByClick(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]") || (event.target === dialog && !inside(dialog, event))) dialog.close();
  });
}

export function openDialog(id) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById(id));
  for (const form of dialog.querySelectorAll("form")) form.reset();
  for (const trouble of dialog.querySelectorAll(".form-error")) trouble.hidden = true;
  dialog.showModal();
}

export function onSubmit(name, act) {
  const form = /** @type {HTMLFormElement} */ (document.querySelector(`[data-form="${name}"]`));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type='button'])");
    attempt(form, button, () => act(Object.fromEntries(new FormData(form))));
  });
}

/** Do it once at a time, and say beside it what went wrong. */
export async function attempt(place, button, act) {
  tell(place, "");
  button.disabled = true;
  try {
    await act();
  } catch (error) {
    tell(place, sentence(error));
  } finally {
    button.disabled = false;
  }
}

export function noTrouble() {
  return element("p.form-error", { role: "alert", hidden: true });
}

export function tell(place, text) {
  const trouble = place.querySelector(".form-error");
  setText(trouble, text);
  trouble.hidden = !text;
}

/** A click on the backdrop is a click on the dialog, but beside it. */
function inside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}
