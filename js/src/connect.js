/**
 * `fetch` inside an attested channel.
 *
 *     const peer = await connect('https://store.example', { policy, deployment });
 *     const response = await peer.fetch('/v1/vault/fetch', { method: 'POST', body });
 *
 * Nothing but the hello is sent before the verdict, and without a verdict nothing is sent at all.
 */
import { ascii, fromHex, hex, sha256, utf8 } from './base/bytes.js';
import { ChannelRefused, MalformedMessage, Misconfigured, StoreUnreachable } from './base/errors.js';
import { encodeRequest, MAX_MESSAGE_BYTES, readResponse } from './channel/bhttp.js';
import { ClientExchange, MAX_ELAPSED_SECONDS } from './channel/exchange.js';
import { MAX_ANSWER_BYTES } from './channel/messages.js';
import { Memo } from './verifier/memo.js';
import { readPolicy } from './verifier/policy.js';

const EXCHANGE_PATH = '/strongroom/v1/exchange';
const MESSAGE_PATH = '/strongroom/v1/message';
const CONTENT_TYPE = 'application/vnd.strongroom.channel';
const CHANNEL_MS = 30 * 60 * 1000; // below the server's own limit, so that a channel rarely ends under a request
const MAX_COLLATERAL_KEPT = 4;
const MAX_ERROR_BYTES = 4096;
const MAX_RETRY_SECONDS = 3600; // a stranger's wish to be left alone is heard, within reason
const HOP_HEADERS = new Set(['connection', 'host', 'transfer-encoding', 'accept-encoding', 'content-length']);
const WITHOUT_BODY = new Set([204, 205, 304]);

/**
 * @typedef {object} ConnectTerms
 * @property {unknown} policy The settings of a policy file, as an object; see `readPolicy`.
 * @property {Uint8Array | string | null} deployment SHA-256 of the deployment key, 32 bytes or hexadecimal. `null` takes
 *   the first deployment that the policy's measurements allow, and pins it for the life of the peer.
 * @property {number} [maxElapsedSeconds] From hello to answer; 60 unless set.
 */

/**
 * @typedef {object} ConnectOptions
 * @property {typeof fetch} [fetch] What carries the sealed messages.
 * @property {() => number} [now] Unix milliseconds.
 * @property {() => number} [monotonic] Milliseconds that never go backwards.
 * @property {number} [timeoutMs] For one sealed message; 30 seconds unless set.
 */

/**
 * Attest the service at a URL and give the peer. Throws `AppraisalRefused` with every finding, a `Malformed` error,
 * `StoreUnreachable`, or `Misconfigured`.
 * @param {string} url @param {ConnectTerms} terms @param {ConnectOptions} [options]
 */
export async function connect(url, terms, options = {}) {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Misconfigured('Web Crypto is missing', { hint: 'serve the page over https, or from localhost' });
  }
  const { policy, deployment, maxElapsedSeconds = MAX_ELAPSED_SECONDS, ...surplus } = terms;
  if (Object.keys(surplus).length) throw new Misconfigured('an unknown term', { setting: Object.keys(surplus)[0] });
  if (!(maxElapsedSeconds > 0)) throw new Misconfigured('not a number of seconds', { setting: 'maxElapsedSeconds' });
  const peer = new AttestedPeer(addressOf(url), { policy: await readPolicy(policy), deployment: pinned(deployment), maxElapsedSeconds }, options);
  await peer.attest();
  return peer;
}

/** An attested service. `connect` makes one. */
class AttestedPeer {
  #base;
  #terms;
  #fetch;
  #now;
  #monotonic;
  #timeoutMs;
  #memo = new Memo();
  /** @type {Map<string, Uint8Array>} */
  #collateral = new Map();
  /** @type {Promise<import('./channel/exchange.js').AttestedChannel & {opened: number}> | undefined} */
  #live;

