/** A list of members in a dialog: filtered by name, page by page, and live while the dialog is open. */

import { sentence } from "./api.js";
import { element, reconcile, setText } from "./elements.js";
import { gettext } from "./i18n.js";
import { EMPTY_ROSTER, addPage, applyToRoster, change, sifted } from "./roster.js";
import { personOf } from "./store.js";

const SHOWN = 50;
const TYPED_MS = 200;

/** @typedef {import("./roster.js").Entry} Entry */

export class MemberList {
  #store;
  #dialog;
  #filter;
  #load;
  #rowOf;
  #onShown;
  #searches;
  #rows = element("ul.choices");
  #note = element("p.quiet", { role: "status" });
  #more = element("button.button.button-small", { type: "button", hidden: true }, gettext("Show more"));
  /** @type {?import("./roster.js").Place} */ #where = null;
  #roster = EMPTY_ROSTER;
  #status = "ready";
  #error = "";
  #shown = SHOWN;
  #round = 0;
  /** What happened while a page was on its way. */
  #meanwhile = [];
  /** @type {any} */ #typed;

  /**
   * @param {{ store: any, client: any, place: HTMLElement, filter: HTMLInputElement,
   *   load: (where: import("./roster.js").Place, page: { after_id: number, query: string }) => Promise<any>,
   *   rowOf: (entry: Entry) => { sign: string, make: () => HTMLElement }, onShown: () => void, searches?: boolean }} options
   *   `searches`: the server looks for the names; else every page is looked through
   */
  constructor({ store, client, place, filter, load, rowOf, onShown, searches = false }) {
    this.#store = store;
    this.#dialog = /** @type {HTMLDialogElement} */ (place.closest("dialog"));
    this.#filter = filter;
    this.#load = load;
    this.#rowOf = rowOf;
    this.#onShown = onShown;
    this.#searches = searches;
    place.replaceChildren(this.#rows, this.#note, this.#more);
    this.#more.addEventListener("click", () => this.#showMore());
    filter.addEventListener("input", () => this.#sift());
    client.on("event", ({ event, data }) => this.#heard(event, data));
    client.on("resync", () => this.#where && this.#dialog.open && this.#again());
    store.listen(() => this.draw());
  }

  /** @param {import("./roster.js").Place} where */
  open(where) {
    this.#where = where;
    this.#filter.value = "";
    this.#roster = EMPTY_ROSTER;
    this.#again();
  }

  /** What an own deed changed; its event, if there is one, says the same. @param {Partial<Entry>} patch */
  changed(user_id, patch) {
    this.#roster = change(this.#roster, user_id, patch);
    this.draw();
  }

  /** @returns {Entry[]} */
  get entries() {
    return this.#roster.entries;
  }

  draw() {
    if (!this.#where || !this.#dialog.open) return;
    const called = this.#roster.entries.map((entry) => ({ ...entry, user: personOf(this.#store.state, entry.user) }));
    const sieved = sifted(called, this.#filter.value);
    const shown = sieved.slice(0, this.#shown);
    reconcile(
      this.#rows,
      shown.map((entry) => ({ key: `u${entry.user.id}`, ...this.#rowOf(entry) })),
    );
    setText(this.#note, this.#noteOn(sieved.length));
    this.#note.hidden = !this.#note.textContent;
    const more = this.#roster.has_more || sieved.length > shown.length;
    this.#more.hidden = this.#status === "loading" || (this.#status === "ready" && !more);
    setText(this.#more, this.#status === "failed" ? gettext("Try again") : gettext("Show more"));
    this.#onShown();
  }

  #noteOn(count) {
    if (this.#status === "loading") return count ? "" : gettext("Loading…");
    if (this.#status === "failed") return this.#error;
    return count || this.#roster.has_more ? "" : gettext("Nobody of this name.");
  }

  #sift() {
    this.#shown = SHOWN;
    this.draw();
    clearTimeout(this.#typed);
    this.#typed = setTimeout(() => {
      // What is shown stays until the answer replaces it.
      if (this.#searches) this.#roster = { ...this.#roster, has_more: true, next_after_id: 0 };
      this.#fill({ fresh: this.#searches });
    }, TYPED_MS);
  }

  #showMore() {
    this.#shown += SHOWN;
    this.#fill();
  }

  #again() {
    this.#roster = { ...this.#roster, has_more: true, next_after_id: 0 };
    this.#shown = SHOWN;
    this.#fill({ fresh: true });
  }

  /** Load until as many as are to be shown are there. */
  async #fill({ fresh = false } = {}) {
    const round = ++this.#round;
    this.#status = "loading";
    this.draw();
    try {
      while (fresh || (this.#roster.has_more && this.#count() <= this.#shown)) {
        this.#meanwhile = [];
        const where = this.#where;
        const query = this.#searches ? this.#filter.value.trim() : "";
        const page = await this.#load(where, { after_id: this.#roster.next_after_id, query });
        if (round !== this.#round) return;
        const known = fresh ? EMPTY_ROSTER : this.#roster;
        this.#roster = this.#meanwhile.reduce(
          (roster, [event, data]) => applyToRoster(roster, event, data, where),
          addPage(known, page),
        );
        fresh = false;
        this.draw();
      }
      this.#status = "ready";
    } catch (error) {
      if (round !== this.#round) return;
      this.#status = "failed";
      this.#error = sentence(error);
    }
    this.draw();
  }

  #count() {
    return sifted(this.#roster.entries, this.#filter.value).length;
  }

  #heard(event, data) {
    if (!this.#where) return;
    if (this.#status === "loading") this.#meanwhile.push([event, data]);
    const before = this.#roster;
    this.#roster = applyToRoster(before, event, data, this.#where);
    if (this.#roster !== before) this.draw();
    else if (event === "channel.updated" && this.#missed(data.channel) && this.#dialog.open) this.#again();
  }

  /** Of many who are added at once it is told only how many there are now. */
  #missed({ id, member_count }) {
    if (id !== this.#where.channel_id || member_count === undefined) return false;
    return !this.#roster.has_more && member_count !== this.#roster.entries.length;
  }
}
