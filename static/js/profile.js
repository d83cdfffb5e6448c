/** One's own profile: picture, name, time zone, language, and whether this browser may notify. */

import { api } from "./api.js";
import { avatar, element, setText } from "./elements.js";
import { attempt, closeByClick, keepUp, onSubmit, openDialog, saidSaved, tell } from "./forms.js";
import { gettext, interpolate } from "./i18n.js";
import { notificationState, switchNotifications } from "./notifications.js";
import { PictureCutter } from "./picture.js";
import { applyEvent, nameOf } from "./store.js";

const byId = (id) => document.getElementById(id);

export class Profile {
  #store;
  #dialog = /** @type {HTMLDialogElement} */ (byId("profile-dialog"));
  #part = /** @type {HTMLElement} */ (this.#dialog.querySelector(".picture"));
  #file = /** @type {HTMLInputElement} */ (byId("picture-file"));
  #cutter = new PictureCutter(
    /** @type {HTMLCanvasElement} */ (byId("picture-canvas")),
    /** @type {HTMLInputElement} */ (byId("picture-zoom")),
  );

  /** @param {{ store: any, card: import("./person.js").PersonCard }} options */
  constructor({ store, card }) {
    this.#store = store;
    closeByClick(this.#dialog);
    byId("edit-profile").addEventListener("click", () => {
      byId("account-menu").hidePopover();
      this.open();
    });
    byId("see-own-card").addEventListener("click", () => card.open(store.state.me.id));
    card.onEdit = () => this.open();
    byId("choose-picture").addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => this.#chose());
    byId("picture-cancel").addEventListener("click", () => this.#endCrop());
    this.#onClick("picture-save", async () => this.#setPicture(await this.#cutter.cut()));
    this.#onClick("remove-picture", () => this.#setPicture(null));
    byId("notifications-on").addEventListener("change", (event) => this.#notify(event.currentTarget));
    onSubmit("update-profile", (fields) => this.#save(fields));
    this.#dialog.addEventListener("close", () => this.#cutter.close());
    store.listen(() => this.draw());
  }

  open() {
    openDialog(this.#dialog.id);
    this.#fillZones();
    this.#endCrop();
    this.draw();
  }

  draw() {
    if (!this.#dialog.open) return;
    const { me } = this.#store.state;
    const shown = byId("picture-shown");
    const sign = `${nameOf(me)} ${me.avatar_url}`;
    if (shown.dataset.sign !== sign) shown.replaceChildren(avatar(me));
    shown.dataset.sign = sign;
    byId("remove-picture").hidden = !me.avatar_url;
    keepUp(byId("profile-name"), me.display_name === me.username ? "" : me.display_name);
    byId("profile-name").setAttribute("placeholder", me.username);
    setText(
      byId("profile-name-help"),
      interpolate(gettext("Beside it stands @%(username)s. Empty, that is shown alone."), { username: me.username }),
    );
    keepUp(byId("profile-zone"), me.time_zone);
    keepUp(byId("profile-language"), me.language);
    this.#drawNotifications(me.id);
  }

  #drawNotifications(user_id) {
    const field = /** @type {HTMLInputElement} */ (byId("notifications-on"));
    const state = notificationState(user_id);
    const help = {
      on: gettext("You are told of messages while you look elsewhere; of which, each channel's notifications say."),
      off: gettext("Be told of messages while you look elsewhere. The browser asks you whether it may."),
      denied: gettext("The browser was told not to allow it. Its settings for this site can change that."),
      impossible: gettext("This browser, or this address, does not allow them."),
    };
    field.checked = state === "on";
    field.disabled = state === "impossible" || state === "denied";
    setText(byId("notifications-help"), help[state]);
  }

  async #notify(field) {
    const { id } = this.#store.state.me;
    await switchNotifications(id, field.checked);
    this.#drawNotifications(id);
  }

  #fillZones() {
    const field = byId("profile-zone");
    if (field.childElementCount) return;
    const own = this.#store.state.me.time_zone;
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const known = Intl.supportedValuesOf?.("timeZone") ?? [];
    const zones = [...new Set([...known, here, "UTC", own].filter(Boolean))].sort();
    const options = zones.map((zone) => element("option", { value: zone }, zone.replaceAll("_", " ")));
    field.replaceChildren(element("option", { value: "" }, gettext("As the browser has it")), ...options);
  }

  async #save({ display_name, time_zone, language }) {
    const { me } = this.#store.state;
    const given = { display_name: display_name.trim(), time_zone, language };
    const before = { ...me, display_name: me.display_name === me.username ? "" : me.display_name };
    const changed = Object.fromEntries(Object.entries(given).filter(([name, value]) => value !== before[name]));
    if (Object.keys(changed).length) this.#took(await api("user.update", changed));
    saidSaved(byId("profile-form"));
    // The page's own texts come with it.
    if ("language" in changed) location.reload();
  }

  async #chose() {
    const [file] = this.#file.files;
    this.#file.value = "";
    if (!file) return;
    tell(this.#part, "");
    try {
      await this.#cutter.open(file);
    } catch {
      return tell(this.#part, gettext("This file is no picture that the browser can read."));
    }
    byId("picture-now").hidden = true;
    byId("picture-crop").hidden = false;
    byId("picture-canvas").focus();
  }

  #endCrop() {
    const cropping = !byId("picture-crop").hidden;
    this.#cutter.close();
    byId("picture-crop").hidden = true;
    byId("picture-now").hidden = false;
    if (cropping) byId("choose-picture").focus();
  }

  async #setPicture(image) {
    this.#took(await api("user.set_avatar", { image }));
    this.#endCrop();
  }

  #took({ user }) {
    this.#store.update((state) => applyEvent(state, "user.updated", { user }));
  }

  #onClick(id, act) {
    const button = byId(id);
    button.addEventListener("click", () => attempt(this.#part, button, act));
  }
}
