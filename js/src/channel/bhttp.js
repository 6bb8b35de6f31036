/** Binary HTTP messages (RFC 9292), the known-length form, padded so that a box tells little of what it holds. */
import { concat } from '../base/bytes.js';
import { MalformedMessage } from '../base/errors.js';

export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const MAX_HEADERS = 128;
const PADDING_STEP = 256;

/** Names are lower case (RFC 9292 section 3.6). @typedef {[name: Uint8Array, value: Uint8Array][]} HeaderList */
/** @typedef {{method: Uint8Array, scheme: Uint8Array, authority: Uint8Array, path: Uint8Array, headers: HeaderList, content: Uint8Array}} BinaryRequest */
/** A final status, 200 to 599. @typedef {{status: number, headers: HeaderList, content: Uint8Array}} BinaryResponse */

/** Encode with framing indicator 0 and padding. @param {BinaryRequest} request */
export function encodeRequest({ method, scheme, authority, path, headers, content }) {
  return pad(varint(0), ...[method, scheme, authority, path].map(prefixed), ...sections(headers, content));
}

/** Encode with framing indicator 1 and padding. @param {BinaryResponse} response */
export const encodeResponse = ({ status, headers, content }) => pad(varint(1), varint(status), ...sections(headers, content));

/** @param {Uint8Array} data @returns {BinaryRequest} */
export function readRequest(data) {
  const reader = new Reader(data, 'request');
  if (reader.varint() !== 0) throw reader.fail('not a known-length request');
  const [method, scheme, authority, path] = [reader.prefixed(), reader.prefixed(), reader.prefixed(), reader.prefixed()];
  return { method, scheme, authority, path, ...reader.sections() };
}

/** Informational responses are not used. @param {Uint8Array} data @returns {BinaryResponse} */
export function readResponse(data) {
  const reader = new Reader(data, 'response');
  if (reader.varint() !== 1) throw reader.fail('not a known-length response');
  const status = reader.varint();
  if (status < 200 || status > 599) throw reader.fail('not a final status');
  return { status, ...reader.sections() };
}

/** RFC 9000 section 16. @param {number} number */
function varint(number) {
  const width = number < 1 << 6 ? 1 : number < 1 << 14 ? 2 : number < 2 ** 30 ? 4 : 8;
  const out = new Uint8Array(width);
  let left = number;
  for (let at = width - 1; at >= 0; at -= 1) {
    out[at] = left % 256;
    left = Math.floor(left / 256);
  }
  out[0] |= Math.log2(width) << 6;
  return out;
}

const prefixed = (/** @type {Uint8Array} */ part) => concat(varint(part.length), part);

function sections(/** @type {HeaderList} */ headers, /** @type {Uint8Array} */ content) {
  const lines = concat(...headers.flatMap(([name, value]) => [prefixed(name), prefixed(value)]));
  return [prefixed(lines), prefixed(content), varint(0)];
}

function pad(/** @type {Uint8Array[]} */ ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return concat(...parts, new Uint8Array((PADDING_STEP - (length % PADDING_STEP)) % PADDING_STEP));
}

class Reader {
  #data;
  #path;
  #offset = 0;

  constructor(/** @type {Uint8Array} */ data, /** @type {string} */ path) {
    if (data.length > MAX_MESSAGE_BYTES) throw new MalformedMessage(`more than ${MAX_MESSAGE_BYTES} bytes`, { path });
    this.#data = data;
    this.#path = path;
  }

  fail(/** @type {string} */ rule) {
    return new MalformedMessage(rule, { path: this.#path, offset: this.#offset });
  }

  take(/** @type {number} */ length) {
    const end = this.#offset + length;
    if (end > this.#data.length) throw this.fail('ends too early');
    const taken = this.#data.slice(this.#offset, end);
    this.#offset = end;
    return taken;
  }

  /** A number above 2^53 loses its last digits, and is longer than any message all the same. */
  varint() {
    const [first] = this.take(1);
    return this.take((1 << (first >> 6)) - 1).reduce((number, byte) => number * 256 + byte, first & 0x3f);
  }

  prefixed() {
    return this.take(this.varint());
  }

  /** Headers, content and trailers; what follows may only be padding. Sections cut off at the end count as empty. */
  sections() {
    const headers = this.#headers();
    const content = this.#offset < this.#data.length ? this.prefixed() : new Uint8Array();
    if (this.#offset < this.#data.length && this.varint() !== 0) throw this.fail('trailers are not used');
    if (this.#data.subarray(this.#offset).some((byte) => byte !== 0)) throw this.fail('padding that is not zero');
    return { headers, content };
  }

  #headers() {
    /** @type {HeaderList} */
    const headers = [];
    if (this.#offset === this.#data.length) return headers;
    const length = this.varint();
    const end = this.#offset + length;
    if (end > this.#data.length) throw this.fail('headers end too early');
    while (this.#offset < end) {
      if (headers.length === MAX_HEADERS) throw this.fail(`more than ${MAX_HEADERS} headers`);
      headers.push([this.prefixed(), this.prefixed()]);
    }
    if (this.#offset !== end) throw this.fail('headers do not fill their section');
    return headers;
  }
}
