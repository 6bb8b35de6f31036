/**
 * The channel after the exchange: numbered requests, and answers that name the request they answer.
 *
 * A request is `channel id (16) | number (8, big-endian) | box`; an answer is `number (8) | box`. Both boxes are
 * AES-256-GCM under a key of their direction, with the message's number as nonce. The associated data of an answer holds
 * the number of its request, so an answer shown for another request does not open (docs/spec/attested-channel.md 7).
 */
import { concat, u64, utf8 } from '../base/bytes.js';
import { MalformedMessage } from '../base/errors.js';
import { ReplayWindow } from './replay.js';

const NUMBER_BYTES = 8;
const TAG_BYTES = 16;
const REQUEST = utf8('strongroom v1 request');
const ANSWER = utf8('strongroom v1 answer');

const nonce = (/** @type {bigint} */ number) => concat(new Uint8Array(4), u64(number));

/** The client's end. */
export class ClientChannel {
  #id;
  #out;
  #in;
  #next = 0n;
  #window = new ReplayWindow();

  /** @param {Uint8Array} id @param {CryptoKey} outgoing @param {CryptoKey} incoming */
  constructor(id, outgoing, incoming) {
    this.#id = id;
    this.#out = outgoing;
    this.#in = incoming;
  }

  /** @param {import('./schedule.js').KeySchedule} keys */
  static async open(keys) {
    const outgoing = await crypto.subtle.importKey('raw', keys.clientToServer, 'AES-GCM', false, ['encrypt']);
    const incoming = await crypto.subtle.importKey('raw', keys.serverToClient, 'AES-GCM', false, ['decrypt']);
    return new ClientChannel(keys.channelId, outgoing, incoming);
  }

  /** Seal a request; gives its number, which its answer needs, and the message to send. @param {Uint8Array} plaintext */
  async sealRequest(plaintext) {
    const number = this.#next; // taken before anything is awaited: a number used twice would be the end of GCM
    this.#next += 1n;
    const parameters = { name: 'AES-GCM', iv: nonce(number), additionalData: concat(REQUEST, this.#id) };
    const box = new Uint8Array(await crypto.subtle.encrypt(parameters, this.#out, plaintext));
    return { number, message: concat(this.#id, u64(number), box) };
  }

  /** Open the answer to one request, or throw `MalformedMessage`. @param {Uint8Array} message @param {bigint} requestNumber */
  async openAnswer(message, requestNumber) {
    if (message.length < NUMBER_BYTES + TAG_BYTES) throw malformed('too short to be sealed');
    const number = new DataView(message.buffer, message.byteOffset).getBigUint64(0);
    if (!this.#window.mayAccept(number)) throw malformed('replayed, or too old to tell');
    const parameters = { name: 'AES-GCM', iv: nonce(number), additionalData: concat(ANSWER, this.#id, u64(requestNumber)) };
    let plaintext;
    try {
      plaintext = new Uint8Array(await crypto.subtle.decrypt(parameters, this.#in, message.subarray(NUMBER_BYTES)));
    } catch {
      throw malformed('not sealed by the other end of this channel');
    }
    // asked again: the same message may have been opened beside this one meanwhile
    if (!this.#window.mayAccept(number)) throw malformed('replayed, or too old to tell');
    this.#window.accept(number);
    return plaintext;
  }
}

const malformed = (/** @type {string} */ rule) => new MalformedMessage(rule, { path: 'answer' });
