// Markdown in a post: bold, italic, strikethrough, code, links, code blocks; the rules of the terminal client.
//
// Markers, and what a link has besides its text and host, are in the page but have no width: a selection that is
// copied is the text as written. A marker opens after a space or punctuation and closes before one: `snake_case`,
// 2*3*4 and *.py are unchanged. Only code blocks extend over several lines. Parsing is linear in the text.

import { h } from "./dom.js";
import { isSpoofed, targetOf } from "./links.js";
import { visible } from "./text.js";

const CHARS_MAX = 20_000; // longer texts are not parsed
const SPANS_MAX = 1000; // in one line
const CODE_MAX = 8000; // longer code is not highlighted
const LINE_MAX = 500; // of a text on a single line
const SIGNS = /[*_~`]|:\/\//;
const FENCE = /^ {0,3}(`{3,})([^`]*)$/;
const URL_SOURCE = "https?://(?:[^\\s<>\"`()]|\\([^\\s<>\"`()]*\\))+";
const TITLED = "\\[([^[\\]]{1,300})\\]\\((https?://(?:[^\\s<>\"[\\]()]|\\([^\\s<>\"[\\]()]*\\)){1,2100})\\)";
const SHRUG = "¯\\\\_\\(ツ\\)_/¯"; // it keeps its arm: this backslash escapes nothing
const TOKEN = new RegExp(`${SHRUG}|\\\\([!-/:-@[-\`{-~])|${TITLED}|((?<![A-Za-z0-9])${URL_SOURCE})|(\\*+|_+|~+)`, "giu");
const TRAILING = /[.,:;!?'[\]{}*_~|]+$/; // punctuation of the sentence around a URL
const COMMENTS = [ // by languages; the others have those of C
  [["py", "python", "sh", "bash", "shell", "zsh", "console", "yaml", "yml", "toml", "rb", "ruby", "dockerfile", "makefile", "ini"], "#.*"],
  [["sql", "lua", "haskell", "hs"], "--.*"],
  [["json", "diff", "html", "xml"], "(?!)"],
];
const LITERALS =
  "(\"(?:[^\"\\\\\\n]|\\\\.)*(?:\"|$)|'(?:[^'\\\\\\n]|\\\\.)*(?:'|$))|\\b(\\d[\\d._]*)\\b|" +
  "\\b(and|as|async|await|break|case|class|const|continue|create|def|delete|do|done|elif|else|enum|export|false|fi|fn|for|from|" +
  "func|function|if|import|in|insert|interface|into|is|join|let|match|mut|new|nil|none|not|null|on|or|order|pass|pub|raise|" +
  "return|select|self|set|static|struct|switch|table|then|this|throw|true|try|type|update|use|values|var|void|where|while|with|yield)\\b";
const KINDS = { "*": ["em"], "**": ["strong"], "***": ["strong", "em"], _: ["em"], "~~": ["s"] };

/** The nodes of a text: `{nodes, hosts}`, with the real hosts of links that imitate other ones. */
export function render(text) {
  const hosts = new Set();
  if (text.length > CHARS_MAX || !SIGNS.test(text)) return { nodes: [text], hosts };
  const nodes = [];
  const lines = text.split("\n");
  let prose = [];
  const flush = () => {
    if (prose.length) nodes.push(h("div", {}, ...prose.flatMap((line, i) => [i ? "\n" : "", ...inline(line, hosts)])));
    prose = [];
  };
  for (let i = 0; i < lines.length; i += 1) {
    const fence = FENCE.exec(lines[i]);
    if (!fence) {
      prose.push(lines[i]);
      continue;
    }
    flush();
    const closes = (line) => /^`+$/.test(line.trim()) && line.trim().length >= fence[1].length;
    let end = i + 1;
    while (end < lines.length && !closes(lines[end])) end += 1;
    nodes.push(h("pre", { tabIndex: 0 }, h("code", {}, ...highlighted(lines.slice(i + 1, end).join("\n"), fence[2]))));
    i = end;
  }
  flush();
  return { nodes, hosts };
}

/** The beginning of a text on a single line, without markup. */
export function plainLine(text) {
  const line = h("p", {}, ...render(visible(text.slice(0, LINE_MAX))).nodes.flatMap((node) => [node, " "]));
  for (const marker of line.querySelectorAll(".marker")) marker.remove();
  for (const host of line.querySelectorAll(".host")) host.prepend(" ");
  return line.textContent.replace(/\s+/g, " ").trim();
}

/** The nodes of a code block: comments, strings, numbers and words that are common to many languages. */
function highlighted(code, language) {
  const [name] = language.trim().toLowerCase().split(/\s/);
  if (!name || name === "text" || code.length > CODE_MAX) return [code];
  const comment = COMMENTS.find(([names]) => names.includes(name))?.[1] ?? "//.*|/\\*[^]*?(?:\\*/|(?![^]))";
  const nodes = [];
  let end = 0;
  // Whatever begins also ends, at the latest with the line or the block: nothing is read twice.
  for (const match of code.matchAll(new RegExp(`(${comment})|${LITERALS}`, "gim"))) {
    const kind = ["markup", "c5", "c2", "c10"][match.slice(1).findIndex((group) => group !== undefined)];
    nodes.push(code.slice(end, match.index), h("span", { className: kind }, match[0]));
    end = match.index + match[0].length;
  }
  return [...nodes, code.slice(end)];
}

/** The nodes of one line. */
function inline(line, hosts) {
  if (!SIGNS.test(line)) return [line];
  const spans = [];
  for (const span of parse(line, hosts)) {
    if (spans.length >= SPANS_MAX) break;
    spans.push(span);
  }
  if (!spans.length) return [line];
  // Spans overlap but are never of the same style: cut the line at their ends, and nest what covers each piece.
  const cuts = new Map();
  const at = (place) => cuts.get(place) ?? cuts.set(place, { starts: [], ends: [] }).get(place);
  for (const span of spans) {
    at(span.start).starts.push(span);
    at(span.end).ends.push(span);
  }
  const places = [...cuts.keys()].sort((one, other) => one - other);
  const nodes = [line.slice(0, places[0])];
  const active = new Set();
  places.forEach((place, i) => {
    for (const span of cuts.get(place).ends) active.delete(span);
    for (const span of cuts.get(place).starts) if (span.end > place) active.add(span);
    const piece = line.slice(place, places[i + 1] ?? line.length);
    const marker = [...active].find(({ tag }) => tag === "marker");
    if (piece) nodes.push((marker ? [marker] : [...active]).reduce(wrap, piece));
  });
  return nodes;
}

function wrap(node, { tag, href, className }) {
  if (tag.startsWith("mark")) return h("span", { className: tag, "aria-hidden": tag === "marker" }, node);
  if (tag !== "a") return h(tag, {}, node);
  return h("a", { href, className, target: "_blank", rel: "noopener noreferrer" }, node);
}

function* parse(line, hosts) {
  const codes = codeSpans(line);
  for (const { start, end, ticks } of codes) {
    yield { start, end: start + ticks, tag: "marker" };
    yield { start: start + ticks, end: end - ticks, tag: "code" };
    yield { start: end - ticks, end, tag: "marker" };
  }
  const opened = new Map();
  let code = 0;
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(line); token; token = TOKEN.exec(line)) {
    const start = token.index;
    const [whole, escaped, title, address, url, sign] = token;
    while (code < codes.length && codes[code].end <= start) code += 1;
    if (code < codes.length && codes[code].start <= start) {
      TOKEN.lastIndex = codes[code].end;
    } else if (sign) {
      yield* marker(line, sign, start, opened);
    } else if (url) {
      const trimmed = url.replace(TRAILING, "");
      TOKEN.lastIndex = start + trimmed.length;
      const target = targetOf(trimmed);
      if (target?.misleading) hosts.add(target.host);
      if (target?.href) yield { start, end: start + trimmed.length, tag: "a", href: target.href };
    } else if (address) {
      const end = start + 1 + title.length;
      if (codes.some((span) => span.start > start && span.start < end && span.end > end)) TOKEN.lastIndex = start + 1;
      else yield* titledLink(start, whole, title, address, hosts);
    } else if (escaped) yield { start, end: start + 1, tag: "marker" };
  }
}

/** Close the style opened by the same marker, or remember that it opens one. */
function* marker(line, sign, start, opened) {
  if (!Object.hasOwn(KINDS, sign)) return;
  const end = start + sign.length;
  const before = Array.from(line.slice(Math.max(0, start - 2), start)).at(-1) ?? " ";
  const after = end < line.length ? String.fromCodePoint(line.codePointAt(end)) : " ";
  const first = opened.get(sign);
  if (first && !/\s/.test(before) && !isLetter(after) && first.end < start) {
    yield { start: first.start, end: first.end, tag: "marker" };
    for (const tag of KINDS[sign]) yield { start: first.end, end: start, tag };
    yield { start, end, tag: "marker" };
    for (const [other, span] of opened) if (span.start >= first.start) opened.delete(other);
  } else if (!/\s/.test(after) && !isLetter(before)) opened.set(sign, { start, end });
}

function isLetter(char) {
  return /[\p{L}\p{N}]/u.test(char);
}

/** `[text](url)`: the text becomes a link unless it is a URL or imitates a host. The host always is one. */
function* titledLink(start, whole, title, address, hosts) {
  const target = targetOf(address);
  if (target && (target.misleading || isSpoofed(title, target.host))) hosts.add(target.host);
  if (!target?.href) return;
  const text = start + 1;
  const end = text + title.length;
  const shift = end + 2;
  const link = { tag: "a", href: target.href };
  const isAddress = title.includes("://") || title.toLowerCase().includes("www.") || isSpoofed(title, target.host);
  const isShort = title.trim() && !isAddress;
  const tag = isShort ? "marker" : "markup";
  if (isShort) yield { ...link, start: text, end };
  yield { start, end: text, tag };
  yield { start: end, end: shift + target.start, tag };
  yield { ...link, start: shift + target.start, end: shift + target.end, className: isShort ? "host" : "" };
  yield { start: shift + target.end, end: start + whole.length, tag };
}

/** Start, end and number of backticks of each code span. */
function codeSpans(line) {
  const ticks = [...line.matchAll(/\\.|(`+)/g)].filter((match) => match[1]);
  // The next run of the same length closes a span.
  const closers = new Map();
  const closerOf = new Array(ticks.length);
  for (let i = ticks.length - 1; i >= 0; i -= 1) {
    closerOf[i] = closers.get(ticks[i][0].length);
    closers.set(ticks[i][0].length, i);
  }
  const spans = [];
  for (let i = 0; i < ticks.length; i += 1) {
    const closer = closerOf[i];
    if (closer === undefined) continue;
    const length = ticks[i][0].length;
    spans.push({ start: ticks[i].index, end: ticks[closer].index + length, ticks: length });
    i = closer;
  }
  return spans;
}
