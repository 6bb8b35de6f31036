/**
 * Deterministic CBOR (RFC 8949 section 4.2.1): one value has one encoding and one encoding one value. The decoder takes
 * that encoding and nothing else: definite lengths, shortest heads, map keys in bytewise order and each once, no tags,
 * no floats, nothing after the value.
 *
 * Values are null, booleans, integers of 64 bits (numbers, bigints beyond 2^53), Uint8Array, strings, arrays, and Maps
 * whose keys are integers, strings or bytes. Plain objects can be encoded too; decoding always gives a Map.
 */
import { compare, concat, utf8 } from './bytes.js';
import { Malformed } from './errors.js';

const MAX_DEPTH = 16;
const UINT = 0;
const NINT = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;
const SIMPLE_VALUES = new Map([
  [0xf4, false],
  [0xf5, true],
  [0xf6, null],
]);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encode a value; `TypeError` or `RangeError` for one outside the subset, which is a programming mistake. */
export function encode(/** @type {unknown} */ value) {
  /** @type {Uint8Array[]} */
  const out = [];
  write(value, out);
  return concat(...out);
}

/**
 * Decode exactly one value from untrusted bytes, or throw `error`.
 * @param {Uint8Array} data
 * @param {{path: string, maxBytes: number, error?: typeof Malformed}} options `maxBytes` is looked at first.
 */
export function decode(data, { path, maxBytes, error = Malformed }) {
  if (data.length > maxBytes) throw new error(`${data.length} bytes, at most ${maxBytes} are read`, { path });
  const reader = new Reader(data, path, error);
  const value = reader.value(0);
  if (reader.offset !== data.length) throw reader.fail(`${data.length - reader.offset} bytes after the value`);
  return value;
}

function head(/** @type {number} */ major, /** @type {number | bigint} */ number) {
  const value = BigInt(number);
  const width = value < 24n ? 0 : value < 1n << 8n ? 1 : value < 1n << 16n ? 2 : value < 1n << 32n ? 4 : 8;
  if (value >= 1n << 64n) throw new RangeError('integers have at most 64 bits');
  if (width === 0) return Uint8Array.of((major << 5) | Number(value));
  const out = new Uint8Array(1 + width);
  out[0] = (major << 5) | (24 + Math.log2(width));
  for (let at = width, left = value; at > 0; at -= 1, left >>= 8n) out[at] = Number(left & 0xffn);
  return out;
}

function write(/** @type {any} */ value, /** @type {Uint8Array[]} */ out) {
  if (value === null) out.push(Uint8Array.of(0xf6));
  else if (typeof value === 'boolean') out.push(Uint8Array.of(value ? 0xf5 : 0xf4));
  else if (typeof value === 'bigint' || Number.isSafeInteger(value)) {
    out.push(value >= 0 ? head(UINT, value) : head(NINT, -1n - BigInt(value)));
  } else if (value instanceof Uint8Array) out.push(head(BYTES, value.length), value);
  else if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) throw new RangeError('half a surrogate pair is not text');
    const text = utf8(value);
    out.push(head(TEXT, text.length), text);
  } else if (Array.isArray(value)) {
    out.push(head(ARRAY, value.length));
    for (const item of value) write(item, out);
  } else if (value instanceof Map || Object.getPrototypeOf(value ?? 0) === Object.prototype) {
    writeMap(value instanceof Map ? [...value] : Object.entries(value), out);
  } else throw new TypeError(`cannot encode a ${typeof value}`);
}

function writeMap(/** @type {[any, any][]} */ entries, /** @type {Uint8Array[]} */ out) {
  const pairs = entries.map(([key, item]) => {
    const usable = typeof key === 'string' || typeof key === 'bigint' || Number.isSafeInteger(key) || key instanceof Uint8Array;
    if (!usable) throw new TypeError('map keys are integers, text or bytes');
    return /** @type {const} */ ([encode(key), item]);
  });
  pairs.sort(([left], [right]) => compare(left, right));
  if (pairs.some(([key], at) => at && compare(key, pairs[at - 1][0]) === 0)) throw new TypeError('a map key occurs twice');
  out.push(head(MAP, pairs.length));
  for (const [key, item] of pairs) {
    out.push(key);
    write(item, out);
  }
}

const small = (/** @type {bigint} */ number) =>
  number >= BigInt(Number.MIN_SAFE_INTEGER) && number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number;

class Reader {
  /** @param {Uint8Array} data @param {string} path @param {typeof Malformed} error */
  constructor(data, path, error) {
    this.data = data;
    this.path = path;
    this.error = error;
    this.offset = 0;
  }

  fail(/** @type {string} */ rule) {
    return new this.error(rule, { path: this.path, offset: this.offset });
  }

  /** @returns {any} */
  value(/** @type {number} */ depth) {
    if (depth > MAX_DEPTH) throw this.fail(`nested deeper than ${MAX_DEPTH}`);
    const simple = SIMPLE_VALUES.get(this.data[this.offset]);
    if (simple !== undefined) {
      this.offset += 1;
      return simple;
    }
    const [major, number] = this.head();
    if (major === UINT) return small(number);
    if (major === NINT) return small(-1n - number);
    if (major === BYTES) return this.take(number);
    if (major === TEXT) return this.text(number);
    if (major === ARRAY) return Array.from({ length: this.count(number) }, () => this.value(depth + 1));
    if (major === MAP) return this.map(this.count(number), depth);
    throw this.fail('tags are not used');
  }

  /** Read a head. A simple value other than false, true and null never gets past here. @returns {[number, bigint]} */
  head() {
    const first = this.take(1n)[0];
    const major = first >> 5;
    const low = first & 0x1f;
    if (major === SIMPLE) throw this.fail('floats and unknown simple values are not used');
    if (low < 24) return [major, BigInt(low)];
    if (low > 27) throw this.fail('indefinite lengths are not used');
    const width = 1 << (low - 24);
    let number = 0n;
    for (const byte of this.take(BigInt(width))) number = (number << 8n) | BigInt(byte);
    if (number < 24n || (width > 1 && number < 1n << BigInt(4 * width))) throw this.fail('number not in its shortest form');
    return [major, number];
  }

  take(/** @type {bigint} */ length) {
    const left = this.data.length - this.offset;
    if (length > BigInt(left)) throw this.fail(`${length} bytes wanted, ${left} are left`);
    const taken = this.data.slice(this.offset, this.offset + Number(length));
    this.offset += taken.length;
    return taken;
  }

  /** Each element takes a byte at least, so a count beyond what is left is a lie told before any allocation. */
  count(/** @type {bigint} */ number) {
    if (number > BigInt(this.data.length - this.offset)) throw this.fail('more elements announced than bytes are left');
    return Number(number);
  }

  text(/** @type {bigint} */ length) {
    const raw = this.take(length);
    try {
      return decoder.decode(raw);
    } catch {
      throw this.fail('text is not UTF-8');
    }
  }

  map(/** @type {number} */ count, /** @type {number} */ depth) {
    const items = new Map();
    let previous = new Uint8Array();
    for (let at = 0; at < count; at += 1) {
      const start = this.offset;
      const key = this.value(depth + 1);
      const usable = typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || key instanceof Uint8Array;
      if (!usable) throw this.fail('map keys are integers, text or bytes');
      const raw = this.data.slice(start, this.offset);
      if (compare(raw, previous) <= 0) throw this.fail('map keys out of order or repeated');
      previous = raw;
      items.set(key, this.value(depth + 1));
    }
    return items;
  }
}
