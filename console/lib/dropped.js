// Files of a drop, folders included: `[{file, path}]`.

function entries(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

async function walk(entry, above, found) {
  const path = above + entry.name;
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  // A browser gives a hundred entries at a time, and none once all are given.
  for (let some = await entries(reader); some.length; some = await entries(reader)) {
    for (const inner of some) await walk(inner, `${path}/`, found);
  }
}

/** Of a drop. The entries must be taken before the event ends, so this is called inside it. */
export async function of_drop(transfer) {
  const taken = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  const plain = [...transfer.files];
  if (!taken.length || taken.some((entry) => !entry)) return plain.map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of taken) await walk(entry, "", found);
  return found;
}

/** Of an input for files or for a folder. */
export function of_input(input) {
  return [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}
