// Untrusted text: what hides in it is made visible, as the terminal client does; mentions; colors of names.

// Controls but line feeds; bidirectional overrides and isolates; invisible format, private-use and tag characters.
const HIDDEN =
  /[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\p{Co}\p{Cs}]|[\u{e0000}-\u{e0fff}]/gu;
const FLAG = /(\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{2,6}\u{e007f})/u; // such as Scotland's
const MARKS = /(\p{M}{8})\p{M}+/gu;
const LETTER = /[\p{L}\p{N}\p{M}_]/u;
// Scripts without spaces between words: a name may touch other letters there.
const UNSPACED =
  /[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\u{20000}-\u{3ffff}]/u;

/** The text as it may be displayed, on one or more lines. */
export function visible(text) {
  return text
    .replace(/\r\n|[\r\u2028\u2029]/g, "\n")
    .split(FLAG)
    .map((part, i) => (i % 2 ? part : part.replace(HIDDEN, shown)))
    .join("")
    .replace(MARKS, "$1");
}

/** The text as it may be displayed on a single line. */
export function visibleLine(text) {
  return visible(text).replace(/\n+/g, " ");
}

function shown(char) {
  if (char === "\t") return "    ";
  if (char === "\u200e" || char === "\u200f" || char === "\u061c") return ""; // marks; the page isolates lines
  if (char < " ") return String.fromCharCode(0x2400 + char.charCodeAt(0));
  return char === "\x7f" ? "\u2421" : "\ufffd";
}

/** Whether a text contains a name as a whole word, ignoring case. */
export function mentions(text, name) {
  const word = name.normalize("NFC").toLowerCase();
  const folded = text.normalize("NFC").toLowerCase();
  for (let at = word ? folded.indexOf(word) : -1; at >= 0; at = folded.indexOf(word, at + 1)) {
    const before = Array.from(folded.slice(Math.max(0, at - 2), at)).at(-1) ?? " ";
    const after = Array.from(folded.slice(at + word.length, at + word.length + 2))[0] ?? " ";
    if (!joins(before) && !joins(after)) return true;
  }
  return false;
}

function joins(char) {
  return LETTER.test(char) && !UNSPACED.test(char);
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/**
 * The hues of the names in one room: different ones, as long as there are any left. A name keeps its hue, the free
 * one nearest to that of its hash: as in the terminal unless other scripts imitate Latin letters.
 */
export class NameHues {
  #taken = new Array(13); // keys of names

  /** A number from 0 to 12; with `isGuest`, a name without a hue takes none. */
  of(name, isGuest = false) {
    const key = keyOf(name);
    const wanted = crcOf(key) % 13;
    const known = this.#taken.indexOf(key);
    if (known >= 0) return known;
    if (isGuest) return wanted;
    const distance = (hue) => Math.abs(((hue - wanted + 19) % 13) - 6);
    const nearest = [...this.#taken.keys()].sort((one, other) => distance(one) - distance(other));
    const hue = nearest.find((each) => !this.#taken[each]) ?? wanted;
    this.#taken[hue] ??= key;
    return hue;
  }
}

function keyOf(name) {
  const bare = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return bare.replace(/[01]/g, (digit) => (digit === "0" ? "o" : "l"));
}

function crcOf(key) {
  let crc = -1;
  for (const byte of new TextEncoder().encode(key)) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
