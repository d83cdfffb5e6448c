/** All about one workspace: its name, its members and what they may, its invites. */

import { api, sentence } from "./api.js";
import { element, icon, reconcile, setText } from "./elements.js";
import { showFacts } from "./facts.js";
import { attempt, closeByClick, keepUp, noTrouble, onSubmit, openDialog, saidSaved } from "./forms.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { MemberList } from "./member_list.js";
import { memberName } from "./person.js";
import { portrait } from "./presence.js";
import { allowed, allowedOver, roleName, rolesToGive } from "./roles.js";
import { momentOf, silencedUntil } from "./silence.js";
import { applyEvent, applyWorkspace, nameOf } from "./store.js";
import { makeTabs } from "./tabs.js";

const PAGE = 100;

const byId = (id) => document.getElementById(id);

export class WorkspaceDetails {
  #store;
  #navigation;
  #confirm;
  #dialog = /** @type {HTMLDialogElement} */ (byId("workspace-details"));
  #silencing = /** @type {HTMLDialogElement} */ (byId("silence-dialog"));
  #workspace_id = 0;
  #tab = "about";
  #showTab;
  #members;
  #invites = { workspace_id: 0, rows: [], has_more: false, status: "ready", error: "" };
  #round = 0;
  /** @type {?import("./store.js").User} who may be silenced next */ #whom = null;

