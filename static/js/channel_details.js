/** All about one channel: name and topic, who is in it, what of it one wants to be told. */

import { api } from "./api.js";
import { element, icon, setText } from "./elements.js";
import { showFacts } from "./facts.js";
import { attempt, closeByClick, keepUp, noTrouble, onSubmit, openDialog, saidSaved } from "./forms.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { MemberList } from "./member_list.js";
import { notificationState } from "./notifications.js";
import { PeoplePicker } from "./people_picker.js";
import { memberName } from "./person.js";
import { portrait } from "./presence.js";
import { allowed } from "./roles.js";
import { applyChannel, channelName, nameOf, removeChannel } from "./store.js";
import { makeTabs } from "./tabs.js";

const PAGE = 100;

const byId = (id) => document.getElementById(id);

export class ChannelDetails {
  #store;
  #navigation;
  #confirm;
  #dialog = /** @type {HTMLDialogElement} */ (byId("channel-details"));
  #adding = /** @type {HTMLDialogElement} */ (byId("add-members-dialog"));
  #channel_id = 0;
  #showTab;
  #members;
  #picker;

  constructor({ store, client, navigation, confirm, onPeople }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#confirm = confirm;
    for (const dialog of [this.#dialog, this.#adding]) closeByClick(dialog);
    this.#showTab = makeTabs(this.#dialog, (name) => name === "members" && this.#openMembers());
    this.#members = new MemberList({
      store,
      client,
      place: byId("members-list"),
      filter: /** @type {HTMLInputElement} */ (byId("members-filter")),
      load: async ({ channel_id }, { after_id }) => {
        const { members, ...page } = await api("channel.members", { channel_id, after_id, limit: PAGE });
        return { entries: members, ...page };
      },
      rowOf: (entry) => this.#row(entry),
      onShown: onPeople,
    });
    const yes = /** @type {HTMLButtonElement} */ (byId("add-members-yes"));
    this.#picker = new PeoplePicker(byId("add-members-picker"), {
      onChanged: () => (yes.disabled = this.#picker.chosen.length === 0),
    });
    byId("channel-name").addEventListener("click", () => this.open("about"));
    byId("members-button").addEventListener("click", () => this.open("members"));
    byId("open-add-members").addEventListener("click", () => this.#openAdding());
    byId("make-private").addEventListener("click", () => this.#makePrivate());
    byId("archive-channel").addEventListener("click", () => this.#archive());
    byId("leave-this-channel").addEventListener("click", () => this.leave(this.#channel_id));
    byId("notify-form").addEventListener("change", () => this.#choose());
    onSubmit("update-channel", (fields) => this.#save(fields));
    onSubmit("add-members", () => this.#add());
    store.listen(() => this.draw());
  }

  /** @param {"about" | "members" | "notify"} tab */
  open(tab, channel_id = this.#navigation.channel_id) {
    if (!this.#store.state.channels[channel_id]) return;
    this.#channel_id = channel_id;
    openDialog(this.#dialog.id);
    this.draw();
    this.#showTab(tab);
  }

  draw() {
    if (!this.#dialog.open) return;
    const channel = this.#channel;
    if (!channel) {
      this.#adding.close();
      return this.#dialog.close();
    }
    const { state } = this.#store;
    const direct = channel.kind === "direct";
    const manages = this.#may("manage_channel") && !direct;
    const title = channelName(state, channel);
    setText(byId("channel-details-title"), direct ? title : `#${title}`);
    setText(byId("channel-details-count"), String(channel.member_count));
    byId("channel-form").hidden = !manages;
    keepUp(byId("channel-name-field"), channel.name);
    keepUp(byId("channel-topic-field"), channel.topic);
    showFacts(byId("channel-facts"), this.#facts(channel, manages));
    byId("make-private-part").hidden = !manages || channel.kind !== "public" || channel.archived;
    byId("archive-part").hidden = !manages;
    setText(byId("archive-title"), channel.archived ? gettext("Archived") : gettext("Archive"));
    setText(
      byId("archive-text"),
      channel.archived
        ? gettext("It can be read, and nothing is written.")
        : gettext("It stays to be read, and leaves everybody's list."),
    );
    setText(byId("archive-channel"), channel.archived ? gettext("Bring it back") : gettext("Archive this channel"));
    byId("leave-part").hidden = direct;
    byId("channel-deeds").hidden = direct;
    byId("open-add-members").hidden = direct || channel.archived || !this.#may("add_to_channel");
    this.#drawNotify(channel);
  }

  #drawNotify({ muted, notify }) {
    const form = /** @type {HTMLFormElement} */ (byId("notify-form"));
    const field = /** @type {HTMLInputElement} */ (byId("channel-muted"));
    // What is on its way is not put back by what came before it.
    if (form.dataset.busy) return;
    field.checked = muted;
    for (const choice of form.querySelectorAll("[name=notify]")) choice.checked = choice.value === notify;
    const off = notificationState(this.#store.state.me.id) !== "on";
    setText(
      byId("notify-help"),
      off ? gettext("Notifications are off in this browser. Switch them on in your profile.") : "",
    );
  }

  get #channel() {
    return this.#store.state.channels[this.#channel_id];
  }

  #may(deed) {
    const channel = this.#channel;
    return allowed(deed, this.#store.state.workspaces[channel.workspace_id]?.role, channel.role);
  }

  #facts(channel, manages) {
    if (channel.kind === "direct") return [[gettext("Direct"), gettext("Only these people read it, and it stays so.")]];
    const kind =
      channel.kind === "private"
        ? gettext("Only people who are added can see it.")
        : gettext("Everybody in the workspace can find and join it.");
    return [
      !manages && channel.topic && [gettext("What it is about"), channel.topic],
      (!manages || channel.kind === "private") && [
        channel.kind === "private" ? gettext("Private") : gettext("Public"),
        kind,
      ],
      !manages && channel.archived && [gettext("Archived"), gettext("It can be read, and nothing is written.")],
    ];
  }

  async #save({ name, topic }) {
    const channel = this.#channel;
    const given = { name: name.trim().replace(/^#/, ""), topic: topic.trim() };
    const changed = Object.fromEntries(Object.entries(given).filter(([field, value]) => value !== channel[field]));
    if (Object.keys(changed).length) this.#took(await api("channel.update", { channel_id: channel.id, ...changed }));
    saidSaved(byId("channel-form"));
  }

  #makePrivate() {
    const { id, name, member_count } = this.#channel;
    const text = ngettext(
      "From then on only its %(count)s member sees it, with all that was written so far. It cannot be made public again.",
      "From then on only its %(count)s members see it, with all that was written so far. It cannot be made public again.",
      member_count,
    );
    this.#confirm({
      title: interpolate(gettext("Make #%(name)s private?"), { name }),
      text: interpolate(text, { count: member_count }),
      yes: gettext("Make private"),
      act: async () => this.#took(await api("channel.update", { channel_id: id, kind: "private" })),
    });
  }

  #archive() {
    const { id, name, archived } = this.#channel;
    const act = async () => this.#took(await api("channel.archive", { channel_id: id, archived: !archived }));
    const button = /** @type {HTMLButtonElement} */ (byId("archive-channel"));
    if (archived) return attempt(byId("channel-deeds"), button, act);
    this.#confirm({
      title: interpolate(gettext("Archive #%(name)s?"), { name }),
      text: gettext(
        "Its members can go on reading it under “Browse channels”. Nothing can be written there until somebody brings it back.",
      ),
      yes: gettext("Archive"),
      act,
    });
  }

  leave(channel_id) {
    const channel = this.#store.state.channels[channel_id];
    return this.#confirm({
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

  async #choose() {
    const form = /** @type {HTMLFormElement} */ (byId("notify-form"));
    const fields = new FormData(form);
    const chosen = { channel_id: this.#channel_id, muted: fields.has("muted"), notify: fields.get("notify") };
    form.dataset.busy = "yes";
    await attempt(form, null, async () => this.#took(await api("channel.mute", chosen)));
    delete form.dataset.busy;
    this.draw();
  }

  #took({ channel }) {
    this.#store.update((state) => applyChannel(state, channel));
  }

  #openMembers() {
    this.#members.open({ channel_id: this.#channel_id });
  }

  #row({ user, role }) {
    const { me } = this.#store.state;
    const channel = this.#channel;
    const own = user.id === me.id;
    const removable = !own && channel?.kind !== "direct" && channel && this.#may("manage_channel");
    const name = own ? interpolate(gettext("%(name)s (you)"), { name: nameOf(user) }) : nameOf(user);
    return {
      sign: `${name} ${user.username} ${user.avatar_url} ${user.active} ${role} ${removable}`,
      make: () =>
        element(
          "li.choice",
          {},
          portrait(user),
          memberName(user, name),
          user.active === false && element("span.role.ended", {}, gettext("Account ended")),
          role === "admin" && element("span.role", {}, gettext("Channel admin")),
          removable && this.#removeButton(user),
          noTrouble(),
        ),
    };
  }

  #removeButton(user) {
    const label = interpolate(gettext("Remove %(name)s"), { name: nameOf(user) });
    const click = () =>
      this.#confirm({
        title: interpolate(gettext("Remove %(name)s from #%(channel)s?"), {
          name: nameOf(user),
          channel: this.#channel.name,
        }),
        text: gettext("The channel disappears from their screen at once. What they wrote stays."),
        yes: gettext("Remove"),
        act: async () => this.#took(await api("channel.remove_member", { channel_id: this.#channel_id, user_id: user.id })),
      });
    return element(
      "button.icon-button",
      { type: "button", title: label, on: { click } },
      icon("leave"),
      element("span.hidden", {}, label),
    );
  }

  #openAdding() {
    const channel = this.#channel;
    setText(byId("add-members-title"), interpolate(gettext("Add people to #%(name)s"), { name: channel.name }));
    openDialog(this.#adding.id);
    const there = new Set(this.#members.entries.map(({ user }) => user.id));
    this.#picker.open({ workspace_id: channel.workspace_id, without: ({ id }) => there.has(id) });
  }

  async #add() {
    const user_ids = this.#picker.chosen.map(({ id }) => id);
    if (user_ids.length === 0) return;
    this.#took(await api("channel.add_members", { channel_id: this.#channel_id, user_ids }));
    this.#adding.close();
  }
}
