/**
 * JSON, read strictly: what two parsers could understand differently is refused: a key twice, text after the value,
 * NaN, fractions, a byte order mark, nesting deeper than 32. Objects become Maps, so that no key has a meaning of ours.
 */
import { fromHex } from './bytes.js';
import { MalformedCollateral } from './errors.js';

export const MAX_BODY_BYTES = 256 * 1024;
const MAX_DEPTH = 32;
const MAX_TEXT = 256;
const MAX_DIGITS = 20;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const WORDS = new Map(/** @type {[string, any][]} */ ([['true', true], ['false', false], ['null', null]]));
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES = new Map([['"', '"'], ['\\', '\\'], ['/', '/'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t']]);

/** Read one JSON value. @param {Uint8Array} data @param {{path: string, maxBytes: number}} options @returns {any} */
export function parse(data, { path, maxBytes }) {
  if (data.length > maxBytes) throw new MalformedCollateral(`${data.length} bytes, at most ${maxBytes} are read`, { path });
  let text;
  try {
    text = decoder.decode(data);
  } catch {
    throw new MalformedCollateral('not UTF-8', { path });
  }
  const parser = new Parser(text, path);
  const value = parser.value(0);
  parser.skip(SPACE);
  if (parser.at !== text.length) throw parser.fail('text after the value');
  return value;
}

/** Read one JSON object as typed fields. @param {Uint8Array} body @param {string} path */
export const parseObject = (body, path) => new JsonFields(parse(body, { path, maxBytes: MAX_BODY_BYTES }), path);

class Parser {
  constructor(/** @type {string} */ text, /** @type {string} */ path) {
    this.text = text;
    this.path = path;
    this.at = 0;
  }

  fail(/** @type {string} */ rule) {
    return new MalformedCollateral(`not JSON as it is read here: ${rule}`, { path: this.path });
  }

  skip(/** @type {RegExp} */ pattern) {
    pattern.lastIndex = this.at;
    const found = /** @type {RegExpExecArray} */ (pattern.exec(this.text));
    if (found === null) return null;
    this.at = pattern.lastIndex;
    return found;
  }

  /** @returns {any} */
  value(/** @type {number} */ depth) {
    this.skip(SPACE);
    const next = this.text[this.at];
    if (next === '"') return this.string();
    if (next === '{' || next === '[') {
      if (depth === MAX_DEPTH) throw this.fail(`nested deeper than ${MAX_DEPTH}`);
      return next === '{' ? this.object(depth + 1) : this.list(depth + 1);
    }
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  number() {
    const found = this.skip(NUMBER);
    if (found === null) throw this.fail('no value');
    if (found[1] !== undefined || found[2] !== undefined) throw this.fail('not a whole number');
    if (found[0].length > MAX_DIGITS) throw this.fail(`a number of more than ${MAX_DIGITS} digits`);
    const number = Number(found[0]) + 0; // no negative zero
    return Number.isSafeInteger(number) ? number : BigInt(found[0]);
  }

  string() {
    this.at += 1;
    let out = '';
    for (;;) {
      out += /** @type {RegExpExecArray} */ (this.skip(PLAIN))[0];
      const next = this.text[this.at];
      if (next === '"') {
        this.at += 1;
        return out;
      }
      if (next !== '\\') throw this.fail('a text does not end, or holds a control character');
      out += this.escape();
    }
  }

  escape() {
    const letter = this.text[this.at + 1];
    const digits = this.text.slice(this.at + 2, this.at + 6);
    if (letter === 'u' && /^[0-9a-fA-F]{4}$/.test(digits)) {
      this.at += 6;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const character = ESCAPES.get(letter);
    if (character === undefined) throw this.fail('an escape that does not exist');
    this.at += 2;
    return character;
  }

  list(/** @type {number} */ depth) {
    const items = /** @type {any[]} */ ([]);
    this.at += 1;
    if (this.ends(']')) return items;
    for (;;) {
      items.push(this.value(depth));
      if (this.ends(']')) return items;
      this.expect(',');
    }
  }

  object(/** @type {number} */ depth) {
    const fields = new Map();
    this.at += 1;
    if (this.ends('}')) return fields;
    for (;;) {
      this.skip(SPACE);
      if (this.text[this.at] !== '"') throw this.fail('a key is not a text');
      const name = this.string();
      if (fields.has(name)) throw this.fail('a key occurs twice in one object');
      this.expect(':');
      fields.set(name, this.value(depth));
      if (this.ends('}')) return fields;
      this.expect(',');
    }
  }

  ends(/** @type {string} */ bracket) {
    this.skip(SPACE);
    if (this.text[this.at] !== bracket) return false;
    this.at += 1;
    return true;
  }

  expect(/** @type {string} */ sign) {
    if (!this.ends(sign)) throw this.fail(`'${sign}' is missing`);
  }
}

const printable = (/** @type {unknown} */ value) =>
  typeof value === 'string' && [...value].length <= MAX_TEXT && /^(?: |[^\p{C}\p{Z}])*$/u.test(value);

/** Typed reading of one JSON object: a missing or ill-typed field is malformed, an unknown one is ignored. */
export class JsonFields {
  #fields;

  constructor(/** @type {unknown} */ value, /** @type {string} */ path) {
    this.path = path;
    if (!(value instanceof Map)) throw this.fail('not an object');
    this.#fields = value;
  }

  has(/** @type {string} */ name) {
    return this.#fields.has(name);
  }

  fail(/** @type {string} */ rule) {
    return new MalformedCollateral(rule, { path: this.path });
  }

  /** @returns {any} */
  #get(/** @type {string} */ name) {
    if (!this.#fields.has(name)) throw this.fail(`field '${name}' is missing`);
    return this.#fields.get(name);
  }

  /** A text of at most 256 printable characters. @returns {string} */
  text(/** @type {string} */ name) {
    const value = this.#get(name);
    if (!printable(value)) throw this.fail(`field '${name}' is not a short printable text`);
    return value;
  }

  optionalText(/** @type {string} */ name) {
    return this.has(name) ? this.text(name) : undefined;
  }

  /** `length` bytes as hexadecimal digits of either case. @param {string} name @param {number} length */
  hexadecimal(name, length) {
    const bytes = fromHex(this.text(name));
    if (bytes === undefined || bytes.length !== length) throw this.fail(`field '${name}' is not ${length} bytes in hexadecimal`);
    return bytes;
  }

  /** A whole number from 0 to `atMost`. @param {string} name @param {number} atMost @returns {number} */
  number(name, atMost) {
    const value = this.#get(name);
    if (typeof value !== 'number' || value < 0 || value > atMost) throw this.fail(`field '${name}' is not a whole number from 0 to ${atMost}`);
    return value;
  }

  /** An instant `YYYY-MM-DDTHH:MM:SSZ`, in Unix milliseconds. @param {string} name */
  date(name) {
    const text = this.text(name);
    const found = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z$/.exec(text);
    const at = found && instant(found.slice(1).map(Number));
    if (at === null) throw this.fail(`field '${name}' is not an instant of the form YYYY-MM-DDTHH:MM:SSZ`);
    return at;
  }

  object(/** @type {string} */ name) {
    return new JsonFields(this.#get(name), `${this.path}.${name}`);
  }

  /** A list of at most `atMost` objects. @param {string} name @param {number} atMost */
  objects(name, atMost) {
    return this.#list(name, atMost).map((item) => new JsonFields(item, `${this.path}.${name}`));
  }

  /** A list of at most `atMost` short printable texts. @param {string} name @param {number} atMost @returns {string[]} */
  texts(name, atMost) {
    const list = this.#list(name, atMost);
    if (!list.every(printable)) throw this.fail(`field '${name}' holds something else than short printable texts`);
    return list;
  }

  /** @returns {any[]} */
  #list(/** @type {string} */ name, /** @type {number} */ atMost) {
    const value = this.#get(name);
    if (!Array.isArray(value) || value.length > atMost) throw this.fail(`field '${name}' is not a list of at most ${atMost}`);
    return value;
  }
}

/** Unix milliseconds of year, month, day, hour, minute, second; `null` when there is no such instant. @param {number[]} parts */
export function instant(parts) {
  const [year, month, day, hour, minute, second] = parts;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const same =
    year >= 1 &&
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return same ? date.getTime() : null;
}
