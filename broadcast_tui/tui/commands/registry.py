"""The slash commands, in one table: parser, /help, completion and command palette are made from it."""

from __future__ import annotations

from enum import Enum, StrEnum

import msgspec


class Verb(StrEnum):
    """What a command does; one for each row of the table."""

    ME = "me"
    SHRUG = "shrug"
    JOIN = "join"
    PART = "part"
    BUFFER = "buffer"
    LIST = "list"
    TOPIC = "topic"
    SEARCH = "search"
    NOTIFY = "notify"
    MUTE = "mute"
    UNMUTE = "unmute"
    WHO = "who"
    WHOIS = "whois"
    NICK = "nick"
    AWAY = "away"
    BACK = "back"
    IGNORE = "ignore"
    UNIGNORE = "unignore"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    MUTE_USER = "mute-user"
    UNMUTE_USER = "unmute-user"
    BANS = "bans"
    CLEAR = "clear"
    EXPORT = "export"
    THEME = "theme"
    PING = "ping"
    CONNECT = "connect"
    RECONNECT = "reconnect"
    DISCONNECT = "disconnect"
    HELP = "help"
    QUIT = "quit"


class Group(StrEnum):
    """What a command is about; groups come in this order in the help."""

    TALK = "Talking"
    ROOMS = "Rooms"
    PEOPLE = "People"
    SCREEN = "Screen"
    SERVER = "Server and program"


