import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { groupsFor, insertName, nameAt, peopleFor } from "../../static/js/completion.js";
import { inTone, readEmoji, searchEmoji } from "../../static/js/emoji.js";

const at = (text) => nameAt(text.replace("|", ""), text.indexOf("|"));

test("a name begins with an @ that stands by itself", () => {
  assert.deepEqual(at("hello @ad|"), { from: 6, query: "ad" });
  assert.deepEqual(at("@|"), { from: 0, query: "" });
  assert.deepEqual(at("(@bo|b)"), { from: 1, query: "bo" });
  assert.deepEqual(at("ねえ、@山|"), { from: 3, query: "山" });
  for (const text of ["ada@exa|", "a|", "@ad a|", "https://x.org/@ad|", "@@ad|"]) assert.equal(at(text), null, text);
});

test("in code nobody is named", () => {
  assert.equal(at("`@ad|`"), null);
  assert.equal(at("```\n@ad|"), null);
  assert.deepEqual(at("```\ncode\n```\n@ad|"), { from: 13, query: "ad" });
  assert.deepEqual(at("`code` @ad|"), { from: 7, query: "ad" });
});

const ada = { id: 1, username: "ada", display_name: "Countess Lovelace" };
const adam = { id: 2, username: "adam", display_name: "" };
const bob = { id: 3, username: "bob", display_name: "Lothar Bader" };

test("people are found by both names, the best first", () => {
  const found = (query) => peopleFor([bob, adam, ada], query).map(({ username }) => username);
  assert.deepEqual(found("ada"), ["ada", "adam"]);
  assert.deepEqual(found("LO"), ["bob", "ada"]);
  assert.deepEqual(found("ba"), ["bob"]);
  assert.deepEqual(found("zz"), []);
  assert.equal(peopleFor(Array.from({ length: 30 }, () => ada), "a").length, 8);
});

test("groups are offered for their beginning", () => {
  assert.deepEqual([groupsFor(""), groupsFor("ch"), groupsFor("He"), groupsFor("x")], [["channel", "here"], ["channel"], ["here"], []]);
});

test("a chosen name replaces what was typed, with one space behind it", () => {
  assert.deepEqual(insertName("hi @ad and you", 6, 3, "ada"), { text: "hi @ada and you", caret: 8 });
  assert.deepEqual(insertName("@", 1, 0, "bob"), { text: "@bob ", caret: 5 });
});

const english = readEmoji(JSON.parse(readFileSync("static/emoji/en.json", "utf8")));
const japanese = readEmoji(JSON.parse(readFileSync("static/emoji/ja.json", "utf8")));
const first = (set, query) => searchEmoji(set.emoji, query)[0]?.emoji;

test("emoji are found by name and by word, the name first", () => {
  assert.equal(first(english, "thumbs up"), "👍");
  assert.equal(first(english, "Thumbs_Up"), "👍");
  assert.ok(searchEmoji(english.emoji, "lol").some(({ emoji }) => emoji === "😄"));
  assert.deepEqual(searchEmoji(english.emoji, "no such thing"), []);
  assert.equal(searchEmoji(english.emoji, "  ").length, english.emoji.length);
  assert.ok(searchEmoji(japanese.emoji, "猫").length > 0);
});

test("a skin tone is given to what has one, and nothing else changes", () => {
  const wave = english.emoji.find(({ emoji }) => emoji === "👋");
  const smile = english.emoji.find(({ emoji }) => emoji === "😀");
  assert.deepEqual([inTone(wave, 0), inTone(wave, 1), inTone(wave, 5), inTone(smile, 3)], ["👋", "👋🏻", "👋🏿", "😀"]);
});
