"""Code to copy that verifies the requests of a hook in its receiver, in six languages.

Each snippet verifies `webhook-signature` first, including the age of the request, as every receiver
with a ``whsec_`` secret should; below that `X-Hook-Signature`, the only signature of other secrets,
with the hook's own hash. The code reads the secret from the environment (it never contains it) and
compares in constant time, except in Shell, which is for checks by hand. The tests run it against
``domain.signatures``.
"""

from __future__ import annotations

from typing import Final

SECRET_VARIABLE: Final = "HOOK_SECRET"  # noqa: S105 - the name of a variable, not a secret

PYTHON = '''\
import base64
import hashlib
import hmac
import os
import time

TOLERANCE_S = 300

def secret_of_hook() -> str:
    secret = os.environ["HOOK_SECRET"]
    if len(secret) < 16:
        raise ValueError("HOOK_SECRET is not the secret of a hook: anybody could guess it")
    return secret

def verify(body: bytes, message_id: str, timestamp: str, signatures: str) -> bool:
    """Check webhook-id, webhook-timestamp and webhook-signature of a raw request body.

    Then ignore a message_id that you have processed already: attempts and resends repeat it.
    """
    secret = secret_of_hook()
    if not secret.startswith("whsec_"):
        raise ValueError("only whsec_ secrets sign webhook-signature; use verify_body")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False  # stale: perhaps a captured request that is sent again
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    return any(hmac.compare_digest(expected, one.encode()) for one in signatures.split())

def verify_body(body: bytes, signature: str) -> bool:
    """Check X-Hook-Signature, for a secret without whsec_: it says nothing about the age."""
    expected = hmac.new(secret_of_hook().encode(), body, hashlib.@hash@).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())
'''

NODE = """\
const crypto = require("node:crypto");

const TOLERANCE_S = 300;

function secretOfHook() {
  const secret = process.env.HOOK_SECRET || "";
  if (secret.length < 16) {
    throw new Error("HOOK_SECRET is not the secret of a hook: anybody could guess it");
  }
  return secret;
}

function same(expected, given) {
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

// body: the raw bytes, before any JSON parser; id, timestamp, signatures: the headers webhook-id,
// webhook-timestamp and webhook-signature.
// Then ignore an id that you have processed already: attempts and resends repeat it.
function verify(body, id, timestamp, signatures) {
  const secret = secretOfHook();
  if (!secret.startsWith("whsec_")) {
    throw new Error("only whsec_ secrets sign webhook-signature; use verifyBody");
  }
  if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
  // Stale: perhaps a captured request that is sent again.
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
  const mac = crypto.createHmac("sha256", Buffer.from(secret.slice(6), "base64"));
  const digest = mac.update(`${id}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  return signatures.split(" ").some((one) => same(expected, Buffer.from(one)));
}

// X-Hook-Signature, for a secret without whsec_: it says nothing about the age.
function verifyBody(body, signature) {
  const mac = crypto.createHmac("@hash@", secretOfHook());
  return same(mac.update(body).digest(), Buffer.from(signature, "hex"));
}

module.exports = { verify, verifyBody };
"""

GO = """\
package receiver

import (
	"crypto/hmac"
@imports@
	"encoding/base64"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"time"
)

const toleranceS, shortest = 300, 16 // seconds; characters of a secret

// Verify checks webhook-id, webhook-timestamp and webhook-signature of a raw request body.
// Then ignore an id that you have processed already: attempts and resends repeat it.
func Verify(body []byte, id, timestamp, signatures string) bool {
	secret := os.Getenv("HOOK_SECRET")
	encoded, standard := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if len(secret) < shortest || !standard || err != nil {
		return false // only whsec_ secrets sign webhook-signature; use VerifyBody
	}
	sent, err := strconv.ParseUint(timestamp, 10, 40)
	if err != nil {
		return false
	}
	age := time.Now().Unix() - int64(sent)
	if age > toleranceS || age < -toleranceS {
		return false // stale: perhaps a captured request that is sent again
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, one := range strings.Fields(signatures) {
		if hmac.Equal(expected, []byte(one)) {
			return true
		}
	}
	return false
}

// VerifyBody checks X-Hook-Signature, for a secret without whsec_: it says nothing about the age.
func VerifyBody(body []byte, signature string) bool {
	secret := os.Getenv("HOOK_SECRET")
	mac := hmac.New(@hash@.New, []byte(secret))
	mac.Write(body)
	given, err := hex.DecodeString(signature)
	return len(secret) >= shortest && err == nil && hmac.Equal(given, mac.Sum(nil))
}
"""

