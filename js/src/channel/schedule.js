/**
 * Key schedule of suite 1: everything from the secret `s` and the transcript hash `h` (docs/spec/attested-channel.md 3).
 * Binder and data keys have the same two parents, so they stand or fall together.
 */
import { concat, sha256, utf8 } from '../base/bytes.js';
import { encode } from '../base/canonical.js';

export const SECRET_BYTES = 32;

/** Bind the sealed secret to the hello that asked for it. @param {Uint8Array} hello */
export const hpkeInfo = async (hello) => concat(utf8('strongroom v1 hello'), await sha256(hello));

/** `h`: SHA-256 over both messages as sent, the sealed secret and the client's key included. @param {Uint8Array} hello @param {Uint8Array} core */
export const transcriptHash = (hello, core) => sha256(encode(['strongroom v1 transcript', hello, core]));

/** @typedef {{transcript: Uint8Array, serverBinder: Uint8Array, serverConfirmation: Uint8Array, clientToServer: Uint8Array, serverToClient: Uint8Array, channelId: Uint8Array}} KeySchedule */

/** All keys of one session: HKDF-SHA-256 without salt, info = label followed by `h`. @param {Uint8Array} secret @param {Uint8Array} transcript @returns {Promise<KeySchedule>} */
export async function deriveKeys(secret, transcript) {
  const parent = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const key = async (/** @type {string} */ label, bytes = 32) => {
    const info = concat(utf8(`strongroom v1 ${label}`), transcript);
    // no salt: RFC 5869 takes that for a hash length of zeros
    const parameters = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info };
    return new Uint8Array(await crypto.subtle.deriveBits(parameters, parent, 8 * bytes));
  };
  return {
    transcript,
    serverBinder: await key('server attests'),
    serverConfirmation: await key('server confirms'),
    clientToServer: await key('client to server'),
    serverToClient: await key('server to client'),
    channelId: await key('channel id', 16),
  };
}
