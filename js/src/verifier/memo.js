/**
 * A memory for pure functions of bytes: signatures already found good, structures already read. It cannot change a
 * verdict: what is remembered depends on the bytes alone. Dates, revocation and policy are judged anew each time.
 */
import { key } from '../base/bytes.js';

export class Memo {
  /** @type {Map<string, unknown>} */
  #answers = new Map();
  /** @type {Map<Function, number>} */
  #numbers = new Map();
  #bytes = 0;
  #capacity;
  #maxBytes;

  /** @param {{capacity?: number, maxBytes?: number}} [limits] Capacity 0 remembers nothing. */
  constructor({ capacity = 64, maxBytes = 8 * 1024 * 1024 } = {}) {
    this.#capacity = capacity;
    this.#maxBytes = maxBytes;
  }

  /** Give `read(data)`; what it throws is passed on and not remembered. @template T @param {(data: Uint8Array) => T} read @param {Uint8Array} data @returns {T} */
  parsed(read, data) {
    const name = this.#name(read, [data]);
    if (this.#answers.has(name)) return /** @type {T} */ (this.#recall(name));
    const value = read(data);
    this.#store(name, value);
    return value;
  }

  /** Give `check(...parts)`, remembered only when it is true. @param {(...parts: Uint8Array[]) => Promise<boolean>} check @param {...Uint8Array} parts */
  async holds(check, ...parts) {
    const name = this.#name(check, parts);
    if (this.#answers.has(name)) return Boolean(this.#recall(name));
    const good = await check(...parts);
    if (good) this.#store(name, true);
    return good;
  }

  #name(/** @type {Function} */ of, /** @type {Uint8Array[]} */ parts) {
    const number = this.#numbers.get(of) ?? this.#numbers.size;
    this.#numbers.set(of, number);
    return [number, ...parts.map((part) => part.length), ''].join(' ') + parts.map(key).join('');
  }

  #recall(/** @type {string} */ name) {
    const value = this.#answers.get(name);
    this.#answers.delete(name);
    this.#answers.set(name, value);
    return value;
  }

  #store(/** @type {string} */ name, /** @type {unknown} */ value) {
    if (this.#capacity === 0) return;
    if (!this.#answers.has(name)) this.#bytes += name.length;
    this.#answers.set(name, value);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= this.#capacity && this.#bytes <= this.#maxBytes) return;
      this.#answers.delete(oldest);
      this.#bytes -= oldest.length;
    }
  }
}
