/**
 * HPKE base mode (RFC 9180), one-shot and receiving only, with the hybrid KEM MLKEM768-X25519 (0x647a), HKDF-SHA-256 and
 * AES-256-GCM. The KEM's shared secret is SHA3-256 over both secrets, the X25519 share and key, and a label
 * (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq); ML-KEM (FIPS 203) and SHA-3 are the vendored library's, X25519 is
 * Web Crypto's.
 */
import { ml_kem768 as mlKem768 } from '../../vendor/noble-post-quantum/ml-kem.js';
import { sha3_256 as sha3 } from '../../vendor/noble-hashes/sha3.js';
import { concat, utf8 } from '../base/bytes.js';

const MLKEM_PUBLIC_BYTES = 1184;
const MLKEM_CIPHERTEXT_BYTES = 1088;
const X25519_BYTES = 32;
export const PUBLIC_KEY_BYTES = MLKEM_PUBLIC_BYTES + X25519_BYTES;
const ENCAPSULATION_BYTES = MLKEM_CIPHERTEXT_BYTES + X25519_BYTES;
export const SEALED_SECRET_BYTES = ENCAPSULATION_BYTES + 32 + 16; // a 32-byte secret and a tag

const COMBINER_LABEL = Uint8Array.from([0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c]); // \.//^\
const SUITE_ID = concat(utf8('HPKE'), Uint8Array.of(0x64, 0x7a, 0x00, 0x01, 0x00, 0x02)); // KEM, HKDF-SHA-256, AES-256-GCM
const VERSION = utf8('HPKE-v1');
const X25519 = { name: 'X25519' };
/** What precedes a raw X25519 private key in PKCS #8 (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.from([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20]);

/** The box was not made for this key and purpose. A fact for the caller to turn into a finding. */
export class OpenFailed extends Error {}

/** A one-time private key: made for one exchange, forgotten after it. */
export class HpkePrivateKey {
  #mlkemSecret;
  #x25519Private;
  #x25519Public;

  /** @param {{secretKey: Uint8Array, publicKey: Uint8Array}} mlkem @param {CryptoKey} x25519Private @param {Uint8Array} x25519Public */
  constructor(mlkem, x25519Private, x25519Public) {
    this.#mlkemSecret = mlkem.secretKey;
    this.#x25519Private = x25519Private;
    this.#x25519Public = x25519Public;
    /** 1,216 bytes. */
    this.publicKey = concat(mlkem.publicKey, x25519Public);
  }

  /** Draw a new key pair. */
  static async generate() {
    const seed = crypto.getRandomValues(new Uint8Array(64));
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(X25519, false, ['deriveBits']));
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    return new HpkePrivateKey(mlKem768.keygen(seed), pair.privateKey, publicKey);
  }

  /** The pair that a 64-byte ML-KEM seed and a 32-byte X25519 key determine, for test vectors. @param {Uint8Array} seed @param {Uint8Array} x25519Key */
  static async fromSeeds(seed, x25519Key) {
    const privateKey = await crypto.subtle.importKey('pkcs8', concat(PKCS8_PREFIX, x25519Key), X25519, true, ['deriveBits']);
    const { x } = await crypto.subtle.exportKey('jwk', privateKey);
    const publicKey = Uint8Array.from(atob(/** @type {string} */ (x).replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return new HpkePrivateKey(mlKem768.keygen(seed), privateKey, publicKey);
  }

  /** Open what was sealed to this key for `info`, or throw `OpenFailed`. @param {Uint8Array} sealed @param {Uint8Array} info */
  async open(sealed, info) {
    if (sealed.length < ENCAPSULATION_BYTES + 16) throw new OpenFailed('too short');
    const shared = await this.#decapsulate(sealed.subarray(0, ENCAPSULATION_BYTES));
    const { key, nonce } = await keySchedule(shared, info);
    try {
      const opened = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, key, sealed.subarray(ENCAPSULATION_BYTES));
      return new Uint8Array(opened);
    } catch {
      throw new OpenFailed('not sealed to this key for this purpose');
    }
  }

  async #decapsulate(/** @type {Uint8Array} */ encapsulation) {
    const share = encapsulation.slice(MLKEM_CIPHERTEXT_BYTES);
    const postQuantum = mlKem768.decapsulate(encapsulation.slice(0, MLKEM_CIPHERTEXT_BYTES), this.#mlkemSecret);
    let classical;
    try {
      const publicKey = await crypto.subtle.importKey('raw', share, X25519, false, []);
      classical = new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: publicKey }, this.#x25519Private, 256));
    } catch (error) {
      if (/** @type {Error} */ (error).name === 'NotSupportedError') throw error;
      throw new OpenFailed('an X25519 share of small order');
    }
    return sha3(concat(postQuantum, classical, share, this.#x25519Public, COMBINER_LABEL));
  }
}

/** RFC 9180 section 5.1, mode base without a key shared before. @param {Uint8Array} shared @param {Uint8Array} info */
async function keySchedule(shared, info) {
  const none = new Uint8Array();
  const context = concat(
    Uint8Array.of(0),
    await labeledExtract(none, 'psk_id_hash', none),
    await labeledExtract(none, 'info_hash', info),
  );
  const secret = await labeledExtract(shared, 'secret', none);
  const key = await labeledExpand(secret, 'key', context, 32);
  return {
    key: await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']),
    nonce: await labeledExpand(secret, 'base_nonce', context, 12),
  };
}

const labeledExtract = (/** @type {Uint8Array} */ salt, /** @type {string} */ label, /** @type {Uint8Array} */ material) =>
  hmac(salt.length ? salt : new Uint8Array(32), concat(VERSION, SUITE_ID, utf8(label), material));

async function labeledExpand(/** @type {Uint8Array} */ secret, /** @type {string} */ label, /** @type {Uint8Array} */ context, /** @type {number} */ length) {
  const info = concat(Uint8Array.of(length >> 8, length & 0xff), VERSION, SUITE_ID, utf8(label), context, Uint8Array.of(1));
  return (await hmac(secret, info)).slice(0, length); // no output here is longer than one block of SHA-256
}

async function hmac(/** @type {Uint8Array} */ key, /** @type {Uint8Array} */ message) {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, message));
}
