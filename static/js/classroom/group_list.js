/** The groups of a domain, as buttons. */

import { element, reconcile } from "../elements.js";
import { gettext, interpolate, ngettext } from "../i18n.js";
import { labelOf } from "./names.js";

/** How a group is called on the page. */
export function titleOf(group) {
  return labelOf(group.name) ?? (group.name || gettext("Group without a name"));
}

/** @param {HTMLElement} list  @param {any[]} groups  @param {?string} chosen  @param {(group: any) => void} choose */
export function showGroups(list, groups, chosen, choose) {
  reconcile(
    list,
    groups.map((group) => {
      const current = group.id === chosen;
      return {
        key: group.id,
        sign: JSON.stringify([group.node_count, group.ended, group.name, current]),
        make: () => {
          const facts = group.ended ? endings()[group.ended] : countOf(group);
          const button = element(
            "button.group-link",
            { type: "button", title: group.name, "aria-current": current ? "true" : null, on: { click: () => choose(group) } },
            element("strong", {}, titleOf(group)),
            element("span.quiet", {}, group.mine && !group.ended ? `${facts} · ${gettext("yours")}` : facts),
          );
          return element("li", { "data-ended": group.ended ?? "" }, button);
        },
      };
    }),
  );
}

function countOf({ node_count, use_websocket }) {
  const nodes = interpolate(ngettext("%(count)s node", "%(count)s nodes", node_count), { count: node_count });
  return use_websocket ? nodes : `${nodes} · ${gettext("polls")}`;
}

export const endings = () => ({
  host: gettext("Stopped"),
  time: gettext("Its time was over"),
  silence: gettext("Its host was silent"),
});
