/** Keys for classes: what there is, one more, one less. */

import { api, sentence } from "../api.js";
import { dayOf, element, setText } from "../elements.js";
import { gettext, interpolate } from "../i18n.js";

const at = (id) => document.getElementById(id);

/** @param {{ sure: (asked: { title: string, text: string, yes: string, then: () => Promise<any>, focus: HTMLElement }) => void }} page */
export function createKeys({ sure }) {
  let workspace = null;
  let domains = [];
  /** @type {?number} */ let shown = null;

  async function load() {
    const asked = workspace;
    if (!asked) return;
    try {
      const { keys } = await api("classroom.keys", { workspace_id: asked.id });
      if (asked === workspace) show(keys);
    } catch (error) {
      if (asked === workspace) note(sentence(error));
    }
  }

  function show(keys) {
    at("keys").replaceChildren(...keys.map(row));
    note(keys.length ? "" : gettext("None yet. Editors need one to reach their domain."));
  }

  function note(text) {
    setText(at("keys-note"), text);
    at("keys-note").hidden = !text;
  }

  function row(key) {
    const revoke = element(
      "button.button.button-small",
      { type: "button", "aria-label": interpolate(gettext("Revoke %(label)s"), key), on: { click: () => ask(key) } },
      gettext("Revoke"),
    );
    const facts = element("span.quiet", {}, `${key.prefix}… · ${key.domains.join(", ")} · `, dayOf(key.created_at));
    return element("li.key", {}, element("div", {}, element("strong", {}, key.label), facts), revoke);
  }

  function ask(key) {
    sure({
      title: interpolate(gettext("Revoke “%(label)s”?"), key),
      text: gettext("What editors have open with it ends at once, and within seconds nobody gets in with it."),
      yes: gettext("Revoke"),
      then: async () => {
        await api("classroom.revoke_key", { key_id: key.id });
        if (key.id === shown) forget();
        await load();
      },
      focus: at("keys-title"),
    });
  }

  /** Take the secret off the page. */
  function forget() {
    shown = null;
    at("new-key").hidden = true;
    setText(at("new-key-secret"), "");
    setText(at("new-key-note"), "");
    at("new-key-try").removeAttribute("href");
  }

  at("new-key-copy").addEventListener("click", async () => {
    const secret = at("new-key-secret");
    try {
      await navigator.clipboard.writeText(secret.textContent);
      setText(at("new-key-note"), gettext("Copied."));
    } catch {
      // Only on https and localhost may a page write to the clipboard.
      getSelection().selectAllChildren(secret);
      setText(at("new-key-note"), gettext("Copy it from here."));
    }
  });

  at("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = [...at("key-domains").querySelectorAll("input:checked")].map(({ value }) => value);
    const error = at("key-error");
    error.hidden = true;
    try {
      const label = at("key-label").value;
      const { key } = await api("classroom.make_key", { workspace_id: workspace.id, label, domains: chosen });
      at("key-form").reset();
      forget();
      shown = key.id;
      at("new-key").hidden = false;
      setText(at("new-key-secret"), key.secret);
      // After the #, so that no server is told of it.
      const hash = new URLSearchParams({ key: key.secret, domain: key.domains[0] });
      at("new-key-try").href = `${document.body.dataset.try}#${hash}`;
      at("new-key-title").focus();
      await load();
    } catch (problem) {
      setText(error, chosen.length ? sentence(problem) : gettext("Choose a domain."));
      error.hidden = false;
    }
  });

  return {
    /** @param {?{ id: number }} of  @param {any[]} known  @param {string} current */
    look(of, known, current) {
      const changed = of?.id !== workspace?.id;
      workspace = of;
      at("keys-part").hidden = !of;
      if (!of) return;
      domains = known.filter((domain) => domain.workspace?.id === of.id);
      at("key-domains").replaceChildren(
        ...domains.map(({ name }) =>
          element(
            "label.option",
            {},
            element("input", { type: "checkbox", value: name, checked: name === current }),
            element("span", {}, name),
          ),
        ),
      );
      if (changed) {
        forget();
        at("keys").replaceChildren();
        load();
      }
    },
  };
}
