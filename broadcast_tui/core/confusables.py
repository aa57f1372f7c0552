"""Unicode tables of confusable characters: homoglyphs, invisible and combining characters.

The tables are independent of the interpreter's Unicode version, so that all processes decide alike.
"""

from __future__ import annotations

from string import ascii_lowercase

INVISIBLE = (
    " \t\n\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"
)
"""Characters that render as empty space: spaces, and letters and symbols without ink."""

JOINERS = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER."""

COMBINING_BMP = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u061c\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711"
    "\u0730-\u074a\u07a6-\u07b0\u07eb-\u07f3\u07fd\u0816-\u0819\u081b-\u0823\u0825-\u0827\u0829-\u082d"
    "\u0859-\u085b\u0897-\u089f\u08ca-\u08e1\u08e3-\u0903\u093a-\u093c\u093e-\u094f\u0951-\u0957\u0962"
    "\u0963\u0981-\u0983\u09bc\u09be-\u09cd\u09d7\u09e2\u09e3\u09fe-\u0a03\u0a3c-\u0a51\u0a70\u0a71"
    "\u0a75\u0a81-\u0a83\u0abc\u0abe-\u0acd\u0ae2\u0ae3\u0afa-\u0b03\u0b3c\u0b3e-\u0b57\u0b62\u0b63"
    "\u0b82\u0bbe-\u0bcd\u0bd7\u0c00-\u0c04\u0c3c\u0c3e-\u0c56\u0c62\u0c63\u0c81-\u0c83\u0cbc"
    "\u0cbe-\u0cd6\u0ce2\u0ce3\u0cf3\u0d00-\u0d03\u0d3b\u0d3c\u0d3e-\u0d4d\u0d57\u0d62\u0d63"
    "\u0d81-\u0d83\u0dca-\u0ddf\u0df2\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc"
    "\u0ec8-\u0ece\u0f18\u0f19\u0f35\u0f37\u0f39\u0f3e\u0f3f\u0f71-\u0f84\u0f86\u0f87\u0f8d-\u0fbc"
    "\u0fc6\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d"
    "\u108f\u109a-\u109d\u1160-\u11ff\u135d-\u135f\u1712-\u1715\u1732-\u1734\u1752\u1753\u1772\u1773"
    "\u17b4-\u17d3\u17dd\u180b-\u180d\u180f\u1885\u1886\u18a9\u1920-\u193b\u1a17-\u1a1b\u1a55-\u1a7f"
    "\u1ab0-\u1aeb\u1b00-\u1b04\u1b34-\u1b44\u1b6b-\u1b73\u1b80-\u1b82\u1ba1-\u1bad\u1be6-\u1bf3"
    "\u1c24-\u1c37\u1cd0-\u1cd2\u1cd4-\u1ce8\u1ced\u1cf4\u1cf7-\u1cf9\u1dc0-\u1dff\u200c-\u200f"
    "\u20d0-\u20f0\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u302f\u3099\u309a\u3164\ua66f-\ua672"
    "\ua674-\ua67d\ua69e\ua69f\ua6f0\ua6f1\ua802\ua806\ua80b\ua823-\ua827\ua82c\ua880\ua881"
    "\ua8b4-\ua8c5\ua8e0-\ua8f1\ua8ff\ua926-\ua92d\ua947-\ua953\ua980-\ua983\ua9b3-\ua9c0\ua9e5"
    "\uaa29-\uaa36\uaa43\uaa4c\uaa4d\uaa7b-\uaa7d\uaab0\uaab2-\uaab4\uaab7\uaab8\uaabe\uaabf\uaac1"
    "\uaaeb-\uaaef\uaaf5\uaaf6\uabe3-\uabea\uabec\uabed\ud7b0-\ud7ff\ufb1e\ufe00-\ufe0f\ufe20-\ufe2f"
    "\uffa0"
)
"""The part of `COMBINING` below U+10000, with which a search is many times faster."""

COMBINING = COMBINING_BMP + (
    "\U000101fd\U000102e0\U00010376-\U0001037a\U00010a01-\U00010a0f\U00010a38-\U00010a3f\U00010ae5"
    "\U00010ae6\U00010d24-\U00010d27\U00010d69-\U00010d6d\U00010eab\U00010eac\U00010efa-\U00010eff"
    "\U00010f46-\U00010f50\U00010f82-\U00010f85\U00011000-\U00011002\U00011038-\U00011046\U00011070"
    "\U00011073\U00011074\U0001107f-\U00011082\U000110b0-\U000110ba\U000110c2\U00011100-\U00011102"
    "\U00011127-\U00011134\U00011145\U00011146\U00011173\U00011180-\U00011182\U000111b3-\U000111c0"
    "\U000111c9-\U000111cc\U000111ce\U000111cf\U0001122c-\U00011237\U0001123e-\U00011241"
    "\U000112df-\U000112ea\U00011300-\U00011303\U0001133b\U0001133c\U0001133e-\U0001134d\U00011357"
    "\U00011362-\U00011374\U000113b8-\U000113d2\U000113e1\U000113e2\U00011435-\U00011446\U0001145e"
    "\U000114b0-\U000114c3\U000115af-\U000115c0\U000115dc\U000115dd\U00011630-\U00011640"
    "\U000116ab-\U000116b7\U0001171d-\U0001172b\U0001182c-\U0001183a\U00011930-\U0001193e\U00011940"
    "\U00011942\U00011943\U000119d1-\U000119e0\U000119e4\U00011a01-\U00011a0a\U00011a33-\U00011a39"
    "\U00011a3b-\U00011a3e\U00011a47\U00011a51-\U00011a5b\U00011a8a-\U00011a99\U00011b60-\U00011b67"
    "\U00011c2f-\U00011c3f\U00011c92-\U00011cb6\U00011d31-\U00011d45\U00011d47\U00011d8a-\U00011d97"
    "\U00011ef3-\U00011ef6\U00011f00-\U00011f03\U00011f34-\U00011f42\U00011f5a\U00013430-\U00013455"
    "\U0001611e-\U0001612f\U00016af0-\U00016af4\U00016b30-\U00016b36\U00016f4f\U00016f51-\U00016f92"
    "\U00016fe4\U00016ff0\U00016ff1\U0001bc9d\U0001bc9e\U0001bca0-\U0001bca3\U0001cf00-\U0001cf46"
    "\U0001d165-\U0001d169\U0001d16d-\U0001d182\U0001d185-\U0001d18b\U0001d1aa-\U0001d1ad"
    "\U0001d242-\U0001d244\U0001da00-\U0001da36\U0001da3b-\U0001da6c\U0001da75\U0001da84"
    "\U0001da9b-\U0001daaf\U0001e000-\U0001e02a\U0001e08f\U0001e130-\U0001e136\U0001e2ae"
    "\U0001e2ec-\U0001e2ef\U0001e4ec-\U0001e4ef\U0001e5ee\U0001e5ef\U0001e6e3-\U0001e6f5"
    "\U0001e8d0-\U0001e8d6\U0001e944-\U0001e94a\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
)
"""Zero-width characters that may follow a base character, as a regular expression's character class:
combining marks up to Unicode 17, variation selectors, joiners, direction marks, Hangul vowels and finals,
skin tones."""

_HOMOGLYPHS = {
    "2": "\u01a8\u03e9\u14bf\ua645\ua6ef\ua75b",
    "3": "\u0437\u04e1\u021d\u025c\u0292\u2ccd\ua76b\U000118ca\U00016f3b",
    "4": "\u13ce\U000118cf",
    "5": "\u01bd\U000118db",
    "6": "\u0431\u13ee\u2cd3\U000118d5",
    "7": "\U000104fa\U000118c6",
    "8": "\u0223\u09ea\u0a6a\U0001031a",
    "9": "\u09ed\u0a67\u0b68\u0d6d\u2ccb\ua76f\U000118cc\U000118d6",
    "a": "\u0430\u03b1\u0251\u1d00\u13aa\ua4ee\u2c81\u15c5\U000102a0\U00016f40",
    "ae": "\u00e6\u04d5",
    "b": (
        "\u0432\u03b2\u044c\u0299\u13f4\ua4d0\u2c83\u0185\u13cf\u1472\u15af\u15f7\ua7b5\U00010282"
        "\U000102a1\U00010301"
    ),
    "c": ("\u0441\u1d04\u13df\ua4da\u2ca5\U000102a2\U00010302\U0001043d\U0001051c\U000118e9\U000118f2"),
    "d": "\u0501\u0111\u1d05\u13a0\ua4d3\u13e7\u146f\u15de\u15ea\ua4d2",
    "e": "\u0435\u03b5\u1d07\u13ac\ua4f0\u2c89\u04bd\u2d39\uab32\U00010286\U000118ce",
    "f": "\ua730\ua4dd\u03dd\u0584\u15b4\u1e9d\ua799\uab35\U00010287\U000102a5\U00010525\U000118c2",
    "g": "\u0261\u0262\u050d\u0581\u13c0\ua4d6\u018d\u13f3\u1d83",
    "h": "\u043d\u04bb\u03b7\u0127\u029c\u0570\u13bb\ua4e7\u2c8f\u13c2\u157c\U000102cf",
    "i": "\u0456\u03b9\u0131\u026a\u0269\u13a5\ua4f2\u2c93\ua647\U000118c3",
    "j": "\u0458\u03f3\u0237\u1d0a\u13ab\ua4d9\u029d\u148d",
    "k": "\u043a\u03ba\u1d0b\u13e6\ua4d7\u2c95\u16d5\U00010518",
    "l": (
        "1|\u04cf\u0142\u029f\u01c0\u13de\ua4e1\u06f1\u14aa\u16c1\u2cd1\u2d4f\U0001028a\U00010309"
        "\U00010320\U00010443\U00010526\U000118d2\U00016f16\U00016f28"
    ),
    "m": "\u043c\u03bc\u1d0d\u13b7\ua4df\u2c99\u03fb\u15f0\u16d6\U000102b0\U00010311",
    "n": "\u0274\u0578\ua4e0\u2c9b\u057c\U00010513",
    "o": (
        "0\u043e\u03bf\u03c3\u00f8\u1d0f\u0585\ua4f3\u2c9f\u06f5\u0966\u09e6\u0a66\u0ae6\u0b20"
        "\u0b66\u0be6\u0c66\u0ce6\u0d20\u0d66\u0e50\u0ed0\u101d\u1040\u10ff\u12d0\u1d11\u2d54"
        "\u3007\uab3d\U00010292\U000102ab\U0001042c\U000104ea\U00010516\U000114d0\U000118c8"
        "\U000118d7\U000118e0"
    ),
    "oe": "\u0153",
    "p": "\u0440\u03c1\u1d18\u13e2\ua4d1\u2ca3\u146d\U00010295",
    "q": "\u051b\u0566\ua7af\u0563\u2d55",
    "r": "\u0433\u0280\u13a1\ua4e3\u13b1\u13d2\u1587\u1d26\u2c85\uab47\uab48\U000104dc\U00016f35",
    "s": "\u0455\ua731\u13da\ua4e2\u057f\u13d5\U00010296\U00010448\U000118c1\U00016f3a",
    "t": ("\u0442\u03c4\u0167\u1d1b\u13a2\ua4d4\u2ca7\U00010297\U000102b1\U00010315\U000118dc\U00016f0a"),
    "u": ("\u03c5\u1d1c\u057d\ua4f4\u028b\u1200\u144c\ua79f\uab4e\uab52\U000104f6\U000118d8\U00016f42"),
    "v": ("\u0475\u03bd\u1d20\u13d9\ua4e6\u06f7\u142f\u2d38\ua6df\U0001051d\U00011706\U000118c0\U00016f08"),
    "w": (
        "\u051d\u0461\u1d21\u13b3\ua4ea\u026f\u0561\u13d4\U0001170a\U0001170e\U0001170f\U000118e6\U000118ef"
    ),
    "x": (
        "\u0445\u03c7\ua4eb\u2cad\u1541\u157d\u16b7\u2d5d\uab53\U00010290\U000102b4\U00010317"
        "\U00010322\U00010527\U000118ec"
    ),
    "y": (
        "\u0443\u04af\u03b3\u028f\u13bd\ua4ec\u2ca9\u0263\u10e7\u13a9\u1d8c\u1eff\uab5a\U000102b2"
        "\U000118c4\U00016f43"
    ),
    "z": "\u03b6\u1d22\u13c3\ua4dc\u2c8d\U000102f5\U000118c9\U000118e5",
}

_BOXED_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)
"""First letters of the white-on-black circled, white-on-black squared and flag alphabets."""

HOMOGLYPHS = {ord(glyph): letter for letter, glyphs in _HOMOGLYPHS.items() for glyph in glyphs} | {
    first + index: letter for first in _BOXED_ALPHABETS for index, letter in enumerate(ascii_lowercase)
}
"""Look-alikes of Latin letters and digits, for `str.translate` of case-folded NFKD text.

Maps Cyrillic, Greek, Armenian, Coptic, Cherokee, Lisu, small-capital and rarer letters to Latin letters and
digits, `0` to `o`, and `1` and `|` to `l`: the single characters of UTS 39 that look like an ASCII character,
as far as upper and lower case may share a key.
"""
