"""The tokens whose digests are in `files/home/tokens.json`; only servers of these tests accept them."""

from __future__ import annotations

from tests.compat.program import FILES

TOKENS_FILE = FILES / "home" / "tokens.json"
ZOE_ADMIN = "bt_bEflDGY9Qln6WsmxUGs6wC96Rml0K5E-xmbqC-pzCHk"
MIA_MEMBER = "bt_bxa6PlYipNYS4l5bHUISNZXGW_pvZ6_X9zOR02E82gs"
RITA_READER = "bt_8TEFQDOjZijzlT_uZFZzfonVRGXME-O8H4cX3uZyhj0"
