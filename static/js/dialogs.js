/** The dialogs: make and join workspaces and channels, invite, see who is there, confirm. */

import { api, sentence } from "./api.js";
import { element, icon, setText } from "./elements.js";
import { attempt, closeByClick, noTrouble, onSubmit, openDialog, tell } from "./forms.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { portrait, statusLine } from "./presence.js";
import { applyChannel, applyWorkspace, nameOf, removeChannel } from "./store.js";

const MEMBERS = 100;

const byId = (id) => document.getElementById(id);

export class Dialogs {
  #store;
  #navigation;
  #onPeople;

  /** @param {{ store: any, navigation: any, onPeople: () => void }} options  `onPeople`: a list of people is shown */
  constructor({ store, navigation, onPeople }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#onPeople = onPeople;
    for (const dialog of document.querySelectorAll("dialog")) closeByClick(dialog);
    byId("add-workspace").addEventListener("click", () => this.#openWorkspaces());
    byId("add-channel").addEventListener("click", () => openDialog("channel-dialog"));
    byId("browse-channels").addEventListener("click", () => this.#browse());
    byId("invite-people").addEventListener("click", () => this.#invite());
    byId("workspace-members").addEventListener("click", () => this.#workspaceMembers());
    byId("members-button").addEventListener("click", () => this.#channelMembers());
    byId("leave-channel").addEventListener("click", () => this.#leave());
    byId("copy-invite").addEventListener("click", () => copyInvite());
    onSubmit("create-workspace", (fields) => this.#createWorkspace(fields));
    onSubmit("join-workspace", (fields) => this.#joinByLink(fields));
    onSubmit("create-channel", (fields) => this.#createChannel(fields));
    onSubmit("create-invite", (fields) => this.#createInvite(fields));
  }

  /**
   * Ask before something that cannot be undone. The dialog stays open with the reason when `act` fails.
   * @param {{ title: string, text: string, quote?: string, yes: string, act?: () => Promise<any>, harmless?: boolean }} question
   * @returns {Promise<boolean>} true once it is done
   */
  confirm({ title, text, quote = "", yes, act = async () => {}, harmless = false }) {
    const dialog = /** @type {HTMLDialogElement} */ (byId("confirm-dialog"));
    const button = /** @type {HTMLButtonElement} */ (byId("confirm-yes"));
    setText(byId("confirm-title"), title);
    setText(byId("confirm-text"), text);
    setText(byId("confirm-quote"), quote);
    byId("confirm-quote").hidden = !quote;
    setText(button, yes);
    button.classList.toggle("button-danger", !harmless);
    button.classList.toggle("button-primary", harmless);
    tell(dialog, "");
    return new Promise((resolve) => {
      let done = false;
      button.onclick = () =>
        attempt(dialog, button, async () => {
          await act();
          done = true;
          dialog.close();
        });
      dialog.onclose = () => resolve(done);
      dialog.showModal();
    });
  }

  /** Join a workspace that is open to everybody; `button` stands in the card that says so. */
  joinOpen(workspace_id, button) {
    return attempt(button.closest("div.vacant-card"), button, () => this.#join({ workspace_id }));
  }

  #workspace() {
    return this.#store.state.workspaces[this.#navigation.workspace_id];
  }

  #openWorkspaces() {
    const { open_workspaces } = this.#store.state;
    byId("open-workspaces-part").hidden = open_workspaces.length === 0;
    const rows = open_workspaces.map((workspace) => {
      const button = element("button.button.button-small", { type: "button" }, gettext("Join"));
      const row = element("li.choice", {}, element("span.choice-name", {}, workspace.name), button, noTrouble());
      button.addEventListener("click", () => attempt(row, button, () => this.#join({ workspace_id: workspace.id })));
      return row;
    });
    byId("open-workspaces").replaceChildren(...rows);
    openDialog("workspace-dialog");
  }

  async #createWorkspace({ name }) {
    this.#entered(await api("workspace.create", { name }));
  }

  async #joinByLink({ link }) {
    await this.#join({ token: link.trim().replace(/\/+$/, "").split("/").at(-1) });
  }

  async #join(params) {
    this.#entered(await api("workspace.join", params));
  }

  #entered({ workspace }) {
    this.#store.update((state) => applyWorkspace(state, workspace));
    this.#navigation.openWorkspace(workspace.id);
    byId("workspace-dialog").close();
  }

  async #createChannel({ name, topic, kind }) {
    const workspace_id = this.#workspace().id;
    const named = { workspace_id, kind, name: name.trim().replace(/^#/, ""), topic: topic.trim() };
    const { channel } = await api("channel.create", named);
    this.#enterChannel(channel);
    byId("channel-dialog").close();
  }

  #enterChannel(channel) {
    this.#store.update((state) => applyChannel(state, channel));
    this.#navigation.openChannel(channel.id);
  }

  async #browse() {
    const list = byId("browse-list");
    openDialog("browse-dialog");
    await fill(list, async () => {
      const { channels } = await api("channel.browse", { workspace_id: this.#workspace().id });
      if (channels.length === 0) return [element("p.quiet", {}, gettext("There are no public channels yet."))];
      return [element("ul.choices", {}, ...channels.map((channel) => this.#browseRow(channel)))];
    });
  }

  #browseRow(channel) {
    const { member_count } = channel;
    const count = interpolate(ngettext("%(count)s member", "%(count)s members", member_count), { count: member_count });
    const button = channel.joined
      ? element("button.button.button-small", { type: "button" }, gettext("Open"))
      : element("button.button.button-small.button-primary", { type: "button" }, gettext("Join"));
    const row = element(
      "li.choice",
      {},
      icon("hash"),
      element("span.choice-name", {}, channel.name, element("small", {}, channel.topic ? `${count} · ${channel.topic}` : count)),
      button,
      noTrouble(),
    );
    button.addEventListener("click", () =>
      attempt(row, button, async () => {
        if (channel.joined) this.#navigation.openChannel(channel.id);
        else this.#enterChannel((await api("channel.join", { channel_id: channel.id })).channel);
        byId("browse-dialog").close();
      }),
    );
    return row;
  }

  #invite() {
    byId("workspace-menu").hidePopover();
    byId("invite-result").hidden = true;
    setText(byId("invite-note"), "");
    openDialog("invite-dialog");
  }

  async #createInvite({ days, max_uses }) {
    const workspace_id = this.#workspace().id;
    const { invite } = await api("workspace.invite", { workspace_id, days: Number(days), max_uses: Number(max_uses) });
    const field = /** @type {HTMLInputElement} */ (byId("invite-url"));
    field.value = new URL(invite.url, location.origin).href;
    byId("invite-result").hidden = false;
    field.select();
    await copyInvite();
  }

  async #workspaceMembers() {
    byId("workspace-menu").hidePopover();
    const workspace_id = this.#workspace().id;
    await this.#members("workspace.members", { workspace_id });
  }

  async #channelMembers() {
    await this.#members("channel.members", { channel_id: this.#navigation.channel_id });
  }

  async #members(method, params) {
    openDialog("members-dialog");
    const load = async () => {
      const { members, has_more } = await api(method, { ...params, limit: MEMBERS });
      const rows = members.map(({ user, role }) => memberRow(user, role, this.#store.state.me));
      return [element("ul.choices", {}, ...rows), has_more && element("p.quiet", {}, gettext("And more."))].filter(Boolean);
    };
    await fill(byId("members-list"), load, this.#onPeople);
  }

  async #leave() {
    byId("channel-menu").hidePopover();
    const channel = this.#store.state.channels[this.#navigation.channel_id];
    await this.confirm({
      title: interpolate(gettext("Leave #%(name)s?"), { name: channel.name }),
      text:
        channel.kind === "private"
          ? gettext("Somebody has to add you again before you can come back.")
          : gettext("You can join again whenever you like."),
      yes: gettext("Leave"),
      act: async () => {
        await api("channel.leave", { channel_id: channel.id });
        this.#store.update((state) => removeChannel(state, channel.id));
      },
    });
  }
}

const roles = () => ({
  owner: gettext("Owner"),
  admin: gettext("Admin"),
  moderator: gettext("Moderator"),
  guest: gettext("Guest"),
});

function memberRow(user, role, me) {
  const name = nameOf(user);
  const shown = user.id === me.id ? interpolate(gettext("%(name)s (you)"), { name }) : name;
  return element(
    "li.choice",
    {},
    portrait(user),
    element("span.choice-name", {}, shown, element("small", {}, `@${user.username}`), statusLine(user)),
    roles()[role] && element("span.role", {}, roles()[role]),
  );
}

async function fill(place, load, onShown = () => {}) {
  place.replaceChildren(element("p.quiet", { role: "status" }, gettext("Loading…")));
  try {
    place.replaceChildren(...(await load()));
    onShown();
  } catch (error) {
    const again = element("button.button", { type: "button", on: { click: () => fill(place, load, onShown) } }, gettext("Try again"));
    place.replaceChildren(element("p.quiet", { role: "alert" }, sentence(error)), again);
  }
}

async function copyInvite() {
  const field = /** @type {HTMLInputElement} */ (byId("invite-url"));
  try {
    await navigator.clipboard.writeText(field.value);
    setText(byId("invite-note"), gettext("Copied. Everybody who has the link can join until it runs out."));
  } catch {
    // Only on https and localhost may a page write to the clipboard.
    field.select();
    setText(byId("invite-note"), gettext("Copy it from here. Everybody who has the link can join until it runs out."));
  }
}
