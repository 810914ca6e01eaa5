// Lines to paste into a shell. Text that an uploader chose is quoted, so that the shell takes it as it is.

const PLAIN = /^[A-Za-z0-9_\/:=.,@%+-]+$/;

/** One word for bash. */
export function word(text) {
  const value = String(text);
  if (PLAIN.test(value)) return value;
  // Controls and marks that turn the direction of text would show another line than the one that is pasted.
  if (/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/.test(value)) {
    const escaped = Array.from(new TextEncoder().encode(value), (byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_\/:=.,@%+ -]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
    });
    // `\x41b` is read as one character of two digits at most, so what follows stays what it is.
    return `$'${escaped.join("")}'`;
  }
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** A `curl` line for one call. */
export function curl(method, path, { headers = {}, json, data, signed_in = true } = {}) {
  const parts = ["curl -fsS"];
  if (method !== "GET") parts.push(`-X ${method}`);
  if (signed_in) parts.push(`-H "Authorization: Bearer $TOKEN"`);
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${word(`${name}: ${value}`)}`);
  if (json !== undefined) parts.push(`-H 'Content-Type: application/json'`, `-d ${word(JSON.stringify(json))}`);
  if (data !== undefined) parts.push(`-T ${word(data)}`);
  parts.push(word(location.origin + path));
  return parts.join(" ");
}

/** A line of `juststorage`. */
export function juststorage(...words) {
  return ["juststorage", ...words.filter((part) => part !== null && part !== undefined && part !== "").map(word)].join(" ");
}

/** A line of `aws s3` or `aws s3api`, which take the endpoint from AWS_ENDPOINT_URL. */
export function aws(...words) {
  return ["aws", ...words.filter((part) => part !== null && part !== undefined && part !== "").map(word)].join(" ");
}
