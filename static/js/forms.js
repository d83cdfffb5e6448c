/** How dialogs open and close, and how their forms do what they are for: once at a time, with the trouble said in place. */

import { sentence } from "./api.js";
import { element, setText } from "./elements.js";
import { gettext } from "./i18n.js";

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
  for (const said of dialog.querySelectorAll(".form-said")) setText(said, "");
  for (const field of dialog.querySelectorAll("[data-known]")) delete field.dataset.known;
  if (!dialog.open) dialog.showModal();
}

/**
 * Show in a field how it is now, unless somebody is changing it.
 * @param {HTMLElement} node an input or a select
 * @param {string | boolean} value of a checkbox a boolean
 */
export function keepUp(node, value) {
  const field = /** @type {HTMLInputElement} */ (node);
  const name = typeof value === "boolean" ? "checked" : "value";
  const { known } = field.dataset;
  if (known === String(value)) return;
  if (known === undefined || String(field[name]) === known) field[name] = value;
  field.dataset.known = String(value);
}

/** Say beside the button that it is done, until something else is written. */
export function saidSaved(form) {
  const said = form.querySelector(".form-said");
  setText(said, gettext("Saved"));
  // What was written is shown as the server keeps it.
  for (const field of form.querySelectorAll("[data-known]")) delete field.dataset.known;
  form.addEventListener("input", () => setText(said, ""), { once: true });
}

export function onSubmit(name, act) {
  const form = /** @type {HTMLFormElement} */ (document.querySelector(`[data-form="${name}"]`));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type='button'])");
    attempt(form, button, () => act(Object.fromEntries(new FormData(form))));
  });
}

/**
 * Do it once at a time, and say beside it what went wrong.
 * @param {HTMLElement} place with a `.form-error` in it
 * @param {any} button or field that is off meanwhile; null for none
 * @param {() => any} act
 */
export async function attempt(place, button, act) {
  tell(place, "");
  if (button) button.disabled = true;
  try {
    await act();
  } catch (error) {
    tell(place, sentence(error));
  } finally {
    if (button) button.disabled = false;
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
