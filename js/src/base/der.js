/**
 * A reader for the part of DER (ITU-T X.690) that certificates and Intel's extension use: definite lengths in their
 * shortest form, one-byte tags. It walks and does not search: a caller says where it expects what.
 */
import { Malformed } from './errors.js';

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OBJECT_IDENTIFIER = 0x06;
export const ENUMERATED = 0x0a;
export const SEQUENCE = 0x30;
export const SET = 0x31;

const MAX_LENGTH_BYTES = 4;

/** Reads elements one after the other; a broken rule throws `error` with the structure's path and the offset. */
export class DerReader {
  #data;
  #path;
  #error;

  /** @param {Uint8Array} data @param {{path: string, error: typeof Malformed}} options */
  constructor(data, { path, error }) {
    this.#data = data;
    this.#path = path;
    this.#error = error;
    this.offset = 0;
  }

  get remaining() {
    return this.#data.length - this.offset;
  }

  /** The next element's tag, without taking it; `undefined` at the end. */
  nextTag() {
    return this.remaining ? this.#data[this.offset] : undefined;
  }

  /** The contents of the next element, which must have this tag. @param {number} tag @param {string} field */
  take(tag, field) {
    const [start, end] = this.#bounds(tag, field);
    this.offset = end;
    return this.#data.slice(start, end);
  }

  /** The next element with its tag and length. @param {number} tag @param {string} field */
  takeWhole(tag, field) {
    const begin = this.offset;
    const [, end] = this.#bounds(tag, field);
    this.offset = end;
    return this.#data.slice(begin, end);
  }

  /** A reader over the contents of the next element. @param {number} tag @param {string} field */
  enter(tag, field) {
    return new DerReader(this.take(tag, field), { path: `${this.#path}.${field}`, error: this.#error });
  }

  /** The contents of an INTEGER in its shortest form, of either sign. @param {string} field */
  integer(field, tag = INTEGER) {
    const raw = this.take(tag, field);
    const padded = raw.length > 1 && (raw[0] === 0 ? raw[1] < 0x80 : raw[0] === 0xff && raw[1] >= 0x80);
    if (raw.length === 0 || padded) throw this.fail(`${field} is not a number in its shortest form`);
    return raw;
  }

  /** A number from 0 to `atMost`. @param {string} field @param {number} atMost @param {number} [tag] */
  number(field, atMost, tag = INTEGER) {
    const raw = this.integer(field, tag);
    if (raw[0] & 0x80) throw this.fail(`${field} is negative`);
    const value = raw.length > 6 ? Infinity : raw.reduce((number, byte) => number * 256 + byte, 0);
    if (value > atMost) throw this.fail(`${field} is greater than ${atMost}`);
    return value;
  }

  /** @param {string} field */
  boolean(field) {
    const raw = this.take(BOOLEAN, field);
    if (raw.length !== 1 || (raw[0] !== 0 && raw[0] !== 0xff)) throw this.fail(`${field} is not a boolean`);
    return raw[0] === 0xff;
  }

  expectEnd() {
    if (this.remaining) throw this.fail(`${this.remaining} bytes after the last element`);
  }

  fail(/** @type {string} */ rule) {
    return new this.#error(rule, { path: this.#path, offset: this.offset });
  }

  /** @returns {[number, number]} */
  #bounds(/** @type {number} */ tag, /** @type {string} */ field) {
    const data = this.#data;
    const at = this.offset;
    if (data.length - at < 2) throw this.fail(`${field} is missing`);
    if (data[at] !== tag) throw this.fail(`${field} has tag ${data[at]}, not ${tag}`);
    let length = data[at + 1];
    let start = at + 2;
    if (length & 0x80) {
      const width = length & 0x7f;
      if (width < 1 || width > MAX_LENGTH_BYTES || data.length - start < width) throw this.fail(`${field} has a length that is not read`);
      length = 0;
      for (let i = 0; i < width; i += 1) length = length * 256 + data[start + i];
      if (length < 0x80 || length < 256 ** (width - 1)) throw this.fail(`${field} has a length not in its shortest form`);
      start += width;
    }
    if (length > data.length - start) throw this.fail(`${field} has ${length} bytes, ${data.length - start} are left`);
    return [start, start + length];
  }
}

/** The dotted form of an object identifier's contents; `undefined` when they are none. @param {Uint8Array} contents */
export function dotted(contents) {
  if (contents.length === 0 || contents.length > 64 || contents[contents.length - 1] & 0x80) return undefined;
  const arcs = [];
  let arc = 0n;
  let fresh = true;
  for (const byte of contents) {
    if (fresh && byte === 0x80) return undefined; // not the shortest form
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    fresh = !(byte & 0x80);
    if (fresh) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const first = arcs[0] < 80n ? arcs[0] / 40n : 2n;
  return [first, arcs[0] - 40n * first, ...arcs.slice(1)].join('.');
}
