/**
 * Appraisal of SGX quotes of version 3: bytes, collateral, policy and an instant in; a result or all objections out.
 *
 * The steps and their numbers are those of docs/spec/appraisal.md; they run in one pass and none is skipped because
 * another failed. `assess` runs sections 1 to 7, which need no policy; `appraise` adds section 8. Neither proves that
 * evidence is fresh or belongs to a session: that is `binding.js`.
 */
import { equal, hex } from '../base/bytes.js';
import { AppraisalRefused, MalformedCollateral, MalformedQuote } from '../base/errors.js';
import { PCK_EXTENSION_OID, readPckExtension } from '../formats/pck-extension.js';
import { PCK_CERTIFICATE_CHAIN, readQuote } from '../formats/sgx-quote.js';
import { readQeIdentity, readTcbInfo } from '../formats/tcb-info.js';
import { readCertificate, readRevocationList, splitPem } from '../formats/x509.js';
import { judgeChain, judgeOneRoot, PCK, PCK_CRL, QE_IDENTITY, TCB_INFO } from './chains.js';
import { judgeQeIdentity, judgeTcbInfo } from './documents.js';
import { Inquiry } from './inquiry.js';
import { Memo } from './memo.js';
import { judgeQuote, judgeQuotingEnclave } from './quoting-enclave.js';
import { judgeRevocation } from './revocation.js';
import { judgePolicy } from './rules.js';
import { converge, platformLevel, shortfalls } from './tcb.js';

/** @typedef {import('../formats/collateral.js').Collateral} Collateral */
/** @typedef {import('../formats/pck-extension.js').PckExtension} PckExtension */
/** @typedef {import('../formats/sgx-quote.js').SgxReport} Claims */
/** @typedef {import('./policy.js').Policy} Policy */
/** @typedef {import('./policy.js').Anchor} Anchor */

/** An advisory and where it came from: `platform` (TCB info), `quoting enclave` (QE identity), or both. @typedef {{id: string, sources: string[]}} Advisory */

/**
 * The TCB status and what it was made of. `date` is the older of the matched levels' dates.
 * @typedef {{status: string, platformStatus: string, quotingEnclaveStatus: string, date: number, advisories: Advisory[], shortfalls: string[]}} TcbFacts
 */

/** The collateral's numbers and dates; `expiresAt` is the earliest end of anything used. @typedef {{tcbEvaluationDataNumber: number, rootCrlNumber: string | undefined, pckCrlNumber: string | undefined, earliestIssue: number, latestIssue: number, expiresAt: number}} CollateralFacts */

/**
 * Everything that can be judged without a policy, and all objections. It admits nobody.
 * @typedef {object} Assessment
 * @property {string} kind
 * @property {Claims} claims The enclave's report.
 * @property {readonly import('../base/errors.js').Finding[]} findings
 * @property {TcbFacts | undefined} tcb
 * @property {PckExtension | undefined} platform
 * @property {CollateralFacts} collateral
 * @property {string | undefined} anchor
 * @property {boolean} simulated
 * @property {number} appraisedAt Unix milliseconds.
 */

/**
 * Evidence that a policy accepted. `confessions` names every leniency that the policy used.
 * @typedef {Assessment & {tcb: TcbFacts, platform: PckExtension, anchor: string, policyDigest: Uint8Array, confessions: readonly string[]}} AttestationResult
 */

export const KIND = 'sgx-dcap-3';

/**
 * Judge evidence under a policy at an instant (Unix milliseconds). `memo` spares what was done before and changes no
 * verdict. Throws `AppraisalRefused` with every finding, `MalformedQuote`, `MalformedCollateral`.
 * @param {Uint8Array} evidence @param {Collateral} collateral @param {Policy} policy @param {{at: number, memo?: Memo}} options
 * @returns {Promise<AttestationResult>}
 */
