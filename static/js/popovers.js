/** Puts a popover beside what opened it, inside of the window. */

const GAP_PX = 6;
// Of something as wide as a message the beginning is where one looks.
const WIDE_PX = 240;
const INDENT_PX = 48;

/** @param {HTMLElement} popover  @param {HTMLElement} anchor */
export function showBeside(popover, anchor) {
  if (popover.matches(":popover-open")) popover.hidePopover();
  popover.showPopover();
  const at = anchor.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const below = at.bottom + GAP_PX;
  const top = below + height < innerHeight ? below : Math.max(GAP_PX, at.top - GAP_PX - height);
  const wanted = at.width > WIDE_PX ? at.left + INDENT_PX : at.right - width;
  const left = Math.min(Math.max(GAP_PX, wanted), innerWidth - width - GAP_PX);
  popover.style.top = `${Math.min(top, Math.max(GAP_PX, innerHeight - height - GAP_PX))}px`;
  popover.style.left = `${left}px`;
}