class Argument(Enum):
    """Whether a command takes text after its name."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Kind(Enum):
    """What the first word after a command is, for completion."""

    TEXT = "text"
    COMMAND = "command"
    ROOM = "room"
    PERSON = "person"
    THEME = "theme"
    LEVEL = "level"
    FILE = "file"


class Command(msgspec.Struct, frozen=True):
    """A row of the table. `hint` names the argument, `help` is one sentence without a full stop."""

    verb: Verb
    help: str
    aliases: tuple[str, ...] = ()
    hint: str = ""
    argument: Argument = Argument.NONE
    examples: tuple[str, ...] = ()
    group: Group = Group.TALK
    kind: Kind = Kind.TEXT

    @property
    def name(self) -> str:
        return self.verb.value

    @property
    def usage(self) -> str:
        """The command as it is typed: `/nick <name>`, `/help [command]`."""
        marks = {
            Argument.NONE: "",
            Argument.OPTIONAL: f" [{self.hint}]",
            Argument.REQUIRED: f" <{self.hint}>",
        }
        return f"/{self.name}{marks[self.argument]}"


COMMANDS: tuple[Command, ...] = (
    Command(
        Verb.ME,
        "Say what you do, in the third person",
        hint="action",
        argument=Argument.REQUIRED,
        examples=("/me waves",),
    ),
    Command(
        Verb.SHRUG,
        "Send ¯\\_(ツ)_/¯, after a text if you give one",
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/shrug no idea",),
    ),
    Command(
        Verb.JOIN,
        "Enter a room, or the one you left last, and show it",
        aliases=("j",),
        hint="#room",
        argument=Argument.OPTIONAL,
        examples=("/join #dev",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        Verb.PART,
        "Leave a room, by default this one, and say why if you like; it keeps its history",
        aliases=("leave", "close"),
        hint="#room reason",
        argument=Argument.OPTIONAL,
        examples=("/part #dev",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        Verb.BUFFER,
        "Show another of your rooms, by number or part of its name; /3 is short for it",
        aliases=("b", "switch"),
        hint="number or name",
        argument=Argument.REQUIRED,
        examples=("/buffer 2",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        Verb.LIST,
        "List all rooms of the server, and who is in this one",
        aliases=("rooms",),
        group=Group.ROOMS,
    ),
    Command(
        Verb.TOPIC,
        "Show what this room is about, or set it; /topic - clears it",
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/topic Release on Friday",),
        group=Group.ROOMS,
    ),
    Command(
        Verb.SEARCH,
        "Search all of the room's history at the server",
        hint="words",
        argument=Argument.REQUIRED,
        examples=("/search release notes",),
        group=Group.ROOMS,
    ),
    Command(
        Verb.NOTIFY,
        "Say what rings in this room: off, mentions, all, test",
        hint="which",
        argument=Argument.OPTIONAL,
        examples=("/notify all",),
        group=Group.ROOMS,
        kind=Kind.LEVEL,
    ),
    Command(Verb.MUTE, "Never ring here; count mentions only", group=Group.ROOMS),
    Command(Verb.UNMUTE, "Ring here again for mentions", group=Group.ROOMS),
    Command(Verb.WHO, "List who is here", aliases=("names", "users"), group=Group.PEOPLE),
    Command(
        Verb.WHOIS,
        "Say what is known of somebody",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/whois bob",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.NICK,
        "Take another name; it is yours once the server agrees",
        aliases=("name",),
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/nick ana",),
        group=Group.PEOPLE,
    ),
    Command(
        Verb.AWAY,
        "Tell the others that you are away; once more: that you are back",
        hint="reason",
        argument=Argument.OPTIONAL,
        examples=("/away lunch",),
        group=Group.PEOPLE,
    ),
    Command(Verb.BACK, "Tell the others that you are back", group=Group.PEOPLE),
    Command(
        Verb.IGNORE,
        "Hide what somebody says, for good or for a while; alone: list whom you ignore",
        hint="name 10m",
        argument=Argument.OPTIONAL,
        examples=("/ignore bob 10m",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.UNIGNORE,
        "Show what somebody says, and said while ignored",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unignore bob",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.KICK,
        "End someone's connection (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/kick mallory spam",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.BAN,
        "Keep a name out (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/ban mallory 1h spam", "/ban 192.0.2.7 7d"),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.UNBAN,
        "Let a name in again (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unban mallory",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.MUTE_USER,
        "Stop someone writing (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/mute-user mallory 10m",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        Verb.UNMUTE_USER,
        "Let someone write again (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unmute-user mallory",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(Verb.BANS, "List who is banned or muted (operators)", group=Group.PEOPLE),
    Command(
        Verb.CLEAR,
        "Clear the screen; scrolling up brings it back, the room keeps its history",
        group=Group.SCREEN,
    ),
    Command(
        Verb.EXPORT,
        "Write the lines held of this room to a new file, as text or by its ending .md or .jsonl",
        hint="file",
        argument=Argument.REQUIRED,
        examples=("/export lobby.md",),
        group=Group.SCREEN,
        kind=Kind.FILE,
    ),
    Command(
        Verb.THEME,
        "List the themes, or choose one",
        hint="name",
        argument=Argument.OPTIONAL,
        examples=("/theme nord",),
        group=Group.SCREEN,
        kind=Kind.THEME,
    ),
    Command(Verb.PING, "Measure how long the server takes to answer", group=Group.SERVER),
    Command(
        Verb.CONNECT,
        "Go to another server",
        hint="address",
        argument=Argument.REQUIRED,
        examples=("/connect ws://chat.example.org:8765/lobby",),
        group=Group.SERVER,
    ),
    Command(Verb.RECONNECT, "Connect anew, without waiting for the next try", group=Group.SERVER),
    Command(Verb.DISCONNECT, "Stay offline until /reconnect; what you write is kept", group=Group.SERVER),
    Command(
        Verb.HELP,
        "List the commands, or explain one",
        hint="command",
        argument=Argument.OPTIONAL,
        examples=("/help nick",),
        group=Group.SERVER,
        kind=Kind.COMMAND,
    ),
    Command(
        Verb.QUIT,
        "Leave the chat, and tell the others why if you like",
        aliases=("exit", "q"),
        hint="reason",
        argument=Argument.OPTIONAL,
        examples=("/quit lunch",),
        group=Group.SERVER,
    ),
)
