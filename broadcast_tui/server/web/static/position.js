// Positions in the log of a room: `<epoch>-<seq>`. Two positions are comparable only within one epoch.

/** The position in an id; null if it is not one. */
export function parsePosition(id) {
  const match = /^([0-9A-Za-z]{1,32})-([0-9]{1,16})$/.exec(id ?? "");
  return match && { epoch: match[1], seq: Number(match[2]) };
}

export function formatPosition({ epoch, seq }) {
  return `${epoch}-${seq}`;
}

/**
 * What a position is after a room has gone on in another epoch: entries up to `change.seq` are the same there,
 * those above it are lost (null). Positions of other epochs stay.
 */
export function followed(position, change) {
  if (!position || position.epoch !== change.former) return position;
  return position.seq <= change.seq ? { epoch: change.epoch, seq: position.seq } : null;
}
