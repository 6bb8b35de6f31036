/** Steps 4 and 5: TCB info and QE identity, that they are the manufacturer's, in time, and for this platform. */
import { equal, hex } from '../base/bytes.js';
import { quoted } from './inquiry.js';

/** @typedef {import('./chains.js').Chain} Chain */
/** @typedef {import('./inquiry.js').Inquiry} Inquiry */

/** Step 4: signature over the served bytes, dates, SGX, and the platform's FMSPC and PCEID. @param {Inquiry} inquiry @param {import('../formats/tcb-info.js').TcbInfo} info @param {{body: Uint8Array, signature: Uint8Array, chain?: Chain, platform?: import('../formats/pck-extension.js').PckExtension}} parts */
export async function judgeTcbInfo(inquiry, info, { body, signature, chain, platform }) {
  if (chain) {
    const signed = await inquiry.rawSignature(chain.leaf, body, signature);
    inquiry.require(signed, 'signature', '4.1', 'the TCB info is not signed by its issuer');
  }
  inquiry.inTime('4.2', 'the TCB info', info.issueDate, info.nextUpdate, { graced: true });
  inquiry.require(info.id === 'SGX', 'tcb-status', '4.3', 'the TCB info is not for SGX', { expected: 'SGX', actual: info.id });
  if (platform) {
    inquiry.require(equal(info.fmspc, platform.fmspc), 'platform', '4.4', 'the TCB info is for another kind of platform', {
      expected: `FMSPC ${hex(platform.fmspc)}`,
      actual: `FMSPC ${hex(info.fmspc)}`,
    });
    inquiry.require(equal(info.pceId, platform.pceId), 'platform', '4.5', 'the TCB info is for another PCE', {
      expected: `PCEID ${hex(platform.pceId)}`,
      actual: `PCEID ${hex(info.pceId)}`,
    });
  }
}

/** Step 5: signature over the served bytes, dates, and that it is of the quoting enclave of SGX. @param {Inquiry} inquiry @param {import('../formats/tcb-info.js').QeIdentity} identity @param {{body: Uint8Array, signature: Uint8Array, chain?: Chain}} parts */
export async function judgeQeIdentity(inquiry, identity, { body, signature, chain }) {
  if (chain) {
    const signed = await inquiry.rawSignature(chain.leaf, body, signature);
    inquiry.require(signed, 'signature', '5.1', 'the QE identity is not signed by its issuer');
  }
  inquiry.inTime('5.2', 'the QE identity', identity.issueDate, identity.nextUpdate, { graced: true });
  inquiry.require(identity.id === 'QE', 'qe-identity', '5.3', 'the QE identity is of another enclave', {
    expected: 'QE',
    actual: quoted(identity.id),
  });
}
