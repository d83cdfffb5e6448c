/**
 * Texts in the language of the page. Django's catalogue is a script of its own that is loaded before the modules; where
 * there is none (a unit test, a catalogue that did not load) the English text is shown.
 */

const catalogue = globalThis;

export function gettext(text) {
  return catalogue.django?.gettext?.(text) ?? text;
}

export function ngettext(one, many, count) {
  return catalogue.django?.ngettext?.(one, many, count) ?? (count === 1 ? one : many);
}

/** Fill in `%(name)s`. */
export function interpolate(text, values) {
  return text.replace(/%\((\w+)\)s/g, (match, name) => String(values[name] ?? match));
}

export const language = catalogue.document?.documentElement.lang || "en";
