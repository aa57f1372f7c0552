"""The table of slash commands, used by the parser, the dispatcher, /help, completion and the command palette.

To add a command, add a row here and the handler method that it names.
"""

from __future__ import annotations

from enum import Enum, StrEnum

import msgspec


class Group(StrEnum):
    """Subject of a command, in the order of the help page."""

    TALK = "Talking"
    POSTS = "Messages"
    ROOMS = "Rooms"
    PEOPLE = "People"
    SCREEN = "Screen"
    SERVER = "Server and program"


class Argument(Enum):
    """Whether a command takes an argument."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Kind(Enum):
    """What the first word of the argument is, for completion."""

    TEXT = "text"
    COMMAND = "command"
    ROOM = "room"
    PERSON = "person"
    THEME = "theme"
    LEVEL = "level"
    FILE = "file"
    EMOJI = "emoji"
    PEOPLE = "people"
    """Several names, separated by commas."""
    SETTING = "setting"
    """A setting and its value."""
    CHOICE = "choice"
    """A choice of an open question."""


class Command(msgspec.Struct, frozen=True):
    """A row of the table. `hint` names the argument; `help` is one sentence without a final period."""

    name: str
    handler: str
    """The method that runs it: `rooms.join` is `RoomCommands.join`; see `CommandDispatcher`."""
    help: str
    aliases: tuple[str, ...] = ()
    hint: str = ""
    argument: Argument = Argument.NONE
    more: str = ""
    """Optional arguments after the first, as shown in `usage`: `[reason]`."""
    examples: tuple[str, ...] = ()
    group: Group = Group.TALK
    kind: Kind = Kind.TEXT
    follows_log: bool = True
    """Whether the log scrolls to its end to show the output; false if the result appears elsewhere."""
    in_kiosk: bool = True
    """Whether a kiosk has it; false if it uses files of this machine, other servers or other names."""

    @property
    def usage(self) -> str:
        """The syntax: `/nick <name>`, `/help [command]`."""
        marks = {
            Argument.NONE: "",
            Argument.OPTIONAL: f" [{self.hint}]",
            Argument.REQUIRED: f" <{self.hint}>",
        }
        return f"/{self.name}{marks[self.argument]} {self.more}".rstrip()


COMMANDS: tuple[Command, ...] = (
    Command(
        "me",
        "general.me",
        "Post an action in the third person",
        hint="action",
        argument=Argument.REQUIRED,
        examples=("/me waves",),
    ),
    Command(
        "shrug",
        "general.shrug",
        "Post ¯\\_(ツ)_/¯, optionally after a text",
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/shrug no idea",),
    ),
    Command(
        "msg",
        "directs.msg",
        "Send a direct message, which only that person can read",
        follows_log=False,
        aliases=("dm", "pm", "tell", "whisper"),
        hint="name",
        more="<text>",
        argument=Argument.REQUIRED,
        examples=("/msg bob Lunch?",),
        kind=Kind.PERSON,
    ),
    Command(
        "query",
        "directs.query",
        "Show the direct messages with a user",
        follows_log=False,
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/query bob",),
        kind=Kind.PERSON,
    ),
    Command(
        "r",
        "directs.answer",
        "Send a direct message to the user who sent you the last one",
        follows_log=False,
        hint="text",
        argument=Argument.REQUIRED,
        examples=("/r Yes, at noon",),
    ),
    Command(
        "reply",
        "posts.reply",
        "Reply to the selected message, or else to the newest one; without a text, write it in the input",
        follows_log=False,
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/reply Yes, it runs first.",),
        group=Group.POSTS,
    ),
    Command(
        "edit",
        "posts.edit",
        "Edit the selected message, or else your last one; without a text, edit it in the input",
        follows_log=False,
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/edit Deploying 1.5",),
        group=Group.POSTS,
    ),
    Command(
        "replace",
        "posts.replace",
        "Replace text in your last message; s/old/new/ alone does the same, s/old/new/g for every match",
        follows_log=False,
        aliases=("s",),
        hint="s/old/new/",
        argument=Argument.REQUIRED,
        examples=("/replace s/1.4/1.5/",),
        group=Group.POSTS,
    ),
    Command(
        "delete",
        "posts.delete",
        "Delete the selected message, or else your last one, with an optional reason",
        follows_log=False,
        hint="reason",
        argument=Argument.OPTIONAL,
        examples=("/delete wrong room",),
        group=Group.POSTS,
    ),
    Command(
        "react",
        "posts.react",
        "React to the selected message, or else to the newest one; repeat to remove the reaction",
        follows_log=False,
        hint=":emoji:",
        argument=Argument.OPTIONAL,
        examples=("/react :thumbs_up:",),
        group=Group.POSTS,
        kind=Kind.EMOJI,
    ),
    Command(
        "pin",
        "posts.pin",
        "Pin the selected message, or else the newest one; repeat to unpin it",
        follows_log=False,
        hint="number",
        argument=Argument.OPTIONAL,
        examples=("/pin",),
        group=Group.POSTS,
    ),
    Command(
        "pins", "posts.pins", "List the pinned messages of this room", follows_log=False, group=Group.POSTS
    ),
    Command(
        "thread",
        "posts.thread",
        "Show the replies to the selected message, or else to the newest one",
        follows_log=False,
        hint="number",
        argument=Argument.OPTIONAL,
        examples=("/thread",),
        group=Group.POSTS,
    ),
    Command(
        "announce",
        "posts.announce",
        "Post a text that everyone in this room is asked to acknowledge",
        hint="text",
        argument=Argument.REQUIRED,
        examples=("/announce Deploying 1.5 in 5 minutes",),
        group=Group.POSTS,
    ),
    Command(
        "poll",
        "posts.poll",
        "Ask everyone in this room to choose; the poll is open for a day",
        hint="question | choices",
        argument=Argument.REQUIRED,
        examples=("/poll Lunch at 12? | yes | no",),
        group=Group.POSTS,
    ),
    Command(
        "ask",
        "posts.ask",
        "Ask some people; without choices, they answer yes or no",
        hint="names",
        more="<question>",
        argument=Argument.REQUIRED,
        examples=("/ask ana,ken Deploy 1.5?", "/ask ana When? | today | tomorrow"),
        group=Group.POSTS,
        kind=Kind.PEOPLE,
    ),
    Command(
        "answer",
        "posts.answer",
        "Answer the selected question, or else the newest open one that you were asked",
        follows_log=False,
        hint="choice",
        argument=Argument.OPTIONAL,
        examples=("/answer yes",),
        group=Group.POSTS,
        kind=Kind.CHOICE,
    ),
    Command(
        "posts",
        "posts.posts",
        "In plain mode: list the last messages with their numbers, for commands such as /reply 12 Yes",
        hint="count",
        argument=Argument.OPTIONAL,
        examples=("/posts 50",),
        group=Group.POSTS,
    ),
    Command(
        "join",
        "rooms.join",
        "Join a room and switch to it; without a name, rejoin the room you left last",
        follows_log=False,
        aliases=("j",),
        hint="#room",
        argument=Argument.OPTIONAL,
        examples=("/join #dev",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        "part",
        "rooms.part",
        "Leave a room, by default the current one, with an optional reason; its history stays on the server",
        follows_log=False,
        aliases=("leave", "close"),
        hint="#room reason",
        argument=Argument.OPTIONAL,
        examples=("/part #dev",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        "buffer",
        "rooms.buffer",
        "Switch to another of your rooms by number or part of its name; /3 is short for /buffer 3",
        follows_log=False,
        aliases=("b", "switch"),
        hint="number or name",
        argument=Argument.REQUIRED,
        examples=("/buffer 2",),
        group=Group.ROOMS,
        kind=Kind.ROOM,
    ),
    Command(
        "list",
        "rooms.list",
        "List all rooms on the server, and the members of this one",
        aliases=("rooms",),
        group=Group.ROOMS,
    ),
    Command(
        "topic",
        "rooms.topic",
        "Show or set the topic of this room; /topic - clears it",
        hint="text",
        argument=Argument.OPTIONAL,
        examples=("/topic Release on Friday",),
        group=Group.ROOMS,
    ),
    Command(
        "search",
        "general.search",
        "Search the room's whole history on the server",
        follows_log=False,
        hint="words",
        argument=Argument.REQUIRED,
        examples=("/search release notes",),
        group=Group.ROOMS,
    ),
    Command(
        "notify",
        "rooms.notify",
        "Set the notification level of this room: off, mentions or all; test sends a test notification",
        hint="which",
        argument=Argument.OPTIONAL,
        examples=("/notify all",),
        group=Group.ROOMS,
        kind=Kind.LEVEL,
    ),
    Command(
        "mute",
        "rooms.mute",
        "Turn off notifications for this room; mentions are still counted",
        group=Group.ROOMS,
    ),
    Command("unmute", "rooms.unmute", "Turn on notifications for mentions in this room", group=Group.ROOMS),
    Command(
        "who", "people.who", "List the members of this room", aliases=("names", "users"), group=Group.PEOPLE
    ),
    Command(
        "whois",
        "people.whois",
        "Show what is known about a user",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/whois bob",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "nick",
        "people.nick",
        "Change your name; the server confirms it",
        aliases=("name",),
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/nick ana",),
        group=Group.PEOPLE,
        in_kiosk=False,
    ),
    Command(
        "away",
        "people.away",
        "Set your status to away; repeat to come back",
        hint="reason",
        argument=Argument.OPTIONAL,
        examples=("/away lunch",),
        group=Group.PEOPLE,
    ),
    Command("back", "people.back", "Clear your away status", group=Group.PEOPLE),
    Command(
        "ignore",
        "people.ignore",
        "Hide a user's posts, permanently or for a time; without a name, list ignored users",
        hint="name 10m",
        argument=Argument.OPTIONAL,
        examples=("/ignore bob 10m",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "unignore",
        "people.unignore",
        "Stop ignoring a user; their hidden posts are shown again",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unignore bob",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "kick",
        "moderation.kick",
        "Disconnect a user (admins)",
        hint="name",
        more="[reason]",
        argument=Argument.REQUIRED,
        examples=("/kick mallory spam",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "ban",
        "moderation.ban",
        "Ban a user or an address, permanently or for a time (admins)",
        hint="name",
        more="[1h] [reason]",
        argument=Argument.REQUIRED,
        examples=("/ban mallory 1h spam", "/ban 192.0.2.7 7d"),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "unban",
        "moderation.unban",
        "Lift a ban (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unban mallory",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "mute-user",
        "moderation.mute_user",
        "Prevent a user from posting (admins)",
        hint="name",
        more="[10m] [reason]",
        argument=Argument.REQUIRED,
        examples=("/mute-user mallory 10m",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command(
        "unmute-user",
        "moderation.unmute_user",
        "Allow a user to post again (admins)",
        hint="name",
        argument=Argument.REQUIRED,
        examples=("/unmute-user mallory",),
        group=Group.PEOPLE,
        kind=Kind.PERSON,
    ),
    Command("bans", "moderation.bans", "List bans and mutes (admins)", group=Group.PEOPLE),
    Command(
        "clear",
        "general.clear",
        "Clear the screen; scroll up to bring the lines back",
        group=Group.SCREEN,
    ),
    Command(
        "export",
        "exports.export",
        "Save the history of this room to a file: .md, .html, .jsonl, otherwise plain text",
        hint="file",
        argument=Argument.REQUIRED,
        examples=("/export lobby.md", "/export lobby.html --since 14:00 --until 15:30 --force"),
        group=Group.SCREEN,
        kind=Kind.FILE,
        in_kiosk=False,
    ),
    Command(
        "at",
        "replay.at",
        "Go to a time in a replay",
        follows_log=False,
        hint="time",
        argument=Argument.REQUIRED,
        examples=("/at 14:05",),
        group=Group.SCREEN,
    ),
    Command(
        "theme",
        "general.theme",
        "List the themes, or switch to one",
        hint="name",
        argument=Argument.OPTIONAL,
        examples=("/theme nord",),
        group=Group.SCREEN,
        kind=Kind.THEME,
    ),
    Command(
        "settings",
        "settings.settings",
        "Show the settings and change them",
        follows_log=False,
        group=Group.SCREEN,
    ),
    Command(
        "set",
        "settings.set",
        "Change a setting; without a value, show it; without a name, list all",
        hint="name",
        more="[value]",
        argument=Argument.OPTIONAL,
        examples=("/set time 12h",),
        group=Group.SCREEN,
        kind=Kind.SETTING,
    ),
    Command("ping", "connection.ping", "Measure the round-trip time to the server", group=Group.SERVER),
    Command(
        "connect",
        "connection.connect",
        "Connect to another server as well",
        follows_log=False,
        hint="address",
        argument=Argument.REQUIRED,
        examples=("/connect ws://chat.example.org:8765/lobby",),
        group=Group.SERVER,
        in_kiosk=False,
    ),
    Command(
        "invite",
        "connection.invite",
        "Show a link to this room and its QR code; with a name, create a token for it",
        follows_log=False,
        hint="name",
        argument=Argument.OPTIONAL,
        examples=("/invite", "/invite bob"),
        group=Group.SERVER,
        in_kiosk=False,
    ),
    Command(
        "reconnect",
        "connection.reconnect",
        "Reconnect now instead of waiting for the next attempt",
        group=Group.SERVER,
    ),
    Command(
        "disconnect",
        "connection.disconnect",
        "Leave a server, or go offline if it is the only one",
        hint="server",
        argument=Argument.OPTIONAL,
        examples=("/disconnect", "/disconnect chat.example.org"),
        group=Group.SERVER,
    ),
    Command("servers", "connection.servers", "List your servers and their rooms", group=Group.SERVER),
    Command(
        "help",
        "general.help",
        "List the commands, or describe one",
        hint="command",
        argument=Argument.OPTIONAL,
        examples=("/help nick",),
        group=Group.SERVER,
        kind=Kind.COMMAND,
    ),
    Command(
        "quit",
        "general.quit",
        "Quit the chat, with an optional reason for the others",
        follows_log=False,
        aliases=("exit", "q"),
        hint="reason",
        argument=Argument.OPTIONAL,
        examples=("/quit lunch",),
        group=Group.SERVER,
    ),
)

NOT_AVAILABLE = "Not available here."
"""The reply to what a kiosk does not have."""


def available_commands(*, kiosk: bool) -> tuple[Command, ...]:
    """The commands of this chat: all of them, unless it is a kiosk."""
    return tuple(command for command in COMMANDS if command.in_kiosk) if kiosk else COMMANDS
