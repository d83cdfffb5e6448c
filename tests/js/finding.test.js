import assert from "node:assert/strict";
import { test } from "node:test";

import { callsOf, notifies, titleMark } from "../../static/js/attention.js";
import { found, rankOf, wordsOf } from "../../static/js/matching.js";
import { cutOf } from "../../static/js/picture.js";
import { EMPTY_ROSTER, addPage, applyToRoster, sifted } from "../../static/js/roster.js";

const rank = (query, text) => rankOf(wordsOf(query), text);
const entry = (name, weight = 0) => ({ texts: [name], weight });
const names = (entries, query) => found(entries, query).map(({ texts }) => texts[0]);

test("the words of a query may come in any order, and as beginnings of words", () => {
  assert.ok(rank("team des", "Design Team") < Infinity);
  assert.ok(rank("love ad", "Ada Lovelace") < Infinity);
  assert.equal(rank("ada byron", "Ada Lovelace"), Infinity);
});

test("case, width, accents and the signs before names do not matter", () => {
  for (const query of ["JOSE", "josé", "@jose", "#José", "ｊｏｓｅ"]) assert.equal(rank(query, "José"), 0, query);
  assert.ok(rank("ゆう", "やまだ ゆうき") < Infinity);
});

test("the name itself comes first, then what begins with it, then words in it, then letters in words", () => {
  const entries = [entry("misdesign"), entry("web design"), entry("design notes"), entry("design")];
  assert.deepEqual(names(entries, "design"), ["design", "design notes", "web design", "misdesign"]);
});

test("what is unread comes first where nothing is looked for, and before its equals where something is", () => {
  const entries = [entry("alpha"), entry("beta", 2), entry("gamma", 4)];
  assert.deepEqual(names(entries, ""), ["gamma", "beta", "alpha"]);
  assert.deepEqual(names([entry("plan a"), entry("plan b", 2)], "plan"), ["plan b", "plan a"]);
});

test("an entry is found by any of its names, and by words of several of them", () => {
  const ada = { texts: ["Countess", "ada_l"], weight: 0 };
  assert.deepEqual(found([ada], "ada_l"), [ada]);
  assert.deepEqual(found([ada], "count ada"), [ada]);
  assert.deepEqual(found([ada], "count bob"), []);
});

test("a channel notifies of what its level says, muted or not of who names its reader", () => {
  const channel = (notify, more = {}) => /** @type {any} */ ({ notify, muted: false, archived: false, ...more });
  const table = [
    [channel("all"), true, true],
    [channel("mentions"), false, true],
    [channel("nothing"), false, false],
    [channel("all", { muted: true }), false, true],
    [channel("nothing", { muted: true }), false, false],
    [undefined, false, false],
  ];
  for (const [of, message, mention] of table) {
    assert.equal(notifies(of, { mention: false }), message);
    assert.equal(notifies(of, { mention: true }), mention);
  }
});

test("the tab counts mentions and direct messages, and marks the rest with a dot", () => {
  const channel = (kind, unread_count, mention_count, muted = false) => ({ kind, unread_count, mention_count, muted, archived: false });
  const calls = (...channels) => callsOf(/** @type {any} */ ({ channels: { ...channels } }));
  assert.equal(calls(channel("public", 9, 2), channel("direct", 3, 0)), 5);
  assert.equal(calls(channel("public", 9, 1, true), channel("direct", 3, 0, true)), 1);
  assert.equal(titleMark(5, 12), "(5)");
  assert.equal(titleMark(0, 12), "•");
  assert.equal(titleMark(0, 0), "");
});

const user = (id, display_name = `user ${id}`) => ({ id, username: `user_${id}`, display_name, avatar_url: null });
const page = (ids, has_more) => ({ entries: ids.map((id) => ({ user: user(id), role: "member" })), has_more, next_after_id: ids.at(-1) });
const ids = (roster) => roster.entries.map((each) => each.user.id);
const here = { channel_id: 3 };

test("who comes into a channel is in its list once, and who goes is not", () => {
  const roster = addPage(EMPTY_ROSTER, page([1, 4], false));
  const come = applyToRoster(roster, "channel.member_joined", { channel_id: 3, user: user(2) }, here);
  assert.deepEqual(ids(come), [1, 2, 4]);
  assert.equal(applyToRoster(come, "channel.member_joined", { channel_id: 3, user: user(2) }, here), come);
  assert.deepEqual(ids(applyToRoster(come, "channel.member_left", { channel_id: 3, user_id: 4 }, here)), [1, 2]);
});

test("who belongs to a page that is not loaded comes with it", () => {
  const roster = addPage(EMPTY_ROSTER, page([1, 4], true));
  const later = applyToRoster(roster, "channel.member_joined", { channel_id: 3, user: user(9) }, here);
  assert.deepEqual(ids(later), [1, 4]);
  assert.deepEqual(ids(addPage(later, page([7, 9], false))), [1, 4, 7, 9]);
});

test("another channel, and a channel of the same number as a workspace, change nothing", () => {
  const roster = addPage(EMPTY_ROSTER, page([1], false));
  const events = [
    ["channel.member_joined", { channel_id: 5, user: user(2) }],
    ["workspace.member_joined", { workspace: { id: 3 }, user: user(2), role: "member" }],
    ["workspace.updated", { workspace: { id: 3 }, member: { user_id: 1, role: "admin" } }],
    ["workspace.updated", { workspace: { id: 3 }, member: null }],
  ];
  for (const [event, data] of events) assert.equal(applyToRoster(roster, event, data, here), roster);
});

test("a role and a profile change in place", () => {
  const roster = addPage(EMPTY_ROSTER, page([1, 2], false));
  const there = { workspace_id: 3 };
  const raised = applyToRoster(roster, "workspace.updated", { workspace: { id: 3 }, member: { user_id: 2, role: "admin" } }, there);
  assert.deepEqual(raised.entries.map(({ role }) => role), ["member", "admin"]);
  const renamed = applyToRoster(raised, "user.updated", { user: user(2, "Bob") }, there);
  assert.equal(renamed.entries[1].user.display_name, "Bob");
  assert.equal(renamed.entries[1].role, "admin");
});

test("a list is sifted by both names and stands in the order of the shown ones", () => {
  const entries = [user(1, "Zoë"), user(2, "ada"), user(3, "Bob")].map((each) => ({ user: each, role: "member" }));
  assert.deepEqual(sifted(entries, "").map((each) => each.user.id), [2, 3, 1]);
  assert.deepEqual(sifted(entries, "zoe").map((each) => each.user.id), [1]);
  assert.deepEqual(sifted(entries, "user_3").map((each) => each.user.id), [3]);
});

test("the cut of a picture is a square inside of it, wherever it is moved", () => {
  const picture = { width: 900, height: 600 };
  assert.deepEqual(cutOf(picture, { x: 0.5, y: 0.5, zoom: 1 }), { left: 150, top: 0, side: 600 });
  assert.deepEqual(cutOf(picture, { x: 5, y: -5, zoom: 2 }), { left: 600, top: 0, side: 300 });
});