  /** @param {URL} base @param {import('./channel/exchange.js').Terms} terms @param {ConnectOptions} options */
  constructor(base, terms, { fetch = globalThis.fetch, now = Date.now, monotonic = () => performance.now(), timeoutMs = 30_000 }) {
    this.#base = base;
    this.#terms = terms;
    this.#fetch = fetch;
    this.#now = now;
    this.#monotonic = monotonic;
    this.#timeoutMs = timeoutMs;
    /** @type {import('./verifier/binding.js').Verdict | undefined} What the last attestation found. */
    this.verdict = undefined;
  }

  /** Make the exchange if there is no live channel; gives the verdict. */
  async attest() {
    return (await this.#channel()).verdict;
  }

  /**
   * Send one request inside the channel, as `fetch` does: a path (or a Request or URL of this service) and its init.
   *
   * After a restart of the service it attests again and sends the request once more. A service that does not know the
   * channel has not opened the request; but somebody in the middle can say so too and have a request served twice, each
   * time in a channel of its own. What must not happen twice, the application has to see to.
   * @param {string | URL | Request} input @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const request = new Request(input instanceof Request ? input : new URL(input, this.#base), init);
    const url = new URL(request.url);
    if (url.origin !== this.#base.origin) throw new TypeError('the request is for another service than the attested one');
    const plaintext = encodeRequest({
      method: utf8(request.method),
      scheme: utf8('https'),
      authority: utf8(url.host),
      path: utf8(url.pathname + url.search),
      headers: [...request.headers].filter(([name]) => !HOP_HEADERS.has(name)).map(([name, value]) => [utf8(name), latin1(value)]),
      content: new Uint8Array(await request.arrayBuffer()),
    });
    if (plaintext.length > MAX_MESSAGE_BYTES) throw new MalformedMessage(`more than ${MAX_MESSAGE_BYTES} bytes`, { path: 'request' });
    const live = await this.#channel();
    try {
      return await this.#send(live, plaintext, request.signal);
    } catch (error) {
      if (!(error instanceof ChannelRefused)) throw error;
      await this.#forget(live);
      return this.#send(await this.#channel(), plaintext, request.signal);
    }
  }

  /** Forget the channel's keys. A further request attests anew. */
  close() {
    this.#live = undefined;
  }

  async #channel() {
    for (;;) {
      const pending = (this.#live ??= this.#exchange());
      let live;
      try {
        live = await pending;
      } catch (error) {
        if (this.#live === pending) this.#live = undefined;
        throw error;
      }
      const stale = this.#monotonic() - live.opened > CHANNEL_MS || this.#now() >= live.verdict.expiresAt;
      if (!stale) return live;
      if (this.#live === pending) this.#live = undefined;
    }
  }

  async #forget(/** @type {object} */ live) {
    const pending = this.#live;
    if (pending && (await pending.catch(() => undefined)) === live && this.#live === pending) this.#live = undefined;
  }

  async #exchange() {
    const exchange = await ClientExchange.begin(this.#terms, { collateral: this.#collateral, memo: this.#memo });
    const started = this.#monotonic();
    const answer = await this.#post(EXCHANGE_PATH, exchange.hello, MAX_ANSWER_BYTES);
    const opened = this.#monotonic();
    const attested = await exchange.finish(answer, { elapsedSeconds: (opened - started) / 1000, at: this.#now() });
    this.#collateral.set(hex(await sha256(attested.collateral)), attested.collateral);
    for (const digest of this.#collateral.keys()) if (this.#collateral.size > MAX_COLLATERAL_KEPT) this.#collateral.delete(digest);
    this.#terms = { ...this.#terms, deployment: attested.verdict.deployment };
    this.verdict = attested.verdict;
    return { ...attested, opened };
  }

  async #send(/** @type {import('./channel/exchange.js').AttestedChannel} */ { channel }, /** @type {Uint8Array} */ plaintext, /** @type {AbortSignal} */ signal) {
    const { number, message } = await channel.sealRequest(plaintext);
    const answer = await this.#post(MESSAGE_PATH, message, MAX_MESSAGE_BYTES + 64, signal);
    return asResponse(readResponse(await channel.openAnswer(answer, number)));
  }

  /** Post bytes, and map whatever the network or a stranger on the way does to our own families. @param {string} path @param {Uint8Array} content @param {number} limit @param {AbortSignal} [signal] */
  async #post(path, content, limit, signal) {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const url = new URL(this.#base.pathname.replace(/\/$/, '') + path, this.#base);
    let response;
    let body;
    try {
      response = await this.#fetch.call(globalThis, url, {
        method: 'POST',
        ...bodyOf(content),
        headers: { 'content-type': CONTENT_TYPE },
        // what a page is to its own server (cookies, address, cache) is nothing that this exchange needs
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        cache: 'no-store',
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      body = await readBody(response, response.status === 200 ? limit : MAX_ERROR_BYTES);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof MalformedMessage) throw error;
      throw new StoreUnreachable('cannot reach the service', { cause: error });
    }
    if (response.status === 200) return body;
    throw refusal(response, body);
  }
}

/**
 * Node repeats by itself a request that was answered 421, with a body that it has read already, and then reports an error
 * of its own making (nodejs/undici issue 2898); not so with a stream. Browsers in turn send no streams over HTTP/1.1.
 * @param {Uint8Array} content @returns {RequestInit}
 */
function bodyOf(content) {
  if (/** @type {any} */ (globalThis).process?.versions?.node === undefined) return { body: /** @type {BufferSource} */ (content) };
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(content);
      controller.close();
    },
  });
  return /** @type {RequestInit} */ ({ body, duplex: 'half' });
}

