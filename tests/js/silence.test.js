import assert from "node:assert/strict";
import { test } from "node:test";

import { SilenceEnd, silencedUntil } from "../../static/js/silence.js";

const NINE = "2026-11-21T09:00:00Z";
const at = (time) => new Date(`2026-11-21T${time}Z`).getTime();

test("a silence is there until its moment, and no longer", () => {
  assert.deepEqual(silencedUntil(NINE, at("08:59:59")), new Date(NINE));
  for (const [stamp, now] of [[NINE, at("09:00:00")], [null, 0], [undefined, 0]]) assert.equal(silencedUntil(stamp, now), null);
});

test("the end of the next silence is told, and a look again stops the one before", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let ends = 0;
  const end = new SilenceEnd(() => ends++);
  const workspaces = { 3: { silenced_until: NINE }, 4: { silenced_until: "2026-11-21T08:00:10Z" }, 5: { silenced_until: null } };
  end.look(workspaces, at("08:00:00"));
  end.look(workspaces, at("08:00:00"));
  t.mock.timers.tick(9_999);
  assert.equal(ends, 0);
  t.mock.timers.tick(1);
  assert.equal(ends, 1);
  end.look({ 5: { silenced_until: null } }, at("08:00:10"));
  t.mock.timers.tick(4_000_000);
  assert.equal(ends, 1);
});
