/** Workspaces, channels and the account: what is beside the conversation. Drawn from the state, in place. */

import { callsOf, titleMark } from "./attention.js";
import { avatar, element, icon, initials, reconcile, setText } from "./elements.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { showThreadCount } from "./panels.js";
import { portrait, statusMark, statusText } from "./presence.js";
import { allowed } from "./roles.js";
import { channelName, channelsOf, nameOf, othersOf, partnerOf, unreadOf, unreadThreads, workspacesInOrder } from "./store.js";

const byId = (id) => document.getElementById(id);

export function showSidebar(state, navigation) {
  if (!state.me) return;
  showWorkspaces(state, navigation);
  const workspace = state.workspaces[navigation.workspace_id];
  setText(byId("workspace-name"), workspace?.name ?? gettext("Welcome"));
  for (const id of ["workspace-menu-button", "threads-button", "directs-section"]) byId(id).hidden = !workspace;
  byId("browse-channels").hidden = !allowed("join_channel", workspace?.role);
  byId("add-channel").hidden = byId("browse-create").hidden = !allowed("create_channel", workspace?.role);
  byId("channel-lists").hidden = !workspace;
  byId("invite-people").hidden = !allowed("invite", workspace?.role);
  const named = channelsOf(state, workspace?.id, ["public", "private"]);
  const directs = channelsOf(state, workspace?.id, ["direct"]);
  reconcile(byId("channels"), named.map((channel) => row(state, channel, navigation)));
  reconcile(byId("directs"), directs.map((channel) => row(state, channel, navigation)));
  showThreadCount(unreadThreads(state, workspace?.id).length);
  showAccount(state);
  showUnread(state, navigation);
}

function showWorkspaces(state, navigation) {
  const rows = workspacesInOrder(state).map((workspace) => ({
    key: `w${workspace.id}`,
    make: () =>
      element(
        "li",
        {},
        element(
          "a.rail-item",
          { href: `#/workspaces/${workspace.id}` },
          element("span.rail-letters", { "aria-hidden": "true" }),
          element("span.hidden"),
          element("span.rail-badge", { "aria-hidden": "true", hidden: true }),
        ),
      ),
    update: (node) => {
      const [link] = node.children;
      const [letters, name, badge] = link.children;
      const unread = unreadOf(state, workspace.id);
      setText(letters, initials(workspace.name));
      link.title = workspace.name;
      setText(name, unread ? `${workspace.name}, ${unreadText(unread)}` : workspace.name);
      badge.hidden = unread === 0;
      setCurrent(link, workspace.id === navigation.workspace_id);
    },
  }));
  reconcile(byId("workspaces"), rows);
}

function row(state, channel, navigation) {
  const partner = partnerOf(state, channel);
  return {
    key: `c${channel.id}`,
    make: () =>
      element(
        "li",
        {},
        element(
          "a.channel-link",
          { href: `#/channels/${channel.id}` },
          element("span.channel-sign"),
          element("span.channel-link-name", { dir: "auto" }),
          partner && statusMark(partner),
          element("span.channel-link-unread.hidden"),
          element("span.mention-badge", { "aria-hidden": "true", hidden: true }),
          element("span.badge", { "aria-hidden": "true", hidden: true }),
        ),
      ),
    update: (node) => {
      const [link] = node.children;
      const name = link.querySelector(".channel-link-name");
      const spoken = link.querySelector(".channel-link-unread");
      const badge = link.querySelector(".badge");
      const mentions = link.querySelector(".mention-badge");
      const here = channel.id === navigation.channel_id;
      const { muted, mention_count } = channel;
      // Of a muted channel only that somebody is named there.
      const unread = muted ? 0 : channel.unread_count;
      const sign = channel.kind === "direct" ? facesOf(state, channel) : channel.kind;
      reconcile(link.querySelector(".channel-sign"), [{ key: "sign", sign, make: () => signOf(state, channel, partner) }]);
      setText(name, channelName(state, channel));
      const said = [unread && unreadText(unread), mention_count && mentionText(mention_count), muted && gettext("muted")];
      setText(spoken, said.filter(Boolean).join(", "));
      setText(badge, unread > 99 ? "99+" : String(unread));
      badge.hidden = unread === 0;
      setText(mentions, mention_count > 99 ? "@99+" : `@${mention_count}`);
      mentions.hidden = mention_count === 0;
      link.classList.toggle("has-unread", unread > 0 || mention_count > 0);
      link.classList.toggle("muted", Boolean(muted));
      setCurrent(link, here);
    },
  };
}

function signOf(state, channel, partner) {
  if (channel.kind !== "direct") return icon(channel.kind === "private" ? "lock" : "hash");
  return partner ? portrait(partner) : avatar(othersOf(state, channel)[0]);
}

/** What the sign of a direct channel is made from. */
function facesOf(state, channel) {
  return othersOf(state, channel).map((user) => `${nameOf(user)} ${user.avatar_url}`).join(" ");
}

function showAccount({ me, presence }) {
  reconcile(byId("account-avatar"), [{ key: `u${me.id}`, sign: `${me.display_name} ${me.avatar_url}`, make: () => portrait(me) }]);
  setText(byId("account-name"), nameOf(me));
  setText(byId("account-status"), statusText(presence[me.id]));
}

function showUnread(state, navigation) {
  const total = unreadOf(state);
  const channel = state.channels[navigation.channel_id];
  const name = channel ? (channel.kind === "direct" ? channelName(state, channel) : `#${channel.name}`) : "";
  const mark = titleMark(callsOf(state), total);
  document.title = [mark, [name, "Meshsite"].filter(Boolean).join(" · ")].filter(Boolean).join(" ");
  byId("drawer-badge").hidden = total === 0;
  setText(byId("open-drawer-label"), total ? `${gettext("Show channels")}, ${unreadText(total)}` : gettext("Show channels"));
}

function mentionText(count) {
  return interpolate(ngettext("%(count)s mention", "%(count)s mentions", count), { count });
}

function unreadText(count) {
  return interpolate(ngettext("%(count)s unread message", "%(count)s unread messages", count), { count });
}

function setCurrent(link, here) {
  if (here) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** On a narrow screen the sidebar is a drawer over the conversation. */
export function handleDrawer() {
  const button = byId("open-drawer");
  const drawer = byId("drawer");
  const narrow = matchMedia("(max-width: 47.99rem)");

  function show(open) {
    byId("shell").classList.toggle("drawer-open", open);
    button.setAttribute("aria-expanded", String(open));
    // Out of sight must be out of the tab order too; and while it is open, so is what it covers.
    drawer.inert = narrow.matches && !open;
    byId("conversation").inert = narrow.matches && open;
    if (open) drawer.querySelector("[aria-current]")?.focus();
  }

  button.addEventListener("click", () => show(true));
  byId("scrim").addEventListener("click", () => show(false));
  drawer.addEventListener("click", (event) => event.target.closest(".channel-link") && show(false));
  addEventListener("hashchange", () => narrow.matches && location.hash.startsWith("#/channels/") && show(false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || button.getAttribute("aria-expanded") === "false") return;
    if (document.querySelector("dialog[open], :popover-open")) return;
    show(false);
    button.focus();
  });
  narrow.addEventListener("change", () => show(false));
  show(false);
}
