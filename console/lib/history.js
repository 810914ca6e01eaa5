// Requests and their time, read from /metrics every ten seconds while the page is open. The server keeps no history itself.

import { credentials } from "./api.js";

const EVERY = 10_000;
const KEPT = 360;
const samples = [];
let timer;

function sums(text) {
  const found = { requests: 0, errors: 0, seconds: 0, answers: 0 };
  for (const row of text.split("\n")) {
    const at = row.lastIndexOf(" ");
    const value = Number(row.slice(at + 1));
    if (row.startsWith("activestorage_requests_total")) {
      found.requests += value;
      if (/status="5/.test(row)) found.errors += value;
    } else if (row.startsWith("activestorage_request_duration_seconds_sum")) found.seconds += value;
    else if (row.startsWith("activestorage_request_duration_seconds_count")) found.answers += value;
  }
  return found;
}

async function sample() {
  try {
    const answer = await fetch("/metrics", { headers: credentials(), credentials: "omit", cache: "no-store" });
    if (!answer.ok) {
      stop();
      return;
    }
    samples.push([Date.now(), sums(await answer.text())]);
    if (samples.length > KEPT) samples.shift();
    dispatchEvent(new Event("measured"));
  } catch {
    // The next sample may succeed; a gap shows as one longer step.
  }
}

/** Begins to measure, once. */
export function start() {
  if (timer) return;
  sample();
  timer = setInterval(sample, EVERY);
}

/** Forgets what was measured. */
export function stop() {
  clearInterval(timer);
  timer = undefined;
  samples.length = 0;
}

/** Points of what happened between two samples: requests a second, errors a second, mean milliseconds. */
export function rates() {
  const points = { requests: [], errors: [], latency: [] };
  for (let i = 1; i < samples.length; i += 1) {
    const [[before, old], [now, fresh]] = [samples[i - 1], samples[i]];
    const seconds = (now - before) / 1000;
    const grown = (what) => Math.max(fresh[what] - old[what], 0);
    points.requests.push([now, grown("requests") / seconds]);
    points.errors.push([now, grown("errors") / seconds]);
    points.latency.push([now, grown("answers") ? (1000 * grown("seconds")) / grown("answers") : 0]);
  }
  return points;
}
