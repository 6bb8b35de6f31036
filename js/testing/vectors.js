/** The vectors that all implementations share, and ways to damage them. */
import { readFileSync } from 'node:fs';
import { fromHex } from '../src/base/bytes.js';

const folder = new URL('../../tests/vectors/', import.meta.url);

/** @param {string} name */
export const read = (name) => new Uint8Array(readFileSync(new URL(name, folder)));

/** @param {string} name */
export const readJson = (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

export const channel = readJson('strongroom/channel.json');

/** @param {string} section @param {string} name */
export const raw = (section, name) => bytes(channel[section][name]);

/** @param {string} text */
export function bytes(text) {
  const value = fromHex(text);
  if (value === undefined) throw new Error('not hexadecimal');
  return value;
}

/** @typedef {{quote: string, collateral: string, unix_time: number, platform: string, quoting_enclave: string, debug: boolean, status?: string, advisories?: number}} KnownVerdict */

/** @type {KnownVerdict[]} */
export const verdicts = readJson('verdicts.json').filter((/** @type {KnownVerdict} */ verdict) => verdict.quote.startsWith('sgx/'));

/** Numbers that look drawn and are the same in every run (xorshift). @param {number} seed */
export function draws(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A real thing with a bit flipped, bytes cut off, inserted, doubled, or a size set to all ones. @param {Uint8Array} data @param {(below: number) => number} draw */
export function damaged(data, draw) {
  const at = draw(data.length);
  const [before, after] = [data.slice(0, at), data.slice(at)];
  const joined = (/** @type {Uint8Array[]} */ ...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const drawn = Uint8Array.from({ length: 1 + draw(8) }, () => draw(256));
  switch (draw(6)) {
    case 0:
      after[0] ^= 1 << draw(8);
      return joined(before, after);
    case 1:
      return before;
    case 2:
      return joined(before, drawn, after);
    case 3:
      return joined(data.slice(0, at + draw(data.length - at + 1)), after);
    case 4:
      return joined(before, new Uint8Array(4).fill(0xff), after.slice(4));
    default:
      return joined(data, drawn);
  }
}