RUBY = """\
require "openssl"

TOLERANCE_S = 300

def secret_of_hook
  secret = ENV.fetch("HOOK_SECRET")
  return secret if secret.length >= 16
  raise ArgumentError, "HOOK_SECRET is not the secret of a hook: anybody could guess it"
end

# Check webhook-id, webhook-timestamp and webhook-signature of a raw request body.
# Then ignore an id that you have processed already: attempts and resends repeat it.
def verify(body, id, timestamp, signatures)
  secret = secret_of_hook
  unless secret.start_with?("whsec_")
    raise ArgumentError, "only whsec_ secrets sign webhook-signature; use verify_body"
  end
  return false unless timestamp.match?(/\\A[0-9]{1,12}\\z/)
  # Stale: perhaps a captured request that is sent again.
  return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_S
  key = secret.delete_prefix("whsec_").unpack1("m0")
  mac = OpenSSL::HMAC.digest("sha256", key, "#{id}.#{timestamp}.".b + body.b)
  expected = "v1," + [mac].pack("m0")
  signatures.split.any? { |one| OpenSSL.secure_compare(expected, one) }
end

# X-Hook-Signature, for a secret without whsec_: it says nothing about the age.
def verify_body(body, signature)
  expected = OpenSSL::HMAC.hexdigest("@hash@", secret_of_hook, body)
  OpenSSL.secure_compare(expected, signature)
end
"""

PHP = """\
<?php
const TOLERANCE_S = 300;

function secret_of_hook(): string
{
    $secret = (string) getenv("HOOK_SECRET");
    if (strlen($secret) >= 16) return $secret;
    throw new LogicException("HOOK_SECRET is not the secret of a hook: anybody could guess it");
}

// $body: file_get_contents("php://input"); $id, $timestamp, $signatures: the headers webhook-id,
// webhook-timestamp and webhook-signature.
// Then ignore an id that you have processed already: attempts and resends repeat it.
function verify(string $body, string $id, string $timestamp, string $signatures): bool
{
    $secret = secret_of_hook();
    if (!str_starts_with($secret, "whsec_")) {
        throw new LogicException("only whsec_ secrets sign webhook-signature; use verify_body");
    }
    if (!preg_match('/^[0-9]{1,12}$/D', $timestamp)) return false;
    // Stale: perhaps a captured request that is sent again.
    if (abs(time() - (int) $timestamp) > TOLERANCE_S) return false;
    $key = base64_decode(substr($secret, 6));
    $mac = hash_hmac("sha256", "$id.$timestamp.$body", $key, true);
    $expected = "v1," . base64_encode($mac);
    foreach (explode(" ", $signatures) as $one) {
        if (hash_equals($expected, $one)) return true;
    }
    return false;
}

// X-Hook-Signature, for a secret without whsec_: it says nothing about the age.
function verify_body(string $body, string $signature): bool
{
    return hash_equals(hash_hmac("@hash@", $body, secret_of_hook()), $signature);
}
"""

SHELL = """\
# body.json: the raw request body; ID, TIMESTAMP, SIGNATURES: the headers webhook-id,
# webhook-timestamp and webhook-signature; SIGNATURE: X-Hook-Signature.
# For a check by hand: other users of this machine can see the key while openssl runs.
[ "${#HOOK_SECRET}" -ge 16 ] || { echo "HOOK_SECRET is not the secret of a hook" >&2; exit 1; }
case "$HOOK_SECRET" in
whsec_*)
  case "$TIMESTAMP" in ''|0*|*[!0-9]*|?????????????*) echo invalid; exit;; esac
  age=$(($(date +%s) - TIMESTAMP))
  key=$(printf %s "${HOOK_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
  mac=$({ printf '%s.%s.' "$ID" "$TIMESTAMP"; cat body.json; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
  case " $SIGNATURES " in
  *" v1,$mac "*) if [ "${age#-}" -le 300 ]; then echo valid; else echo stale; fi;;
  *) echo invalid;;
  esac;;
*) # only X-Hook-Signature: it says nothing about the age
  mac=$(openssl dgst -@hash@ -hmac "$HOOK_SECRET" < body.json | sed 's/^.* //')
  if [ "$mac" = "$SIGNATURE" ]; then echo valid; else echo invalid; fi;;
esac
"""


def snippets(signature_hash: str) -> dict[str, str]:
    """Return the code by language for a hook that signs with a hash (``sha256``, ``sha1``, …)."""
    hashes = sorted({"sha256", signature_hash})
    imports = "\n".join(f'\t"crypto/{name}"' for name in hashes)
    codes = {
        "Python": PYTHON, "Node": NODE, "Go": GO, "Ruby": RUBY, "PHP": PHP, "Shell": SHELL
    }  # fmt: skip
    return {
        language: code.replace("@hash@", signature_hash).replace("@imports@", imports)
        for language, code in codes.items()
    }
