"""The tokens whose digests are in `files/tokens.json`; they open nothing but servers of these tests."""

from __future__ import annotations

from tests.compat.program import FILES

TOKENS_FILE = FILES / "tokens.json"
ZOE_ADMIN = "bt_DflDssRn4Un303KP5siBOKzqyIs6uS34Zny1E7yynvQ"
MIA_MEMBER = "bt_HQyI0stVMlqdYINHrI8bIEfQ7Gbu_snah0aBNAefJVc"
RITA_READER = "bt_5nCqdGQzJxjAQFnKkrPa_GZ3wP26U9kImx41CZS0Stg"
