/** What is shown where there are no messages: loading, failed, the beginning, and nothing at all. */

import { element, icon } from "./elements.js";
import { gettext, interpolate } from "./i18n.js";
import { allowed } from "./roles.js";
import { channelName } from "./store.js";

const OFFERED = 3;
const WIDTHS = [4, 2, 5, 3, 2, 4];

/** Above the oldest message that is loaded. */
export function showTop(root, state, channel, timeline, onAgain) {
  const kind = topKind(state, channel, timeline);
  if (!redraw(root, `${kind} ${channel ? `${channel.id} ${channelName(state, channel)}` : ""}`)) return;
  root.dataset.kind = kind;
  const content = {
    "": () => [],
    skeleton: () => WIDTHS.map(skeletonMessage),
    older: () => [element("p.quiet", {}, gettext("Loading older messages…"))],
    failed: () => [
      element("p.quiet", { role: "alert" }, gettext("The messages could not be loaded.")),
      element("button.button", { type: "button", on: { click: onAgain } }, gettext("Try again")),
    ],
    beginning: () => beginning(state, channel),
  };
  root.replaceChildren(...content[kind]());
}

function topKind(state, channel, timeline) {
  if (state.me && !channel) return "";
  if (timeline?.status === "failed") return "failed";
  if (!timeline || (timeline.status === "loading" && timeline.messages.length === 0)) return "skeleton";
  return timeline.has_more ? "older" : "beginning";
}

function beginning(state, channel) {
  const sign = { public: "hash", private: "lock", direct: "people" }[channel.kind];
  const name = channelName(state, channel);
  const title = channel.kind === "direct" ? name : interpolate(gettext("Welcome to #%(name)s"), { name });
  return [
    element("span.beginning-sign", { "aria-hidden": "true" }, icon(sign)),
    element("h3.beginning-title", {}, title),
    element("p.quiet", {}, gettext("This is where the conversation begins.")),
  ];
}

function skeletonMessage(width) {
  const lines = [1, width].map((data) => element("span.skeleton", { "data-width": data }));
  return element(
    "div.skeleton-message",
    { "aria-hidden": "true" },
    element("span.skeleton.skeleton-avatar"),
    element("span.skeleton-lines", {}, ...lines),
  );
}

/** In place of a conversation, for who is in no workspace, or in one without a channel of theirs. */
export function showVacant(root, state, { workspace_id, channel_id }, dialogs) {
  const vacant = state.me && !state.channels[channel_id];
  root.hidden = !vacant;
  if (!vacant) return;
  const workspace = state.workspaces[workspace_id];
  const open = workspace ? [] : state.open_workspaces.slice(0, OFFERED);
  if (!redraw(root, `${workspace?.id ?? ""} ${workspace?.role} ${open.map(({ id }) => id)}`)) return;
  root.replaceChildren(workspace ? noChannel(workspace.role) : noWorkspace(open, dialogs));
}

function noWorkspace(open, dialogs) {
  return card(
    gettext("A place for your people"),
    gettext("Create a workspace for your team or class, or join one that you were invited to."),
    ...open.map(({ id, name }) => {
      const label = interpolate(gettext("Join %(name)s"), { name });
      const button = element("button.button.button-primary", { type: "button" }, label);
      button.addEventListener("click", () => dialogs.joinOpen(id, button));
      return button;
    }),
    shortcut(gettext("Add a workspace"), "add-workspace", { primary: open.length === 0 }),
  );
}

function noChannel(role) {
  const text = gettext("Somebody has to add you to a channel. You can write to the people you know here.");
  if (!allowed("join_channel", role)) return card(gettext("No channels here yet"), text);
  return card(
    gettext("No channels here yet"),
    gettext("Conversations live in channels. Create the first one, or look for those that others made."),
    shortcut(gettext("Create a channel"), "add-channel", { primary: true }),
    shortcut(gettext("Browse channels"), "browse-channels", { primary: false }),
  );
}

function card(title, text, ...buttons) {
  return element(
    "div.vacant-card",
    {},
    element("h2", {}, title),
    element("p", {}, text),
    element("div.vacant-actions", {}, ...buttons),
    element("p.form-error", { role: "alert", hidden: true }),
  );
}

/** A second button for one that is in the sidebar, which a phone hides. */
function shortcut(label, id, { primary }) {
  const click = () => document.getElementById(id).click();
  return element(primary ? "button.button.button-primary" : "button.button", { type: "button", on: { click } }, label);
}

function redraw(root, sign) {
  if (root.dataset.sign === sign) return false;
  root.dataset.sign = sign;
  return true;
}
