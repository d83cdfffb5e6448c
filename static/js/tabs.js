/** Tabs of a dialog: one part of it is shown at a time. The arrows go from tab to tab. */

/**
 * @param {HTMLElement} dialog with buttons `role="tab"` that name their part in `aria-controls`
 * @param {(name: string) => void} [onShown] with the `data-tab` of what is shown
 */
export function makeTabs(dialog, onShown = () => {}) {
  const tabs = /** @type {HTMLElement[]} */ ([...dialog.querySelectorAll("[role=tab]")]);

  function show(name) {
    for (const tab of tabs) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
    }
    onShown(name);
  }

  for (const tab of tabs) {
    tab.addEventListener("click", () => show(tab.dataset.tab));
    tab.addEventListener("keydown", (event) => {
      const there = tabs.filter((other) => !other.hidden);
      const at = there.indexOf(tab);
      const way = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: there.length - 1 }[event.key];
      if (way === undefined) return;
      event.preventDefault();
      const next = there.at(way % there.length);
      next.focus();
      show(next.dataset.tab);
    });
  }
  return show;
}
