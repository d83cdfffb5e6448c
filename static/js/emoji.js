/**
 * The emoji that one can react with: their names and words in the language of the page, loaded when they are first needed.
 *
 * @typedef {{ emoji: string, name: string, words: string[], group: number, variants: string[] }} Emoji
 * @typedef {{ groups: string[], emoji: Emoji[] }} EmojiSet
 */

/** @type {?Promise<EmojiSet>} */
let loading = null;

/** @returns {Promise<EmojiSet>} */
export function loadEmoji() {
  loading ??= fetch(document.body.dataset.emoji)
    .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`emoji: ${response.status}`))))
    .then(readEmoji)
    .catch((error) => {
      loading = null;
      throw error;
    });
  return loading;
}

/** @returns {EmojiSet} */
export function readEmoji({ groups, emoji }) {
  return {
    groups,
    emoji: emoji.map(([character, name, words = [], group = 0, variants = []]) => {
      return { emoji: character, name, words, group, variants };
    }),
  };
}

/**
 * Emoji for what somebody types: the name first, then names that begin with it, then words, then anything inside.
 * @param {Emoji[]} all  @param {string} query
 */
export function searchEmoji(all, query) {
  const wanted = plain(query).split(" ").filter(Boolean);
  if (wanted.length === 0) return all;
  const ranked = all.map((entry, at) => ({ entry, at, rank: rankOf(entry, wanted) })).filter(({ rank }) => rank < Infinity);
  return ranked.sort((a, b) => a.rank - b.rank || a.at - b.at).map(({ entry }) => entry);
}

/** All words must fit; the worst of them decides. */
function rankOf({ emoji, name, words }, wanted) {
  if (wanted.length === 1 && wanted[0] === emoji) return 0;
  const full = plain(name);
  const parts = [...full.split(" "), ...words.map(plain)];
  const ranks = wanted.map((word) => {
    if (full === word) return 0;
    if (full.startsWith(word)) return 1;
    if (parts.includes(word)) return 2;
    if (parts.some((part) => part.startsWith(word))) return 3;
    return parts.some((part) => part.includes(word)) ? 4 : Infinity;
  });
  return Math.max(...ranks);
}

function plain(text) {
  return text.normalize("NFKC").toLocaleLowerCase().replace(/[_:\s]+/g, " ").trim();
}

// The five skin tones of Unicode, from light to dark.
export const TONES = ["🏻", "🏼", "🏽", "🏾", "🏿"];

/** The emoji in a skin tone, where it has one; 0 is none. @param {Emoji} entry */
export function inTone({ emoji, variants }, tone) {
  return (tone && variants.find((variant) => variant.includes(TONES[tone - 1]))) || emoji;
}
