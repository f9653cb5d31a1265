"""How a receiver verifies `X-Hook-Signature`: code to copy, in five languages.

Each snippet is made for the hook's own hash, takes the secret from the environment (the code never
holds it) and compares in constant time. The tests run them against ``domain.signatures``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SECRET_VARIABLE: Final = "HOOK_SECRET"  # noqa: S105 - the name of a variable, not a secret

PYTHON = '''\
import hashlib
import hmac
import os

def verify(body: bytes, signature: str) -> bool:
    """Whether X-Hook-Signature belongs to this raw request body."""
    key = os.environ["HOOK_SECRET"].encode()
    expected = hmac.new(key, body, hashlib.{hash}).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())
'''

NODE = """\
const crypto = require("node:crypto");

// body: the raw bytes, before any JSON parser; signature: X-Hook-Signature
function verify(body, signature) {{
  const mac = crypto.createHmac("{hash}", process.env.HOOK_SECRET);
  const expected = mac.update(body).digest();
  const given = Buffer.from(signature, "hex");
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}}

module.exports = {{ verify }};
"""

GO = """\
package receiver

import (
	"crypto/hmac"
	"crypto/{hash}"
	"encoding/hex"
	"os"
)

// Verify tells whether X-Hook-Signature belongs to this raw request body.
func Verify(body []byte, signature string) bool {{
	mac := hmac.New({new}, []byte(os.Getenv("HOOK_SECRET")))
	mac.Write(body)
	given, err := hex.DecodeString(signature)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}}
"""

RUBY = """\
require "openssl"

# Whether X-Hook-Signature belongs to this raw request body.
def verify(body, signature)
  expected = OpenSSL::HMAC.hexdigest("{hash}", ENV.fetch("HOOK_SECRET"), body)
  OpenSSL.secure_compare(expected, signature)
end
"""

SHELL = """\
# body.json: the raw request body; SIGNATURE: the X-Hook-Signature header.
# For a check by hand: other users of this machine can see the key while openssl runs.
expected=$(openssl dgst -{hash} -hmac "$HOOK_SECRET" < body.json | sed 's/^.* //')
if [ "$expected" = "$SIGNATURE" ]; then echo valid; else echo invalid; fi
"""

_GO_CONSTRUCTORS: Mapping[str, str] = {
    "sha1": "sha1.New",
    "sha256": "sha256.New",
    "sha512": "sha512.New",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code that verifies a signature in one language."""

    language: str
    code: str


def snippets(signature_hash: str) -> tuple[Snippet, ...]:
    """Return the code for a hook that signs with a hash (``sha256``, ``sha1``, ``sha512``)."""
    go_constructor = _GO_CONSTRUCTORS[signature_hash]
    return (
        Snippet("Python", PYTHON.format(hash=signature_hash)),
        Snippet("Node", NODE.format(hash=signature_hash)),
        Snippet("Go", GO.format(hash=signature_hash, new=go_constructor)),
        Snippet("Ruby", RUBY.format(hash=signature_hash)),
        Snippet("Shell", SHELL.format(hash=signature_hash)),
    )
