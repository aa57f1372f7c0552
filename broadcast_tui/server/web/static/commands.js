// Slash commands, for those who know them from the terminal. An unknown one is never sent as a message.

const ROWS = [
  ["me", "<action>", "Write an action in the third person"],
  ["shrug", "[text]", "Write ¯\\_(ツ)_/¯ after a text"],
  ["msg", "<name> [text]", "Write a direct message", "dm", "query"],
  ["poll", "<question | choices>", "Ask everyone here to choose"],
  ["ask", "[names question]", "Ask some people"],
  ["announce", "<text>", "Ask everyone here to acknowledge"],
  ["join", "[room]", "Join a room", "j", "list"],
  ["leave", "", "Leave this room", "part", "close"],
  ["topic", "[text]", "Set the topic of this room; - removes it"],
  ["search", "[words]", "Search the history of this room"],
  ["pins", "", "Show the pinned messages"],
  ["who", "", "Show who is here", "names"],
  ["whois", "<name>", "Show a person, and moderate", "kick", "ban", "mute-user", "ignore", "unignore"],
  ["bans", "", "Show bans and mutes (admins)", "unban", "unmute-user"],
  ["nick", "<name>", "Change your name"],
  ["away", "[reason]", "Say that you are away"],
  ["back", "", "Say that you are back"],
  ["help", "", "Show the keys and commands"],
];

/** `{name, hint, help, aliases}` of each command; the hint of an argument that can be missing is in brackets. */
export const COMMANDS = ROWS.map(([name, hint, help, ...aliases]) => ({ name, hint, help, aliases }));

/** What a text is: `{text}` to send, `{command, argument}`, or an `{error}` to show. */
export function parse(text) {
  if (!text.startsWith("/")) return { text };
  // `/me ` marks an action also on its way to others: a space keeps it a text.
  if (text.startsWith("//")) return { text: text.startsWith("//me ") ? ` ${text.slice(1)}` : text.slice(1) };
  const [, word, rest] = /^\/(\S*)\s*([^]*)$/.exec(text);
  const found = COMMANDS.find(({ name, aliases }) => [name, ...aliases].includes(word.toLowerCase()));
  if (!found) return { error: `No such command: /${word}. /help lists the commands. To send it as text: //${word}` };
  const argument = rest.trim();
  if (found.hint.startsWith("<") && !argument) return { error: `Usage: /${found.name} ${found.hint}` };
  if (found.name === "me") return { text: `/me ${argument}` };
  if (found.name === "shrug") return { text: `${argument} ¯\\_(ツ)_/¯`.trim() };
  return { command: found.name, argument };
}

/** `argument` as a name and the rest. Names with spaces are found among `names`, or are in double quotes. */
export function splitName(argument, names) {
  const quoted = /^"([^"]+)"\s*([^]*)$/.exec(argument);
  if (quoted) return quoted.slice(1);
  const text = argument.replace(/^@/, "");
  const known = names.filter((name) => text.toLowerCase().startsWith(name.toLowerCase()) && !/\S/.test(text.charAt(name.length)));
  const [longest] = known.sort((one, other) => other.length - one.length);
  if (longest) return [longest, text.slice(longest.length).trim()];
  const [, first, rest] = /^(\S*)\s*([^]*)$/.exec(text);
  return [first, rest];
}