export async function appraise(evidence, collateral, policy, { at, memo = new Memo() }) {
  const inquiry = new Inquiry({ anchors: policy.anchors, memo, at, graceMs: policy.expiredCollateralGraceMs });
  const { assessment, issueDates } = await judgeEvidence(inquiry, evidence, collateral);
  judgePolicy(inquiry, policy, assessment, issueDates);
  if (inquiry.findings.length) throw new AppraisalRefused(inquiry.findings);
  const { tcb, platform, anchor } = assessment;
  if (!tcb || !platform || anchor === undefined) throw new Error('no finding, and yet something was not found out');
  return Object.freeze({
    ...assessment,
    tcb,
    platform,
    anchor,
    collateral: Object.freeze({ ...assessment.collateral, expiresAt: Math.min(...inquiry.ends) }),
    policyDigest: policy.digest,
    confessions: Object.freeze([...inquiry.confessions]),
  });
}

/**
 * Judge what needs no policy, at an instant. Throws `MalformedQuote` and `MalformedCollateral` only.
 * @param {Uint8Array} evidence @param {Collateral} collateral @param {readonly Anchor[]} anchors @param {{at: number, memo?: Memo}} options
 * @returns {Promise<Assessment>}
 */
export async function assess(evidence, collateral, anchors, { at, memo = new Memo() }) {
  const inquiry = new Inquiry({ anchors, memo, at, graceMs: 0 });
  return (await judgeEvidence(inquiry, evidence, collateral)).assessment;
}

async function judgeEvidence(/** @type {Inquiry} */ inquiry, /** @type {Uint8Array} */ evidence, /** @type {Collateral} */ collateral) {
  const { memo } = inquiry;
  const quote = readQuote(evidence);
  const info = memo.parsed(readTcbInfo, collateral.tcb_info);
  const identity = memo.parsed(readQeIdentity, collateral.qe_identity);
  const rootCrl = memo.parsed(readRootCrl, collateral.root_ca_crl);
  const pckCrl = memo.parsed(readPckCrl, collateral.pck_crl);

  const pck = await pckChain(inquiry, quote);
  const pckCrlChain = await judgeChain(inquiry, readChain(memo, collateral.pck_crl_issuer_chain, 'collateral.pck_crl_issuer_chain'), PCK_CRL);
  const tcbChain = await judgeChain(inquiry, readChain(memo, collateral.tcb_info_issuer_chain, 'collateral.tcb_info_issuer_chain'), TCB_INFO);
  const qeChain = await judgeChain(inquiry, readChain(memo, collateral.qe_identity_issuer_chain, 'collateral.qe_identity_issuer_chain'), QE_IDENTITY);
  judgeOneRoot(inquiry, [pck, pckCrlChain, tcbChain, qeChain]);
  const platform = platformOf(inquiry, pck);

  await judgeRevocation(inquiry, { rootCrl, pckCrl, pck, pckCrlChain, others: [tcbChain, qeChain] });
  await judgeTcbInfo(inquiry, info, { body: collateral.tcb_info, signature: collateral.tcb_info_signature, chain: tcbChain, platform });
  await judgeQeIdentity(inquiry, identity, { body: collateral.qe_identity, signature: collateral.qe_identity_signature, chain: qeChain });
  await judgeQuote(inquiry, quote, pck);
  const qeLevel = judgeQuotingEnclave(inquiry, quote, identity);
  const tcb = judgeTcb(inquiry, info, platform, qeLevel);

  const issueDates = { 'the TCB info': info.issueDate, 'the QE identity': identity.issueDate, 'the PCK CRL': pckCrl.thisUpdate };
  const issued = Object.values(issueDates);
  /** @type {Assessment} */
  const assessment = Object.freeze({
    kind: KIND,
    claims: quote.report,
    findings: Object.freeze([...inquiry.findings]),
    tcb,
    platform,
    collateral: Object.freeze({
      tcbEvaluationDataNumber: Math.min(info.tcbEvaluationDataNumber, identity.tcbEvaluationDataNumber),
      rootCrlNumber: rootCrl.number,
      pckCrlNumber: pckCrl.number,
      earliestIssue: Math.min(...issued),
      latestIssue: Math.max(...issued),
      expiresAt: Math.min(...inquiry.ends),
    }),
    anchor: pck?.anchor?.name,
    simulated: pck?.anchor?.simulated ?? false,
    appraisedAt: inquiry.at,
  });
  return { assessment, issueDates };
}

