/** A cursor over untrusted bytes: every read is bounded by what is there, and says where it failed. */
import { Malformed } from './errors.js';

export class ByteCursor {
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

  /** Take exactly `length` bytes. @param {number} length @param {string} field */
  take(length, field) {
    if (length > this.remaining) throw this.fail(`${field} needs ${length} bytes, ${this.remaining} are left`);
    const taken = this.#data.slice(this.offset, this.offset + length);
    this.offset += length;
    return taken;
  }

  /** A little-endian number of 16 bits. */
  u16(/** @type {string} */ field) {
    const [low, high] = this.take(2, field);
    return low | (high << 8);
  }

  /** A little-endian number of 32 bits. */
  u32(/** @type {string} */ field) {
    return new DataView(this.take(4, field).buffer).getUint32(0, true);
  }

  /** A little-endian number of 64 bits. */
  u64(/** @type {string} */ field) {
    return new DataView(this.take(8, field).buffer).getBigUint64(0, true);
  }

  rest() {
    return this.take(this.remaining, 'rest');
  }

  expectEnd() {
    if (this.remaining) throw this.fail(`${this.remaining} bytes after the last field`);
  }

  fail(/** @type {string} */ rule) {
    return new this.#error(rule, { path: this.#path, offset: this.offset });
  }
}