/** Read a body, giving up as soon as it is too large: whoever answers may not fill our memory. @param {Response} response @param {number} limit */
async function readBody(response, limit) {
  if (response.body === null) return new Uint8Array();
  const reader = response.body.getReader();
  const chunks = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      reader.cancel().catch(() => {});
      throw new MalformedMessage(`more than ${limit} bytes`, { path: 'answer' });
    }
    chunks.push(value);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** An error from outside the channel. It is unauthenticated: it can stop us and nothing else. @param {Response} response @param {Uint8Array} body */
function refusal(response, body) {
  let [code, message] = ['', ''];
  try {
    const parsed = JSON.parse(new TextDecoder().decode(body));
    [code, message] = [String(parsed.error ?? ''), String(parsed.message ?? '').slice(0, 200)];
  } catch {
    // not ours, then
  }
  message = message.replace(/[^ -~]/g, '?'); // a stranger's sentence may end up on a terminal
  if (response.status === 421 && code === 'channel-unknown') return new ChannelRefused(message || 'the service does not know the channel');
  if (response.status === 400 && code === 'malformed-message') return new MalformedMessage(message, { path: 'service' });
  const after = response.headers.get('retry-after') ?? '';
  const retryAfterSeconds = /^[0-9]{1,9}$/.test(after) ? Math.min(Number(after), MAX_RETRY_SECONDS) : undefined;
  return new StoreUnreachable(`the service answered with status ${response.status}${message ? `: ${message}` : ''}`, { retryAfterSeconds });
}

/** Headers that a page may not see in any response (Set-Cookie) are dropped by the browser here too. @param {import('./channel/bhttp.js').BinaryResponse} response */
function asResponse({ status, headers, content }) {
  try {
    const list = new Headers(headers.map(([name, value]) => [ascii(name), ascii(value)]));
    return new Response(WITHOUT_BODY.has(status) ? null : content, { status, headers: list });
  } catch {
    throw new MalformedMessage('a header that is none', { path: 'response' });
  }
}

/** A header's value is bytes, each a character up to U+00FF. */
const latin1 = (/** @type {string} */ text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function addressOf(/** @type {string} */ url) {
  let base;
  try {
    base = new URL(url);
  } catch {
    base = undefined;
  }
  if (base === undefined || !['http:', 'https:'].includes(base.protocol) || base.username || base.password) {
    throw new Misconfigured("the service's address is not an http or https URL", { setting: 'url' });
  }
  return base;
}

function pinned(/** @type {unknown} */ deployment) {
  if (deployment === null) return null; // by name: leaving it out is a mistake, not a choice
  const bytes = typeof deployment === 'string' ? fromHex(deployment) : deployment;
  if (!(bytes instanceof Uint8Array) || bytes.length !== 32) throw new Misconfigured('not 32 bytes, or null', { setting: 'deployment' });
  return bytes;
}
