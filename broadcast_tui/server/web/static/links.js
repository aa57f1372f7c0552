// Links in a text, their real targets, and spoofing, as in the terminal client. Only http and https are links.
//
// Hosts in other scripts and user names before an `@` can imitate another host: the real host is shown.

const HREF_MAX = 2000;
const LABEL = /^[a-z0-9_-]{1,63}$/;
const TLDS =
  "com|org|net|edu|gov|mil|int|info|biz|io|dev|app|ai|co|me|tv|xyz|online|shop|site|store|cloud|eu|" +
  "ar|at|au|be|bg|br|ca|ch|cl|cn|cz|de|dk|ee|es|fi|fr|gr|hk|hr|hu|ie|il|ir|it|jp|ke|kr|lt|lu|lv|mx|my|ng|nl|" +
  "no|nz|pe|ph|pk|pt|ro|ru|se|sg|si|sk|th|tr|tw|ua|uk|us|uy|vn|za";
// These are file extensions or names in code as well: they count with a path only.
const AMBIGUOUS_TLDS = "cc|id|in|is|md|mk|ml|mov|name|pl|ps|py|rs|sh|so|to|zip";
const WORD = "[\\p{L}\\p{N}\\p{M}_]";
const LABELS = `(?:(?:${WORD}|-)+\\.)+`;
const HOST_IN_TITLE = new RegExp(
  `(?<![\\p{L}\\p{N}_@./-])(?:(?:https?://|www\\.)(${LABELS}${WORD}{2,})` +
    `|(${LABELS}(?:${TLDS}))(?![\\p{L}\\p{N}_-]|\\.${WORD})` +
    `|(${LABELS}(?:${AMBIGUOUS_TLDS}))(?::\\d+)?/)`,
  "giu",
);
const PARTS = /^(https?):\/\/(?:([^/?#]*)@)?(\[[0-9a-f:.]+\]|[^:@[\]/?#]*)(?::\d{0,5})?(?=$|[/?#])/iu;

/**
 * The target of a URL: the address to open (empty if it must not be opened), the real host in ASCII, the span of
 * the host as written, and whether it is not what it appears to be. Null if it is not a web address.
 */
export function targetOf(url) {
  // Browsers read a backslash as a slash; other programs do not.
  const parts = url.includes("\\") ? null : PARTS.exec(url);
  const host = parts?.[3] ? asciiHost(parts[3]) : "";
  if (!host) return null;
  const hasUser = parts[2] !== undefined;
  const start = parts[1].length + 3 + (hasUser ? parts[2].length + 1 : 0);
  let href = "";
  try {
    const parsed = new URL(url);
    if ((parsed.protocol === "https:" || parsed.protocol === "http:") && parsed.href.length <= HREF_MAX && !hasUser)
      href = parsed.href;
  } catch {
    return null;
  }
  const misleading = hasUser || /[^\0-\x7f]/.test(parts[3]);
  return { href, host, start, end: start + parts[3].length, misleading };
}

/** The host in ASCII, as in DNS; empty if it is not a host. */
function asciiHost(written) {
  try {
    const host = new URL(`http://${written}/`).hostname;
    const isHost = host.startsWith("[") || host.replace(/\.$/, "").split(".").every((label) => LABEL.test(label));
    return isHost ? host : "";
  } catch {
    return "";
  }
}

/** Whether the title of a link contains a host other than `host` or one of its parent domains, as it is shown. */
export function isSpoofed(title, host) {
  for (const match of title.replace(/`/g, "").matchAll(HOST_IN_TITLE)) {
    const shown = asciiHost(match[1] ?? match[2] ?? match[3]).replace(/^www\./, "");
    if (host !== shown && !host.endsWith(`.${shown}`)) return true;
  }
  return false;
}