  constructor({ store, client, navigation, confirm, onPeople }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#confirm = confirm;
    for (const dialog of [this.#dialog, this.#silencing]) closeByClick(dialog);
    this.#showTab = makeTabs(this.#dialog, (name) => this.#shown(name));
    this.#members = new MemberList({
      store,
      client,
      place: byId("people-list"),
      filter: /** @type {HTMLInputElement} */ (byId("people-filter")),
      searches: true,
      load: async ({ workspace_id }, { after_id, query }) => {
        const { users, ...page } = await api("user.list", { workspace_id, query, after_id, limit: PAGE });
        return { entries: users.map(({ role, silenced_until, ...user }) => ({ user, role, silenced_until })), ...page };
      },
      rowOf: (entry) => this.#row(entry),
      onShown: onPeople,
    });
    byId("workspace-settings").addEventListener("click", () => this.open("about"));
    byId("workspace-members").addEventListener("click", () => this.open("members"));
    byId("invite-people").addEventListener("click", () => this.open("invites"));
    byId("leave-workspace").addEventListener("click", () => this.#leave());
    byId("copy-invite").addEventListener("click", () => copyInvite());
    onSubmit("update-workspace", (fields) => this.#save(fields));
    onSubmit("create-invite", (fields) => this.#createInvite(fields));
    onSubmit("silence", (fields) => this.#silence(fields));
    client.on("event", ({ event, data }) => {
      // An invite that is used counts one more.
      const joined = event === "workspace.member_joined" && data.workspace.id === this.#workspace_id;
      if (joined && this.#dialog.open && this.#tab === "invites") this.#loadInvites();
    });
    store.listen(() => this.draw());
  }

  /** @param {"about" | "members" | "invites"} tab */
  open(tab) {
    byId("workspace-menu").hidePopover();
    this.#workspace_id = this.#navigation.workspace_id;
    byId("invite-result").hidden = true;
    setText(byId("invite-note"), "");
    openDialog(this.#dialog.id);
    this.draw();
    this.#showTab(tab);
  }

  draw() {
    if (!this.#dialog.open) return;
    const workspace = this.#workspace;
    if (!workspace) return this.#dialog.close();
    const manages = allowed("update_workspace", workspace.role);
    setText(byId("workspace-details-title"), workspace.name);
    setText(byId("workspace-details-count"), String(workspace.member_count));
    byId("workspace-form").hidden = !manages;
    keepUp(byId("workspace-name-field"), workspace.name);
    keepUp(byId("workspace-open"), workspace.open);
    const invites = allowed("invite", workspace.role);
    byId("workspace-tab-invites").hidden = !invites;
    if (!invites && this.#tab === "invites") this.#showTab("about");
    const until = silencedUntil(workspace.silenced_until);
    showFacts(byId("workspace-facts"), [
      [gettext("Your role"), roleName(workspace.role)],
      !manages && workspace.open && [gettext("Open"), gettext("Everybody with an account here can join without an invite.")],
      until && [gettext("You can only read"), interpolate(gettext("until %(moment)s"), { moment: momentOf(until) })],
    ]);
  }

  get #workspace() {
    return this.#store.state.workspaces[this.#workspace_id];
  }

  #shown(name) {
    this.#tab = name;
    if (name === "members") this.#members.open({ workspace_id: this.#workspace_id });
    if (name === "invites") this.#loadInvites();
  }

  async #save({ name, open }) {
    const workspace = this.#workspace;
    const given = { name: name.trim(), open: open !== undefined };
    const changed = Object.fromEntries(Object.entries(given).filter(([field, value]) => value !== workspace[field]));
    if (Object.keys(changed).length) {
      const answer = await api("workspace.update", { workspace_id: workspace.id, ...changed });
      this.#store.update((state) => applyWorkspace(state, answer.workspace));
    }
    saidSaved(byId("workspace-form"));
  }

  #leave() {
    const { id, name } = this.#workspace;
    this.#confirm({
      title: interpolate(gettext("Leave %(name)s?"), { name }),
      text: gettext("All its channels and direct messages disappear from your screen. What you wrote stays."),
      yes: gettext("Leave"),
      act: async () => {
        await api("workspace.leave", { workspace_id: id });
        const user_id = this.#store.state.me.id;
        this.#store.update((state) => applyEvent(state, "workspace.member_left", { workspace_id: id, user_id }));
      },
    });
  }

  #row({ user, role, silenced_until }) {
    const { me } = this.#store.state;
    const mine = this.#workspace?.role;
    const own = user.id === me.id;
    const name = own ? interpolate(gettext("%(name)s (you)"), { name: nameOf(user) }) : nameOf(user);
    const silenced = silencedUntil(silenced_until);
    const roles = rolesToGive(mine, role);
    return {
      sign: `${name} ${user.username} ${user.avatar_url} ${user.active} ${role} ${mine} ${silenced}`,
      make: () => {
        const row = element("li.choice", {}, portrait(user), memberName(user, name));
        const deeds = element(
          "span.choice-deeds",
          {},
          user.active === false && element("span.role.ended", {}, gettext("Account ended")),
          silenced && silencedMark(silenced),
          roles.length
            ? this.#roleField(user, role, roles, row)
            : role !== "member" && element("span.role", {}, roleName(role)),
          !own && allowedOver("silence_member", mine, role) && this.#silenceButton(user, silenced, row),
          !own && allowedOver("remove_member", mine, role) && this.#removeButton(user),
        );
        if (deeds.childElementCount) row.append(deeds);
        row.append(noTrouble());
        return row;
      },
    };
  }

  #roleField(user, role, roles, row) {
    const options = roles.map((each) => element("option", { value: each, selected: each === role }, roleName(each)));
    const label = interpolate(gettext("Role of %(name)s"), { name: nameOf(user) });
    const field = /** @type {HTMLSelectElement} */ (element("select.input.role-field", { "aria-label": label }, ...options));
    field.addEventListener("change", () =>
      attempt(row, null, async () => {
        try {
          const params = { workspace_id: this.#workspace_id, user_id: user.id, role: field.value };
          const { member } = await api("workspace.set_role", params);
          this.#members.changed(user.id, { role: member.role });
        } catch (error) {
          field.value = role;
          throw error;
        }
      }),
    );
    return field;
  }

  #silenceButton(user, silenced, row) {
    const text = silenced ? gettext("Let %(name)s write again") : gettext("Let %(name)s only read for a time");
    const label = interpolate(text, { name: nameOf(user) });
    const button = element(
      "button.icon-button",
      { type: "button", title: label },
      icon(silenced ? "edit" : "silence"),
      element("span.hidden", {}, label),
    );
    button.addEventListener("click", () => {
      if (silenced) return attempt(row, button, () => this.#unsilence(user));
      this.#whom = user;
      setText(byId("silence-title"), interpolate(gettext("Let %(name)s only read?"), { name: nameOf(user) }));
      openDialog(this.#silencing.id);
    });
    return button;
  }

  async #silence({ minutes, reason }) {
    const params = {
      workspace_id: this.#workspace_id,
      user_id: this.#whom.id,
      minutes: Number(minutes),
      reason: reason.trim(),
    };
    const { user_id, silenced_until } = await api("workspace.silence_member", params);
    this.#members.changed(user_id, { silenced_until });
    this.#silencing.close();
  }

  async #unsilence({ id }) {
    const reason = gettext("Lifted early");
    await api("workspace.unsilence_member", { workspace_id: this.#workspace_id, user_id: id, reason });
    this.#members.changed(id, { silenced_until: null });
  }

  #removeButton(user) {
    const label = interpolate(gettext("Remove %(name)s"), { name: nameOf(user) });
    const click = () =>
      this.#confirm({
        title: interpolate(gettext("Remove %(name)s from %(workspace)s?"), {
          name: nameOf(user),
          workspace: this.#workspace.name,
        }),
        text: gettext("They lose all its channels at once. What they wrote stays, and another invite can bring them back."),
        yes: gettext("Remove"),
        act: () => api("workspace.remove_member", { workspace_id: this.#workspace_id, user_id: user.id }),
      });
    return element(
      "button.icon-button",
      { type: "button", title: label, on: { click } },
      icon("leave"),
      element("span.hidden", {}, label),
    );
  }

  async #createInvite({ days, max_uses, role }) {
    const params = { workspace_id: this.#workspace_id, days: Number(days), max_uses: Number(max_uses) || null, role };
    const { invite } = await api("workspace.invite", params);
    const field = /** @type {HTMLInputElement} */ (byId("invite-url"));
    field.value = new URL(invite.url, location.origin).href;
    byId("invite-result").hidden = false;
    field.select();
    this.#loadInvites();
    await copyInvite();
  }

  async #loadInvites() {
    const round = ++this.#round;
    const workspace_id = this.#workspace_id;
    const again = this.#invites.workspace_id === workspace_id ? this.#invites.rows : [];
    this.#invites = { workspace_id, rows: again, has_more: false, status: "loading", error: "" };
    this.#drawInvites();
    try {
      const { invites, has_more } = await api("workspace.invites", { workspace_id });
      if (round !== this.#round) return;
      this.#invites = { workspace_id, rows: invites, has_more, status: "ready", error: "" };
    } catch (error) {
      if (round !== this.#round) return;
      this.#invites = { workspace_id, rows: again, has_more: false, status: "failed", error: sentence(error) };
    }
    this.#drawInvites();
  }

  #drawInvites() {
    const place = byId("invites-list");
    const { rows, has_more, status, error } = this.#invites;
    if (status === "failed") {
      const again = { type: "button", on: { click: () => this.#loadInvites() } };
      return place.replaceChildren(
        element("p.quiet", { role: "alert" }, error),
        element("button.button.button-small", again, gettext("Try again")),
      );
    }
    if (rows.length === 0) {
      const text =
        status === "loading"
          ? gettext("Loading…")
          : gettext("None. Each link that you make is listed here until it runs out.");
      return place.replaceChildren(element("p.quiet", { role: "status" }, text));
    }
    let list = /** @type {HTMLElement} */ (place.querySelector("ul"));
    if (!list) place.replaceChildren((list = element("ul.choices")));
    reconcile(
      list,
      rows.map((invite) => ({ key: `i${invite.id}`, sign: `${invite.uses}`, make: () => this.#inviteRow(invite) })),
    );
    place.querySelector("p.and-more")?.remove();
    if (has_more) place.append(element("p.quiet.and-more", {}, gettext("And more.")));
  }

  #inviteRow(invite) {
    const { uses, max_uses } = invite;
    const used = max_uses
      ? interpolate(gettext("%(uses)s of %(most)s used"), { uses, most: max_uses })
      : interpolate(ngettext("used %(uses)s time, no limit", "used %(uses)s times, no limit", uses), { uses });
    const about = interpolate(gettext("until %(moment)s, by %(name)s"), {
      moment: momentOf(new Date(invite.expires_at)),
      name: nameOf(invite.created_by),
    });
    const button = element(
      "button.button.button-small",
      { type: "button", "aria-label": interpolate(gettext("Revoke the invite: %(used)s"), { used }) },
      gettext("Revoke"),
    );
    const row = element(
      "li.choice",
      {},
      icon("link"),
      element("span.choice-name", {}, used, element("small", {}, about)),
      invite.role === "guest" && element("span.role", {}, roleName("guest")),
      button,
      noTrouble(),
    );
    button.addEventListener("click", () =>
      attempt(row, button, async () => {
        await api("workspace.revoke_invite", { invite_id: invite.id });
        this.#invites = { ...this.#invites, rows: this.#invites.rows.filter(({ id }) => id !== invite.id) };
        this.#drawInvites();
      }),
    );
    return row;
  }
}

function silencedMark(until) {
  const title = interpolate(gettext("Can only read until %(moment)s"), { moment: momentOf(until) });
  return element("span.role.silenced", { title }, gettext("Only reads"));
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
