/** Finds what one means by a few letters: each word of them has to be in it, in whichever order. */

const NOWHERE = Infinity;

/** For comparing: without case, width and accents. */
export function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

/** @returns {string[]} the words that are looked for; signs before names mean nothing */
export function wordsOf(query) {
  return folded(query)
    .split(/\s+/)
    .map((word) => word.replace(/^[#@]/, ""))
    .filter(Boolean);
}

/**
 * How well a text answers: 0 for the text itself, more for words that begin in it, and for those that are only inside of its
 * words; Infinity where a word is missing.
 * @param {string[]} words of `wordsOf`
 * @param {string} text
 */
export function rankOf(words, text) {
  const within = folded(text);
  if (words.join(" ") === within) return 0;
  const beginnings = within.split(/[^\p{L}\p{N}]+/u);
  return words.reduce((sum, word) => sum + rankOfWord(word, within, beginnings), 0);
}

function rankOfWord(word, within, beginnings) {
  if (within.startsWith(word)) return 1;
  if (beginnings.some((beginning) => beginning.startsWith(word))) return 2;
  return within.includes(word) ? 4 : NOWHERE;
}

/**
 * The entries that are meant, best first. `texts`: each of them may answer. `weight`: of two that answer alike, and of all
 * where nothing is looked for, the heavier one comes first.
 * @template {{ texts: string[], weight: number }} T
 * @param {T[]} entries
 * @param {string} query
 * @returns {T[]}
 */
export function found(entries, query, limit = 30) {
  const words = wordsOf(query);
  return entries
    .map((entry, at) => ({
      entry,
      at,
      rank: Math.min(...[...entry.texts, entry.texts.join(" ")].map((text) => rankOf(words, text))),
    }))
    .filter(({ rank }) => rank < NOWHERE)
    .sort((a, b) => a.rank - b.rank || b.entry.weight - a.entry.weight || a.at - b.at)
    .slice(0, limit)
    .map(({ entry }) => entry);
}
