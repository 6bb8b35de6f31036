/** Signatures by Web Crypto: ECDSA over P-256 with SHA-256 in its raw and its DER form, and our labelled Ed25519. */
import { concat, hex, utf8 } from './bytes.js';
import { DerReader, INTEGER, SEQUENCE } from './der.js';
import { Malformed } from './errors.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const ECDSA = { name: 'ECDSA', hash: 'SHA-256' };
/** What precedes the 64-byte point in a SubjectPublicKeyInfo of P-256: the algorithm, and "not compressed". */
const SPKI_PREFIX = Uint8Array.from([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
  0x07, 0x03, 0x42, 0x00, 0x04,
]);

const PRIME = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n; // SEC 2 section 2.4.2, as is B
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/** The 64-byte point of a SubjectPublicKeyInfo; `undefined` when it is not an uncompressed key on P-256. @param {Uint8Array} spki */
export function pointOf(spki) {
  const fits = spki.length === SPKI_PREFIX.length + 64 && SPKI_PREFIX.every((byte, at) => spki[at] === byte);
  const point = spki.slice(SPKI_PREFIX.length);
  return fits && isOnCurve(point) ? point : undefined;
}

/** Web Crypto says so only when a key is used, and a certificate has to be judged before. @param {Uint8Array} point */
function isOnCurve(point) {
  const [x, y] = [point.slice(0, 32), point.slice(32)].map((digits) => BigInt(`0x${hex(digits)}`));
  return x < PRIME && y < PRIME && (y * y - x * x * x + 3n * x - B) % PRIME === 0n;
}

/** Decode a 64-byte point, or give `undefined` when it is not on the curve. @param {Uint8Array} point */
export async function publicKey(point) {
  try {
    return await crypto.subtle.importKey('raw', concat(Uint8Array.of(4), point), P256, false, ['verify']);
  } catch {
    return undefined;
  }
}

/** Tell whether a 64-byte signature (r and s) is a point's key's over a message. @param {Uint8Array} point @param {Uint8Array} message @param {Uint8Array} signature */
export async function verifyRaw(point, message, signature) {
  const key = await publicKey(point);
  return key !== undefined && signature.length === 64 && crypto.subtle.verify(ECDSA, key, signature, message);
}

/** Tell whether a DER signature is a point's key's over a message. @param {Uint8Array} point @param {Uint8Array} message @param {Uint8Array} signature */
export async function verifyDer(point, message, signature) {
  const raw = rawSignature(signature);
  return raw !== undefined && verifyRaw(point, message, raw);
}

/** r and s of a DER signature, 32 bytes each; `undefined` when it is not one in its shortest form. @param {Uint8Array} signature */
export function rawSignature(signature) {
  try {
    const outer = new DerReader(signature, { path: 'signature', error: Malformed });
    const pair = outer.enter(SEQUENCE, 'signature');
    outer.expectEnd();
    const numbers = [pair.integer('r', INTEGER), pair.integer('s', INTEGER)];
    pair.expectEnd();
    const raw = new Uint8Array(64);
    for (const [at, number] of numbers.entries()) {
      const digits = number[0] === 0 ? number.slice(1) : number;
      if (number[0] & 0x80 || digits.length > 32) return undefined;
      raw.set(digits, 32 * at + 32 - digits.length);
    }
    return raw;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Tell whether an Ed25519 signature is a key's over a message for a purpose. @param {Uint8Array} publicKeyBytes @param {string} label @param {Uint8Array} message @param {Uint8Array} signature */
export async function verifyLabelled(publicKeyBytes, label, message, signature) {
  // the label is part of what is signed, so that no signature can be shown as one made for another purpose
  const text = utf8(label);
  return verifyEd25519(publicKeyBytes, concat(Uint8Array.of(text.length >> 8, text.length & 0xff), text, message), signature);
}

/** Tell whether an Ed25519 signature is a key's over these very bytes. @param {Uint8Array} publicKeyBytes @param {Uint8Array} message @param {Uint8Array} signature */
export async function verifyEd25519(publicKeyBytes, message, signature) {
  let key;
  try {
    key = await crypto.subtle.importKey('raw', publicKeyBytes, { name: 'Ed25519' }, false, ['verify']);
  } catch (error) {
    if (/** @type {Error} */ (error).name === 'NotSupportedError') throw error;
    return false;
  }
  return crypto.subtle.verify({ name: 'Ed25519' }, key, signature, message);
}
