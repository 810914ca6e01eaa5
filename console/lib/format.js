// Figures and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes with a binary unit. */
export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/** A count with separators. */
export function count(number) {
  return number === null || number === undefined ? "–" : new Intl.NumberFormat("en").format(number);
}

/** `1 object`, `2 objects`. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A time of the server, in the reader's own zone. */
export function when(text) {
  if (!text) return "–";
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return String(text);
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }).format(time);
}

/** How far a time is from now: `in 3 days`, `2 minutes ago`. */
export function from_now(text) {
  if (!text) return "–";
  const seconds = (new Date(text).getTime() - Date.now()) / 1000;
  const forms = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, length] = forms.find(([, size]) => Math.abs(seconds) >= size) ?? forms[3];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(seconds / length), unit);
}

/** A share as per cent. */
export function percent(part, whole) {
  return whole > 0 ? `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 1 : 0)} %` : "0 %";
}

/** Reads `10 GiB`, `500MB`, `1000`; NaN if it is none. */
export function amount(text) {
  const found = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgtp])(i?)b?|b)?\s*$/i.exec(text);
  if (!found) return NaN;
  const power = found[2] ? "kmgtp".indexOf(found[2].toLowerCase()) + 1 : 0;
  return Math.round(Number(found[1]) * (found[2] && !found[3] ? 1000 : 1024) ** power);
}
