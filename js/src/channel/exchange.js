/**
 * The client's side of the exchange: a hello, then a verdict. Nothing of the user exists here, and nothing is sent here.
 * Numbers are the steps of docs/spec/attested-channel.md.
 */
import { equal, fromHex, hex, sha256 } from '../base/bytes.js';
import { AppraisalRefused, finding, MalformedMessage } from '../base/errors.js';
import { readCollateral } from '../formats/collateral.js';
import { KIND } from '../verifier/appraisal.js';
import { attestPeer } from '../verifier/binding.js';
import { HpkePrivateKey, OpenFailed } from './hpke.js';
import { encodeHello, MAX_KNOWN_COLLATERAL, readAnswer, readCore, SUITE_1 } from './messages.js';
import { deriveKeys, hpkeInfo, SECRET_BYTES, transcriptHash } from './schedule.js';
import { ClientChannel } from './secure.js';

export const MAX_ELAPSED_SECONDS = 60;

/** On what terms a client talks; `deployment` is SHA-256 of the expected deployment key, or null. @typedef {{policy: import('../verifier/policy.js').Policy, deployment: Uint8Array | null, maxElapsedSeconds: number}} Terms */
/** A verdict and the channel that it is about. One cannot be had without the other. @typedef {{verdict: import('../verifier/binding.js').Verdict, channel: ClientChannel, collateral: Uint8Array}} AttestedChannel */

/** One exchange: send `hello`, give the answer to `finish`. Good for one answer only. */
export class ClientExchange {
  /** @type {HpkePrivateKey | undefined} */
  #key;
  #terms;
  #collateral;
  #memo;

  /** @param {Terms} terms @param {HpkePrivateKey} key @param {Uint8Array} hello @param {Map<string, Uint8Array>} collateral @param {import('../verifier/memo.js').Memo | undefined} memo */
  constructor(terms, key, hello, collateral, memo) {
    this.#terms = terms;
    this.#key = key;
    this.#collateral = collateral;
    this.#memo = memo;
    this.hello = hello;
  }

  /**
   * @param {Terms} terms
   * @param {{collateral?: Map<string, Uint8Array>, memo?: import('../verifier/memo.js').Memo}} [known] Collateral held
   *   already, by its SHA-256 in hexadecimal; `memo` spares repeated work of the verifier.
   */
  static async begin(terms, { collateral = new Map(), memo } = {}) {
    const key = await HpkePrivateKey.generate();
    const held = [...collateral.keys()].slice(-MAX_KNOWN_COLLATERAL).map((digest) => /** @type {Uint8Array} */ (fromHex(digest)));
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    const hello = encodeHello({ deployment: terms.deployment, nonce, kemKey: key.publicKey, knownCollateral: held });
    return new ClientExchange(terms, key, hello, new Map(collateral), memo);
  }

  /**
   * Judge the answer. Throws a `Malformed` error for bytes that are no answer, `AppraisalRefused` with every finding for
   * one that does not prove what the terms demand.
   * @param {Uint8Array} answer @param {{elapsedSeconds: number, at: number}} when `at` in Unix milliseconds
   * @returns {Promise<AttestedChannel>}
   */
  async finish(answer, { elapsedSeconds, at }) {
    const key = this.#key;
    this.#key = undefined;
    if (key === undefined) throw new Error('this exchange has had its answer');
    const parsed = readAnswer(answer);
    const core = readCore(parsed.core);
    if (core.suite !== SUITE_1 || core.evidence !== KIND) throw malformed('the answer chose something that was not offered');
    const keys = await this.#keys(key, parsed, core);
    const collateral = await this.#stapled(parsed, core);
    const proof = {
      claims: parsed.claims,
      claimsSignature: parsed.claimsSignature,
      instanceCertificate: parsed.instanceCertificate,
      deploymentKey: core.deploymentKey,
      index: parsed.index,
      path: parsed.path,
      binder: keys.serverBinder,
      session: keys.transcript,
      elapsedSeconds,
    };
    const verdict = await attestPeer(parsed.evidence, readCollateral(collateral), this.#terms.policy, proof, {
      expectedDeployment: this.#terms.deployment,
      maxElapsedSeconds: this.#terms.maxElapsedSeconds,
      at,
      memo: this.#memo,
    });
    return { verdict, channel: await ClientChannel.open(keys), collateral };
  }

  /** Open the secret and check that the other end derived the same keys from the same transcript. @param {HpkePrivateKey} key @param {import('./messages.js').ServerAnswer} answer @param {import('./messages.js').AnswerCore} core */
  async #keys(key, answer, core) {
    let secret;
    try {
      secret = await key.open(core.sealedSecret, await hpkeInfo(this.hello));
    } catch (error) {
      if (error instanceof OpenFailed) throw notForUs('the secret was not sealed for this hello');
      throw error;
    }
    if (secret.length !== SECRET_BYTES) throw malformed('the sealed secret has a wrong length');
    const keys = await deriveKeys(secret, await transcriptHash(this.hello, answer.core));
    if (!equal(keys.serverConfirmation, answer.confirmation)) throw notForUs('the other end saw another exchange');
    return keys;
  }

  /** The collateral: stapled, or the copy that the hello said we hold. @param {import('./messages.js').ServerAnswer} answer @param {import('./messages.js').AnswerCore} core */
  async #stapled(answer, core) {
    const collateral = answer.collateral ?? this.#collateral.get(hex(core.collateralDigest));
    if (collateral === undefined) throw malformed('collateral is neither stapled nor known');
    if (!equal(await sha256(collateral), core.collateralDigest)) throw malformed('collateral is not the one announced');
    return collateral;
  }
}

const malformed = (/** @type {string} */ rule) => new MalformedMessage(rule, { path: 'answer' });

const notForUs = (/** @type {string} */ message) => new AppraisalRefused([finding('key-binding', 'attested-channel 3', message)]);
