/**
 * Tells the server now and then that somebody uses the page, so that its session is not away. Not while nobody does, and
 * not for a page out of sight.
 */

const REPORT_SECONDS = 60;
const RETRY_SECONDS = 10;

// The page's own `focus` only: fields get it from scripts too.
const HAPPENINGS = ["pointerdown", "pointermove", "wheel", "keydown", "focus"];

export class Activity {
  #client;
  #awaySeconds;
  #declaredAway;
  #now;
  #reported_until = -Infinity;

  /**
   * @param {{ client: any, awaySeconds: () => number | undefined, declaredAway: () => boolean, now?: () => number }} options
   */
  constructor({ client, awaySeconds, declaredAway, now = () => performance.now() }) {
    this.#client = client;
    this.#awaySeconds = awaySeconds;
    this.#declaredAway = declaredAway;
    this.#now = now;
  }

  listen() {
    for (const happening of HAPPENINGS) addEventListener(happening, (event) => this.#happened(event), { passive: true });
  }

  /** The first use is told at once, and so is the first after a pause; in between it is enough now and then. */
  async used() {
    const now = this.#now();
    if (!this.#client.session || now < this.#reported_until || this.#declaredAway()) return;
    this.#reported_until = now + Math.min(REPORT_SECONDS, (this.#awaySeconds() ?? Infinity) / 5) * 1_000;
    try {
      await this.#client.call("presence.set_away", { away: false, session: this.#client.session });
    } catch {
      this.#reported_until = this.#now() + RETRY_SECONDS * 1_000;
    }
  }

  #happened(event) {
    // A browser also says that the pointer moved when the page moved under it.
    const still = event.type === "pointermove" && event.movementX === 0 && event.movementY === 0;
    if (still || document.visibilityState !== "visible") return;
    this.used();
  }
}