/** Steps 1.2 and 2: the chain inside the quote. @param {Inquiry} inquiry @param {import('../formats/sgx-quote.js').SgxQuote} quote */
async function pckChain(inquiry, quote) {
  const carried = inquiry.require(
    quote.certificationDataType === PCK_CERTIFICATE_CHAIN,
    'chain',
    '1.2',
    'the quote does not carry its PCK certificate chain',
    { expected: `certification data type ${PCK_CERTIFICATE_CHAIN}`, actual: String(quote.certificationDataType) },
  );
  if (!carried) return undefined;
  const certificates = asQuote(() => readChain(inquiry.memo, quote.certificationData, 'quote.certification'));
  return judgeChain(inquiry, certificates, PCK);
}

/** Steps 2.10 and 7.1: the platform by its PCK certificate, whose two accounts of its versions must agree. @param {Inquiry} inquiry @param {import('./chains.js').Chain | undefined} pck */
function platformOf(inquiry, pck) {
  if (!pck) return undefined;
  const value = pck.leaf.extensions.get(PCK_EXTENSION_OID);
  if (!inquiry.require(value !== undefined, 'platform', '2.10', 'the PCK certificate does not name its platform')) return undefined;
  const platform = asQuote(() => inquiry.memo.parsed(readPckExtension, /** @type {Uint8Array} */ (value)));
  const components = Uint8Array.from(platform.components);
  inquiry.require(equal(components, platform.cpuSvn), 'platform', '7.1', "the PCK certificate's components differ from its CPUSVN", {
    expected: hex(components),
    actual: hex(platform.cpuSvn),
  });
  return platform;
}

/** Steps 7.2 to 7.5: the platform's level, the converged status, advisories with sources, the oldest date. @param {Inquiry} inquiry @param {import('../formats/tcb-info.js').TcbInfo} info @param {PckExtension | undefined} platform @param {import('../formats/tcb-info.js').IsvSvnLevel | undefined} qeLevel @returns {TcbFacts | undefined} */
function judgeTcb(inquiry, info, platform, qeLevel) {
  if (!platform || info.id !== 'SGX') return undefined; // steps 2.10 and 4.3 have objected
  const level = platformLevel(info.levels, platform);
  inquiry.require(level !== undefined, 'tcb-status', '7.2', 'the platform lies below every TCB level');
  inquiry.require(level?.status !== 'Revoked', 'tcb-status', '7.4', "the platform's TCB level is revoked");
  if (!level || !qeLevel) return undefined;
  const sources = /** @type {[string, string[]][]} */ ([['platform', level.advisoryIds], ['quoting enclave', qeLevel.advisoryIds]]);
  const ids = [...new Set(sources.flatMap(([, advisories]) => advisories))].sort();
  return Object.freeze({
    status: converge(level.status, qeLevel.status),
    platformStatus: level.status,
    quotingEnclaveStatus: qeLevel.status,
    date: Math.min(level.tcbDate, qeLevel.tcbDate),
    advisories: ids.map((id) => ({ id, sources: sources.filter(([, of]) => of.includes(id)).map(([name]) => name) })),
    shortfalls: level.status === 'UpToDate' ? [] : shortfalls(info.levels, platform),
  });
}

// Readers by the part of the collateral they read, so that an error names it; pure functions of bytes, as Memo wants.

const readRootCrl = (/** @type {Uint8Array} */ data) => readRevocationList(data, 'collateral.root_ca_crl');
const readPckCrl = (/** @type {Uint8Array} */ data) => readRevocationList(data, 'collateral.pck_crl');
const readOne = (/** @type {Uint8Array} */ data) => readCertificate(data);

/** Certificates are remembered one by one: a root stands in four chains. @param {Memo} memo @param {Uint8Array} data @param {string} path */
const readChain = (memo, data, path) => splitPem(data, path).map((part) => memo.parsed(readOne, part));

/** What is malformed inside a quote is a malformed quote. @template T @param {() => T} read */
function asQuote(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedCollateral) throw new MalformedQuote(error.message, { path: 'quote.certification' });
    throw error;
  }
}
