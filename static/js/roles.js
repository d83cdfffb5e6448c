/**
 * Who may do what: docs/roles.md for the page, so that it offers nobody what the server would refuse. The server decides.
 *
 * @typedef {"owner" | "admin" | "moderator" | "member" | "guest"} Role
 */

import { gettext } from "./i18n.js";

/** @type {Role[]} */
export const ROLES = ["owner", "admin", "moderator", "member", "guest"];
const MANAGERS = ["owner", "admin"];
const MODERATORS = ["owner", "admin", "moderator"];
const ALL_BUT_GUESTS = ["owner", "admin", "moderator", "member"];

const RIGHTS = {
  update_workspace: MANAGERS,
  invite: MANAGERS,
  set_role: MANAGERS,
  remove_member: MODERATORS,
  silence_member: MODERATORS,
  create_channel: ALL_BUT_GUESTS,
  join_channel: ALL_BUT_GUESTS,
  manage_channel: MANAGERS,
  add_to_channel: ALL_BUT_GUESTS,
};

/** What the admins of a channel may do there, unless they are guests. */
const OF_CHANNEL_ADMINS = ["manage_channel"];

const BELOW_ADMINS = ["moderator", "member", "guest"];
const BELOW_MODERATORS = ["member", "guest"];

/** What is done to a member: to whom of which role. */
const OVER = {
  set_role: { owner: ROLES, admin: BELOW_ADMINS },
  remove_member: { owner: ROLES, admin: BELOW_ADMINS, moderator: BELOW_MODERATORS },
  silence_member: { owner: ROLES, admin: BELOW_ADMINS, moderator: BELOW_MODERATORS },
};

/**
 * @param {keyof typeof RIGHTS} deed
 * @param {string | undefined} role in the workspace; undefined for who is not in it
 * @param {string} [channelRole] in the channel where it is done
 */
export function allowed(deed, role, channelRole) {
  if (!role) return false;
  if (channelRole === "admin" && OF_CHANNEL_ADMINS.includes(deed) && role !== "guest") return true;
  return RIGHTS[deed].includes(role);
}

/**
 * @param {keyof typeof OVER} deed
 * @param {string | undefined} role
 * @param {string} other the role of the member
 */
export function allowedOver(deed, role, other) {
  return OVER[deed][role]?.includes(other) ?? false;
}

/** What a member with the role `other` can be made; nothing but what they are where one may not. @returns {Role[]} */
export function rolesToGive(role, other) {
  return allowedOver("set_role", role, other) ? ROLES.filter((each) => allowedOver("set_role", role, each)) : [];
}

export function roleName(role) {
  const names = {
    owner: gettext("Owner"),
    admin: gettext("Admin"),
    moderator: gettext("Moderator"),
    member: gettext("Member"),
    guest: gettext("Guest"),
  };
  return names[role] ?? role;
}
