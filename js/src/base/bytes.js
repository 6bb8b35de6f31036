/** Bytes: joining, comparing, hexadecimal, text, and the hashes of Web Crypto. */

const encoder = new TextEncoder();
const latin1 = new TextDecoder('latin1');

/** Text to UTF-8. */
export const utf8 = (/** @type {string} */ text) => encoder.encode(text);

/** Each byte as one character. The decoder is that of windows-1252, which gives every byte a character of its own. */
export const key = (/** @type {Uint8Array} */ bytes) => latin1.decode(bytes);

/** Bytes as the characters U+0000 to U+00FF, for patterns over text that ought to be ASCII. */
export function ascii(/** @type {Uint8Array} */ bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Compare without telling by the time where two values differ. @param {Uint8Array} left @param {Uint8Array} right */
export function equal(left, right) {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let at = 0; at < left.length; at += 1) difference |= left[at] ^ right[at];
  return difference === 0;
}

/** Order bytes as text is ordered. @param {Uint8Array} left @param {Uint8Array} right */
export function compare(left, right) {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) if (left[at] !== right[at]) return left[at] - right[at];
  return left.length - right.length;
}

export const hex = (/** @type {Uint8Array} */ bytes) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Hexadecimal digits of either case to bytes; `undefined` for anything else. @param {string} text */
export function fromHex(text) {
  if (text.length % 2 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** Base64 in its one form (RFC 4648 section 4, padded, no bits that belong to no byte); `undefined` for anything else. */
export function fromBase64(/** @type {string} */ text) {
  if (text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  let decoded;
  try {
    decoded = atob(text);
  } catch {
    return undefined;
  }
  return btoa(decoded) === text ? Uint8Array.from(decoded, (character) => character.charCodeAt(0)) : undefined;
}

/** A number as eight big-endian bytes. @param {number | bigint} number */
export function u64(number) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(number));
  return out;
}

/** SHA-256, 32 bytes. @param {Uint8Array} data */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (data)));
}

/** SHA-256 over a label and parts, each preceded by its length in eight bytes. @param {string} label @param {...Uint8Array} parts */
export function labelledHash(label, ...parts) {
  return sha256(concat(...[utf8(label), ...parts].flatMap((part) => [u64(part.length), part])));
}
