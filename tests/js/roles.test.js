import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ROLES, allowed, allowedOver, rolesToGive } from "../../static/js/roles.js";

const document = readFileSync(new URL("../../docs/roles.md", import.meta.url), "utf8");

function table(name) {
  const [, text] = document.match(new RegExp(`<!-- table: ${name} -->\n([^]*?)<!-- end -->`));
  const [head, , ...rows] = text.trim().split("\n").map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  return rows.map((row) => Object.fromEntries(row.map((cell, at) => [head[at], cell])));
}

const SENTENCES = {
  update_workspace: "Rename the workspace; open it to everybody with an account",
  invite: "Make invites, see the open ones and revoke them",
  set_role: "Give a member another role (to whom: below)",
  remove_member: "Remove a member from the workspace (whom: below)",
  silence_member: "Let a member only read for a time (whom: below)",
  create_channel: "Make public and private channels",
  join_channel: "Browse and join public channels",
  manage_channel: "Rename a channel, change its topic, make it private, archive it, remove members",
  add_to_channel: "Add people to a channel",
};

for (const [deed, sentence] of Object.entries(SENTENCES)) {
  test(`the page offers to whom the server allows it: ${deed}`, () => {
    const row = table("deeds").find((each) => each.deed === sentence);
    assert.ok(row, `docs/roles.md has no row "${sentence}"`);
    for (const role of ROLES) assert.equal(allowed(deed, role), row[role] === "yes", role);
    const byChannel = row["channel admin"] === "yes";
    for (const role of ROLES.filter((each) => each !== "guest")) {
      assert.equal(allowed(deed, role, "admin"), byChannel || row[role] === "yes", `${role} as channel admin`);
    }
    assert.equal(allowed(deed, "guest", "admin"), row.guest === "yes", "a guest as channel admin");
  });
}

test("what is done to a member depends on both roles as in the document", () => {
  for (const row of table("deeds to members")) {
    const deed = row["deed to a member"].replaceAll("`", "");
    for (const role of ROLES) {
      const over = row[role] === "everybody" ? ROLES : (row[role] ?? "").split(", ").filter(Boolean);
      for (const other of ROLES) assert.equal(allowedOver(deed, role, other), over.includes(other), `${deed}: ${role} to ${other}`);
    }
  }
});

test("who is in no workspace may nothing", () => {
  for (const deed of Object.keys(SENTENCES)) assert.equal(allowed(/** @type {any} */ (deed), undefined, "admin"), false);
});

test("an admin offers the roles below their own, and none to an owner", () => {
  assert.deepEqual(rolesToGive("admin", "member"), ["moderator", "member", "guest"]);
  assert.deepEqual(rolesToGive("admin", "owner"), []);
  assert.deepEqual(rolesToGive("owner", "admin"), ROLES);
  assert.deepEqual(rolesToGive("moderator", "guest"), []);
});
