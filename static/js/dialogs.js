/** The dialogs: make, find and join workspaces and channels, begin direct messages, confirm. The larger ones are apart. */

import { api, sentence } from "./api.js";
import { ChannelDetails } from "./channel_details.js";
import { element, icon, reconcile, setText } from "./elements.js";
import { attempt, closeByClick, noTrouble, onSubmit, openDialog, tell } from "./forms.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { rankOf, wordsOf } from "./matching.js";
import { PeoplePicker } from "./people_picker.js";
import { PersonCard } from "./person.js";
import { Profile } from "./profile.js";
import { applyChannel, applyWorkspace } from "./store.js";
import { Switcher } from "./switcher.js";
import { WorkspaceDetails } from "./workspace_details.js";

const BROWSED = 200;
const PEERS = 8;

const byId = (id) => document.getElementById(id);

export class Dialogs {
  #store;
  #navigation;
  #details;
  #card;
  #directPicker;
  #browsing = { workspace_id: 0, channels: [], next_after_id: 0, has_more: false, status: "ready", error: "" };
  #browseDialog = /** @type {HTMLDialogElement} */ (byId("browse-dialog"));
  #browseFilter = /** @type {HTMLInputElement} */ (byId("browse-filter"));

  /**
   * @param {{ store: any, client: any, navigation: any, onPeople: () => void }} options  `onPeople`: people are shown whose
   *   presence is to be brought to date
   */
  constructor({ store, client, navigation, onPeople }) {
    this.#store = store;
    this.#navigation = navigation;
    const parts = { store, client, navigation, onPeople, confirm: (question) => this.confirm(question) };
    this.#details = new ChannelDetails(parts);
    new WorkspaceDetails(parts);
    this.#card = new PersonCard(parts);
    new Profile({ store, card: this.#card });
    new Switcher(parts);
    for (const id of [
      "workspace-dialog",
      "channel-dialog",
      "browse-dialog",
      "direct-dialog",
      "confirm-dialog",
      "status-dialog",
    ])
      closeByClick(byId(id));
    const yes = /** @type {HTMLButtonElement} */ (byId("open-direct-yes"));
    this.#directPicker = new PeoplePicker(byId("direct-picker"), {
      most: PEERS,
      onChanged: () => (yes.disabled = this.#directPicker.chosen.length === 0),
    });
    byId("add-workspace").addEventListener("click", () => this.#openWorkspaces());
    byId("add-channel").addEventListener("click", () => openDialog("channel-dialog"));
    byId("new-direct").addEventListener("click", () => this.#openDirect());
    byId("browse-channels").addEventListener("click", () => this.#browse());
    byId("browse-create").addEventListener("click", () => openDialog("channel-dialog"));
    byId("browse-more").addEventListener("click", () => this.#loadBrowsed());
    this.#browseFilter.addEventListener("input", () => this.#drawBrowsed());
    for (const tab of ["about", "notify"])
      byId(`channel-${tab}`).addEventListener("click", () => this.#fromMenu(() => this.#details.open(tab)));
    byId("leave-channel").addEventListener("click", () => this.#fromMenu(() => this.#details.leave(navigation.channel_id)));
    byId("channel-menu").addEventListener(
      "beforetoggle",
      () => (byId("leave-channel").hidden = this.#channel()?.kind === "direct"),
    );
    onSubmit("create-workspace", (fields) => this.#createWorkspace(fields));
    onSubmit("join-workspace", (fields) => this.#joinByLink(fields));
    onSubmit("create-channel", (fields) => this.#createChannel(fields));
    onSubmit("open-direct", () => this.#direct());
    store.listen(() => this.#drawBrowsed());
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

  openPerson(user_id) {
    return this.#card.open(user_id);
  }

  #workspace() {
    return this.#store.state.workspaces[this.#navigation.workspace_id];
  }

  #channel() {
    return this.#store.state.channels[this.#navigation.channel_id];
  }

  #fromMenu(act) {
    byId("channel-menu").hidePopover();
    act();
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
    this.#browseDialog.close();
  }

  #enterChannel(channel) {
    this.#store.update((state) => applyChannel(state, channel));
    this.#navigation.openChannel(channel.id);
  }

  #openDirect() {
    openDialog("direct-dialog");
    this.#directPicker.open({ workspace_id: this.#workspace().id });
  }

  async #direct() {
    const { me } = this.#store.state;
    const peer_ids = this.#directPicker.chosen.map(({ id }) => id).filter((id) => id !== me.id);
    const { channel } = await api("channel.create", { workspace_id: this.#workspace().id, kind: "direct", peer_ids });
    this.#enterChannel(channel);
    byId("direct-dialog").close();
  }

  #browse() {
    this.#browsing = {
      workspace_id: this.#workspace().id,
      channels: [],
      next_after_id: 0,
      has_more: false,
      status: "loading",
      error: "",
    };
    this.#browseFilter.value = "";
    openDialog("browse-dialog");
    this.#loadBrowsed();
  }

  async #loadBrowsed() {
    const { workspace_id, next_after_id } = this.#browsing;
    this.#browsing.status = "loading";
    this.#drawBrowsed();
    try {
      const page = await api("channel.browse", { workspace_id, after_id: next_after_id, limit: BROWSED });
      if (this.#browsing.workspace_id !== workspace_id) return;
      this.#browsing = {
        ...this.#browsing,
        ...page,
        channels: [...this.#browsing.channels, ...page.channels],
        status: "ready",
      };
    } catch (error) {
      this.#browsing = { ...this.#browsing, status: "failed", error: sentence(error) };
    }
    this.#drawBrowsed();
  }

  #drawBrowsed() {
    if (!this.#browseDialog.open) return;
    const { workspace_id, channels, status, error, has_more } = this.#browsing;
    const words = wordsOf(this.#browseFilter.value);
    const wanted = ({ name, topic }) => rankOf(words, `${name} ${topic}`) < Infinity;
    const mine = this.#store.state.channels;
    // What happened to the own ones since they were asked for is known here.
    const open = channels
      .map((channel) => ({ ...channel, ...pick(mine[channel.id]), joined: channel.id in mine }))
      .filter((channel) => !channel.archived && wanted(channel));
    const archived = Object.values(mine).filter(
      (channel) => channel.workspace_id === workspace_id && channel.archived && channel.kind !== "direct" && wanted(channel),
    );
    const byName = (a, b) => a.name.localeCompare(b.name);
    reconcile(
      byId("browse-open"),
      open.sort(byName).map((channel) => this.#browseRow(channel)),
    );
    reconcile(
      byId("browse-archived"),
      archived.sort(byName).map((channel) => this.#browseRow({ ...channel, joined: true })),
    );
    byId("browse-archived-part").hidden = archived.length === 0;
    const note = {
      loading: gettext("Loading…"),
      failed: error,
      ready: words.length ? gettext("Nothing of this name.") : gettext("There are no public channels yet."),
    };
    setText(
      byId("browse-note"),
      status === "ready" && (open.length || archived.length) ? "" : open.length && status === "loading" ? "" : note[status],
    );
    const more = byId("browse-more");
    more.hidden = status === "loading" || (status === "ready" && !has_more);
    setText(more, status === "failed" ? gettext("Try again") : gettext("Show more"));
  }

  #browseRow(channel) {
    const { id, name, topic, member_count, joined, kind } = channel;
    return {
      key: `c${id}`,
      sign: `${name} ${topic} ${member_count} ${joined} ${kind}`,
      make: () => this.#browseNode(channel),
    };
  }

  #browseNode(channel) {
    const { member_count } = channel;
    const count = interpolate(ngettext("%(count)s member", "%(count)s members", member_count), { count: member_count });
    const button = channel.joined
      ? element("button.button.button-small", { type: "button" }, gettext("Open"))
      : element("button.button.button-small.button-primary", { type: "button" }, gettext("Join"));
    const row = element(
      "li.choice",
      {},
      icon(channel.kind === "private" ? "lock" : "hash"),
      element(
        "span.choice-name",
        { dir: "auto" },
        channel.name,
        element("small", {}, channel.topic ? `${count} · ${channel.topic}` : count),
      ),
      button,
      noTrouble(),
    );
    button.addEventListener("click", () =>
      attempt(row, button, async () => {
        if (channel.joined) this.#navigation.openChannel(channel.id);
        else this.#enterChannel((await api("channel.join", { channel_id: channel.id })).channel);
        this.#browseDialog.close();
      }),
    );
    return row;
  }
}

/** What an own channel says of itself by now. */
function pick(channel) {
  if (!channel) return {};
  const { name, topic, member_count, archived, kind } = channel;
  return { name, topic, member_count, archived, kind };
}
