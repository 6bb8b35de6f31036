/** Typed reading of decoded maps: a missing, surplus or ill-typed field is malformed, by name. */
import { decode } from './canonical.js';
import { Malformed } from './errors.js';

/** The fields of one map. Every accessor takes its field away; `done` refuses what is left. */
export class Fields {
  #left;
  #path;
  #error;

  /** @param {unknown} value @param {{path: string, error: typeof Malformed}} options */
  constructor(value, { path, error }) {
    if (!(value instanceof Map)) throw new error('not a map', { path });
    this.#left = new Map(value);
    this.#path = path;
    this.#error = error;
  }

  /** Decode canonical bytes that must hold a map. @param {Uint8Array} data @param {{path: string, error: typeof Malformed, maxBytes: number}} options */
  static decode(data, options) {
    return new Fields(decode(data, options), options);
  }

  fail(/** @type {string} */ rule) {
    return new this.#error(rule, { path: this.#path });
  }

  /** @returns {any} */
  #take(/** @type {string} */ name) {
    if (!this.#left.has(name)) throw this.fail(`field '${name}' is missing`);
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  /** A byte string of an exact or a greatest length. @param {string} name @param {{length?: number, atMost?: number}} limits @returns {Uint8Array} */
  bytes(name, { length, atMost }) {
    const value = this.#take(name);
    if (!(value instanceof Uint8Array)) throw this.fail(`field '${name}' is not a byte string`);
    if (length !== undefined && value.length !== length) throw this.fail(`field '${name}' has ${value.length} bytes, not ${length}`);
    if (atMost !== undefined && value.length > atMost) throw this.fail(`field '${name}' has ${value.length} bytes, at most ${atMost}`);
    return value;
  }

  /** A byte string or null. @param {string} name @param {{length?: number, atMost?: number}} limits */
  optionalBytes(name, limits) {
    if (this.#left.get(name) !== null) return this.bytes(name, limits);
    this.#left.delete(name);
    return null;
  }

  /** @param {string} name @param {number} atMost @returns {string} */
  text(name, atMost) {
    const value = this.#take(name);
    if (typeof value !== 'string' || [...value].length > atMost) throw this.fail(`field '${name}' is not a text of at most ${atMost} characters`);
    return value;
  }

  /** A number from 0 to `atMost`, below 2^53. @param {string} name @param {number} atMost @returns {number} */
  number(name, atMost) {
    const value = this.#take(name);
    if (typeof value !== 'number' || value < 0 || value > atMost) throw this.fail(`field '${name}' is not a number from 0 to ${atMost}`);
    return value;
  }

  /** A number from 0 to 2^63 - 1. @param {string} name @returns {bigint} */
  bigint(name) {
    const value = this.#take(name);
    if ((typeof value !== 'number' && typeof value !== 'bigint') || value < 0 || BigInt(value) >= 1n << 63n) {
      throw this.fail(`field '${name}' is not a number from 0 to 2^63 - 1`);
    }
    return BigInt(value);
  }

  /** A field that has only one legal value. @param {string} name @param {string | number} expected */
  exactly(name, expected) {
    if (this.#take(name) !== expected) throw this.fail(`field '${name}' is not ${JSON.stringify(expected)}`);
  }

  /** A list of at most `atMost` byte strings. @param {string} name @param {{length: number, atMost: number}} limits @returns {Uint8Array[]} */
  byteStrings(name, { length, atMost }) {
    const items = this.#list(name, atMost);
    if (!items.every((item) => item instanceof Uint8Array && item.length === length)) {
      throw this.fail(`field '${name}' holds something else than byte strings of the right length`);
    }
    return items;
  }

  #list(/** @type {string} */ name, /** @type {number} */ atMost) {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length > atMost) throw this.fail(`field '${name}' is not a list of at most ${atMost}`);
    return value;
  }

  /** Refuse fields that nobody asked for. */
  done() {
    if (this.#left.size) throw this.fail(`unknown field '${String([...this.#left.keys()][0])}'`);
  }
}
