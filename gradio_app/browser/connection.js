"use strict";

const LOST_AFTER_MS = 12_000; // three ticks of the page's timer
const LOOK_EVERY_MS = 1_000;

/**
 * Gives `#page-lost` the class `lost` while no answer of the page's own server comes: what it said last, such as
 * "Server ready", may no longer be so.
 *
 * A browser that was suspended, or that holds the timers of a hidden tab back, has heard nothing either; the time
 * starts anew then.
 *
 * @param {() => number} now - milliseconds, monotonic
 * @returns {() => void} to be called whenever the server has answered
 */
function watchConnection(now = () => performance.now()) {
  const mark = (/** @type {boolean} */ lost) => document.getElementById("page-lost")?.classList.toggle("lost", lost);
  let heard = now();
  let looked = heard;
  setInterval(() => {
    const time = now();
    if (time - looked > 5 * LOOK_EVERY_MS) heard = time;
    looked = time;
    if (time - heard > LOST_AFTER_MS) mark(true);
  }, LOOK_EVERY_MS);
  return () => {
    heard = now();
    mark(false);
  };
}
