/** Captured quotes of real platforms with their known verdicts, and what is refused, each by its finding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, utf8 } from '../src/base/bytes.js';
import { AppraisalRefused, Malformed, MalformedCollateral, MalformedQuote } from '../src/base/errors.js';
import { readCollateral } from '../src/formats/collateral.js';
import { readQuote } from '../src/formats/sgx-quote.js';
import { crlDer, readCertificate, readRevocationList, splitPem } from '../src/formats/x509.js';
import { appraise, assess } from '../src/verifier/appraisal.js';
import { Memo } from '../src/verifier/memo.js';
import { INTEL_SGX_ROOT, readPolicy, standingPolicy } from '../src/verifier/policy.js';
import { damaged, draws, read, readJson, verdicts } from '../testing/vectors.js';

const DAY = 86_400_000;
const named = (/** @type {{check: string, section: string}[]} */ findings) => findings.map((item) => `${item.check} ${item.section}`);
const open = (/** @type {import('../testing/vectors.js').KnownVerdict} */ verdict) => ({
  evidence: read(verdict.quote),
  collateral: readCollateral(read(verdict.collateral)),
  at: verdict.unix_time * 1000,
});

/** A policy for exactly this code, in the given states. @param {Uint8Array} mrEnclave @param {string[]} statuses @param {object} [changes] */
const policyFor = (mrEnclave, statuses, changes = {}) =>
  readPolicy({
    ...standingPolicy(mrEnclave),
    tcb: statuses.map((status) => ({ status, measurement: 'any', advisories: 'any', maximum_tcb_age_seconds: 'any' })),
    ...changes,
  });

async function objections(/** @type {Promise<unknown>} */ refused) {
  try {
    await refused;
  } catch (error) {
    if (error instanceof AppraisalRefused) return named([...error.findings]);
    throw error;
  }
  return [];
}

test('every captured quote gets its known verdict', async () => {
  assert.equal(verdicts.length, 57);
  for (const verdict of verdicts) {
    const { evidence, collateral, at } = open(verdict);
    const assessment = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at });
    assert.deepEqual(named([...assessment.findings]), [], verdict.quote);
    assert.equal(assessment.claims.debug, verdict.debug);
    assert.equal(assessment.tcb?.platformStatus, verdict.platform);
    assert.equal(assessment.tcb?.quotingEnclaveStatus, verdict.quoting_enclave);
    if (verdict.status !== undefined) {
      assert.equal(assessment.tcb?.status, verdict.status);
      assert.equal(assessment.tcb?.advisories.length, verdict.advisories);
    }
    assert.equal(assessment.anchor, 'Intel SGX Root CA');
    assert(!assessment.simulated);
  }
});

test('a policy for exactly this accepts it, and less refuses it by name', async () => {
  for (const verdict of verdicts) {
    const { evidence, collateral, at } = open(verdict);
    const { claims, tcb } = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at });
    const status = /** @type {string} */ (tcb?.status);
    const debug = { accept_debug_enclaves: verdict.debug };
    const result = await appraise(evidence, collateral, await policyFor(claims.mrEnclave, [status], debug), { at });
    assert.equal(result.tcb.status, status);
    assert.equal(result.confessions.length, verdict.debug ? 1 : 0);
    assert(result.collateral.expiresAt > at);
    const stricter = await policyFor(claims.mrEnclave, status === 'UpToDate' ? [] : ['UpToDate'], debug);
    assert.deepEqual(await objections(appraise(evidence, collateral, stricter, { at })), ['tcb-status appraisal 8.5']);
    const other = await policyFor(new Uint8Array(32), [status], debug);
    assert.deepEqual(await objections(appraise(evidence, collateral, other, { at })), ['measurement appraisal 8.3']);
    if (verdict.debug) {
      const refused = appraise(evidence, collateral, await policyFor(claims.mrEnclave, [status]), { at });
      assert.deepEqual(await objections(refused), ['debug appraisal 8.2']);
    }
  }
});

test('outside its window evidence is refused for its dates and nothing else', async () => {
  for (const verdict of verdicts.slice(0, 8)) {
    const { evidence, collateral, at } = open(verdict);
    for (const days of [-60, 60]) {
      const { findings } = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at: at + days * DAY });
      assert(findings.length);
      assert.deepEqual([...new Set(findings.map((item) => item.check))], ['expiry']);
    }
  }
});

test('step 8: each thing that a policy can say refuses by its own name', async () => {
  const verdict = /** @type {any} */ (verdicts.find((item) => (item.advisories ?? 0) > 0 && !item.debug));
  const { evidence, collateral, at } = open(verdict);
  const { claims, tcb, platform, collateral: facts } = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at });
  const status = /** @type {string} */ (tcb?.status);
  const refusals = async (/** @type {object} */ changes, later = 0) =>
    objections(appraise(evidence, collateral, await policyFor(claims.mrEnclave, [status], changes), { at: at + later }));
  const rule = { status, measurement: 'any', advisories: 'any', maximum_tcb_age_seconds: 'any' };
  const signer = { mr_signer: hex(claims.mrSigner), isv_prod_id: claims.isvProdId, minimum_isv_svn: claims.isvSvn };
  const bySigner = (/** @type {object} */ changes) => refusals({ mr_enclaves: [], signers: [{ ...signer, ...changes }] });

  assert.deepEqual(await refusals({}), []);
  assert.deepEqual(await refusals({ mr_enclaves: [] }), ['measurement appraisal 8.3']);
  assert.deepEqual(await bySigner({}), []);
  assert.deepEqual(await bySigner({ mr_signer: '00'.repeat(32) }), ['signer appraisal 8.4']);
  assert.deepEqual(await bySigner({ isv_prod_id: claims.isvProdId + 1 }), ['signer appraisal 8.4']);
  assert.deepEqual(await bySigner({ minimum_isv_svn: claims.isvSvn + 1 }), ['signer appraisal 8.4']);
  assert.deepEqual(await refusals({ tcb: [] }), ['tcb-status appraisal 8.5']);
  assert.deepEqual(await refusals({ tcb: [{ ...rule, measurement: '00'.repeat(32) }] }), ['tcb-status appraisal 8.5']);
  assert.deepEqual(await refusals({ tcb: [{ ...rule, advisories: [] }] }), ['advisory appraisal 8.6']);
  assert.deepEqual(await refusals({ tcb: [{ ...rule, advisories: tcb?.advisories.map((item) => item.id) }] }), []);
  assert.deepEqual(await refusals({ tcb: [{ ...rule, maximum_tcb_age_seconds: 0 }] }), ['tcb-status appraisal 8.15']);
  assert.deepEqual(await refusals({ tcb: [{ ...rule, maximum_tcb_age_seconds: 0 }, rule] }), []);
  assert.deepEqual(await refusals({ minimum_tcb_evaluation_data_number: facts.tcbEvaluationDataNumber + 1 }), ['freshness appraisal 8.7']);
  assert.deepEqual(new Set(await refusals({ maximum_collateral_age_seconds: 0 })), new Set(['freshness appraisal 8.8']));
  assert.deepEqual(await refusals({ platforms: [] }), ['platform appraisal 8.9']);
  assert.deepEqual(await refusals({ platforms: [hex(/** @type {any} */ (platform).ppid)] }), []);
  assert.deepEqual(await refusals({ anchors: [] }), ['chain appraisal 2.2']);
  for (const name of ['smt_enabled', 'dynamic_platform', 'cached_keys']) {
    const found = (await Promise.all([true, false].map((wanted) => refusals({ [name]: wanted })))).flat();
    assert.deepEqual([...new Set(found)], ['configuration appraisal 8.14'], name);
  }
});

test('a grace period is confessed, and does not touch certificates', async () => {
  const { evidence, collateral, at } = open(verdicts[0]);
  const { claims, tcb, collateral: facts } = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at });
  const late = facts.expiresAt + DAY;
  const changes = { expired_collateral_grace_seconds: 40 * 86_400, accept_debug_enclaves: true };
  const result = await appraise(evidence, collateral, await policyFor(claims.mrEnclave, [/** @type {any} */ (tcb).status], changes), { at: late });
  assert(result.confessions.some((text) => text.includes('grace period')));
  assert(result.collateral.expiresAt > late);
});

test('quotes without a chain, with broken signatures or a wrong root are refused by name', async () => {
  const { collateral, at } = open(verdicts[0]);
  const judged = async (/** @type {string} */ name) => {
    const assessment = await assess(read(name), collateral, [INTEL_SGX_ROOT], { at });
    return { findings: named([...assessment.findings]), assessment };
  };
  for (const name of [
    'sgx/confidential-computing.tee.dcap.qvl/quote-8cc428.quote.bin',
    'sgx/oasis-core/quote_v3_ecdsa_p256_eppid-72a05b.quote.bin',
    'sgx/sgx-ra-tls/quote-ppid-clear-d5cc62.quote.bin',
    'sgx/sgx-ra-tls/quote-ppid-rsa3072-c50cdd.quote.bin',
  ]) {
    const { findings, assessment } = await judged(name);
    assert(findings.includes('chain appraisal 1.2'));
    assert.equal(assessment.platform, undefined);
    assert.equal(assessment.tcb, undefined);
  }
  assert((await judged('sgx/openenclave/sgx_report_bad-2a49ce.quote.bin')).findings.some((item) => item.startsWith('signature')));
  const rsa = (await judged('sgx/openenclave/sgx_cert_rsa_bad-f4f274.quote.bin')).findings;
  assert(rsa.includes('chain appraisal 2.2') && rsa.includes('chain appraisal 2.6'));
  const name = (await judged('sgx/openenclave/sgx_cert_ec_bad-4e3f9f.quote.bin')).findings;
  assert(name.includes('chain appraisal 2.3') || name.includes('signature appraisal 2.3'));
});

test('collateral of another platform is refused', async () => {
  const one = /** @type {any} */ (verdicts.find((item) => item.collateral.includes('00606A')));
  const other = /** @type {any} */ (verdicts.find((item) => item.collateral.includes('00906ED5')));
  const { evidence, at } = open(one);
  const { findings } = await assess(evidence, open(other).collateral, [INTEL_SGX_ROOT], { at });
  assert(named([...findings]).includes('platform appraisal 4.4'));
});

test('each signed part refuses by its own step when a byte of it changes', async () => {
  const verdict = verdicts[0];
  const { evidence, at } = open(verdict);
  const set = JSON.parse(new TextDecoder().decode(read(verdict.collateral)));
  const judged = async (/** @type {object} */ changes, quote = evidence) => {
    const collateral = readCollateral(utf8(JSON.stringify({ ...set, ...changes })));
    return named([...(await assess(quote, collateral, [INTEL_SGX_ROOT], { at })).findings]);
  };
  const turned = (/** @type {string} */ text) => text.slice(0, -1) + (text.endsWith('0') ? '1' : '0');
  assert.deepEqual(await judged({}), []);
  assert.deepEqual(await judged({ tcb_info: ` ${set.tcb_info}` }), ['signature appraisal 4.1']);
  assert.deepEqual(await judged({ tcb_info_signature: turned(set.tcb_info_signature) }), ['signature appraisal 4.1']);
  assert.deepEqual(await judged({ qe_identity: `${set.qe_identity} ` }), ['signature appraisal 5.1']);
  assert.deepEqual(await judged({ pck_crl: turned(set.pck_crl) }), ['signature appraisal 3.2']);
  assert.deepEqual(await judged({ root_ca_crl: turned(set.root_ca_crl) }), ['signature appraisal 3.2']);
  assert.deepEqual(await judged({ tcb_info_signature: '00'.repeat(64) }), ['signature appraisal 4.1']);
  assert((await judged({ pck_crl: set.root_ca_crl })).includes('revocation appraisal 3.1'));
  assert((await judged({ tcb_info_issuer_chain: set.pck_crl_issuer_chain })).includes('chain appraisal 2.7'));
  const flipped = (/** @type {number} */ offset) => Uint8Array.from(evidence, (byte, i) => (i === offset ? byte ^ 1 : byte));
  assert.deepEqual(await judged({}, flipped(112)), ['signature appraisal 6.6'], 'MRENCLAVE');
  assert.deepEqual(await judged({}, flipped(436)), ['signature appraisal 6.6'], "the quote's signature");
  assert.deepEqual(await judged({}, flipped(500)), ['key-binding appraisal 6.2', 'signature appraisal 6.6'], 'the attestation key');
  assert.deepEqual(await judged({}, flipped(564)), ['signature appraisal 6.1'], "the QE's CPUSVN");
  assert.deepEqual(await judged({}, flipped(948)), ['signature appraisal 6.1'], "the QE report's signature");
  assert.deepEqual(await judged({}, flipped(1014)), ['key-binding appraisal 6.2'], "the QE's authentication data");
  assert.deepEqual(await judged({}, flipped(12)), ['signature appraisal 6.6', 'qe-identity appraisal 6.7'], 'the QE vendor');
});

test('a memo changes no verdict and no expiry', async () => {
  const memo = new Memo({ capacity: 500 });
  for (const verdict of verdicts.slice(0, 10)) {
    const { evidence, collateral, at } = open(verdict);
    const plain = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at });
    for (let round = 0; round < 2; round += 1) assert.deepEqual(await assess(evidence, collateral, [INTEL_SGX_ROOT], { at, memo }), plain);
    const late = await assess(evidence, collateral, [INTEL_SGX_ROOT], { at: at + 900 * DAY, memo });
    assert(late.findings.some((item) => item.check === 'expiry'));
    const broken = Uint8Array.from(evidence, (byte, i) => (i === 100 ? byte ^ 1 : byte));
    assert((await assess(broken, collateral, [INTEL_SGX_ROOT], { at, memo })).findings.length);
  }
});

test('collateral and quotes that are none are malformed, whatever the bytes', async () => {
  const draw = draws(11);
  const { evidence, collateral, at } = open(verdicts[0]);
  const set = read(verdicts[0].collateral);
  const outcomes = { malformed: 0, refused: 0 };
  for (let round = 0; round < 300; round += 1) {
    try {
      const parts = round % 3 ? [damaged(evidence, draw), collateral] : [evidence, readCollateral(damaged(set, draw))];
      const assessment = await assess(/** @type {any} */ (parts[0]), /** @type {any} */ (parts[1]), [INTEL_SGX_ROOT], { at });
      outcomes.refused += assessment.findings.length ? 1 : 0;
    } catch (error) {
      assert(error instanceof MalformedQuote || error instanceof MalformedCollateral, String(error));
      outcomes.malformed += 1;
    }
  }
  assert(outcomes.malformed > 50 && outcomes.refused > 20, JSON.stringify(outcomes));
});

test('documents that are wrong in one place are malformed, as the captured negative examples', async () => {
  const { evidence, at } = open(verdicts[0]);
  const set = JSON.parse(new TextDecoder().decode(read(verdicts[0].collateral)));
  const info = JSON.parse(set.tcb_info);
  const identity = JSON.parse(set.qe_identity);
  const judged = (/** @type {object} */ changes) => assess(evidence, readCollateral(utf8(JSON.stringify({ ...set, ...changes }))), [INTEL_SGX_ROOT], { at });
  const wrong = [
    { tcb_info: '{"a":1,"a":2}' }, { tcb_info: '' }, { tcb_info: '[]' }, { tcb_info: `\ufeff${set.tcb_info}` }, { tcb_info: `${set.tcb_info}x` },
    { tcb_info: set.tcb_info.replace('"version":', '"version":1.0,"x":') }, { tcb_info: '['.repeat(40) + ']'.repeat(40) },
    { tcb_info: set.tcb_info.replace(/"tcbType":0/, '"tcbType":1') }, { tcb_info: JSON.stringify({ ...info, tcbLevels: [] }) },
    { tcb_info: JSON.stringify({ ...info, tcbLevels: [info.tcbLevels[0], info.tcbLevels[0]] }) },
    { tcb_info: JSON.stringify({ ...info, issueDate: '2025-02-30T00:00:00Z' }) }, { tcb_info: JSON.stringify({ ...info, issueDate: '0000-01-01T00:00:00Z' }) },
    { tcb_info: JSON.stringify({ ...info, fmspc: 'zz' }) }, { tcb_info: JSON.stringify({ ...info, version: 4 }) }, { tcb_info: JSON.stringify({ ...info, fmspc: 5 }) },
    { tcb_info: set.tcb_info.replace(/"tcbStatus":"[A-Za-z]+"/, '"tcbStatus":"Perfect"') }, { tcb_info: set.tcb_info.replace('"tcbType":0', '"tcbType":NaN') },
    { qe_identity: JSON.stringify({ ...identity, version: 3 }) }, { qe_identity: JSON.stringify({ ...identity, mrsigner: '00' }) },
    { qe_identity: JSON.stringify({ ...identity, id: 'Q\u200bE' }) }, { qe_identity_signature: '00' }, { pck_crl: 'zz' }, { pck_crl: '' }, { more: '' }, { tcb_info: 5 },
    { tcb_info_issuer_chain: '' }, { tcb_info_issuer_chain: `${set.tcb_info_issuer_chain}x` }, { tcb_info_issuer_chain: set.tcb_info_issuer_chain.repeat(5) },
    { tcb_info_issuer_chain: 'x'.repeat(65537) }, { root_ca_crl: `${set.root_ca_crl}00ff` }, { tcb_info: '\ud800' },
  ];
  for (const changes of wrong) await assert.rejects(async () => judged(changes), MalformedCollateral, JSON.stringify(changes).slice(0, 80));
  assert.throws(() => readCollateral(utf8('[]')), MalformedCollateral);
  assert.throws(() => readCollateral(Uint8Array.of(0xff)), MalformedCollateral);
});

test('quotes of other kinds are named', () => {
  const { evidence } = open(verdicts[0]);
  const set = (/** @type {number} */ at, /** @type {number} */ value) => Uint8Array.from(evidence, (byte, i) => (i === at ? value : byte));
  assert.throws(() => readQuote(set(0, 4)), /version 4/);
  assert.throws(() => readQuote(set(2, 3)), /attestation key type 3/);
  assert.throws(() => readQuote(set(4, 0x81)), /TEE type/);
  assert.throws(() => readQuote(Uint8Array.of(0xd2)), /CBOR Web Token/);
  assert.throws(() => readQuote(new Uint8Array(256 * 1024 + 1)), /at most/);
  assert.throws(() => readQuote(Uint8Array.of(...evidence, 1)), /not all zero/);
  assert.equal(readQuote(Uint8Array.of(...evidence, 0, 0)).padding, readQuote(evidence).padding + 2);
});

test('certificates and CRLs are read, and any bytes give one or are malformed', () => {
  const anchors = ['intel-sgx-root-ca.pem', 'intel-sgx-pck-platform-ca.pem', 'intel-sgx-pck-processor-ca.pem', 'intel-sgx-tcb-signing-2025.pem'];
  const ders = anchors.flatMap((name) => splitPem(read(`sgx/_anchors/${name}`), name));
  const names = ders.map((der) => readCertificate(der).commonName);
  assert.deepEqual(names, ['Intel SGX Root CA', 'Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA', 'Intel SGX TCB Signing']);
  const crls = ['crl-pck-platform-20260612.der', 'crl-rootca-20260226.der'].map((name) => read(`sgx/_pcs/${name}`));
  const list = readRevocationList(crls[0]);
  assert(list.revoked.size > 5 && list.number === '1' && list.nextUpdate !== undefined);
  assert.equal(hex(crlDer(utf8(hex(crls[0])), '')), hex(crls[0]));
  assert.equal(hex(crlDer(Uint8Array.of(...crls[0], 0), '')), hex(crls[0]));
  const text = `-----BEGIN X509 CRL-----\n${Buffer.from(crls[0]).toString('base64')}\n-----END X509 CRL-----\n`;
  assert.equal(hex(crlDer(utf8(text), '')), hex(crls[0]));
  const draw = draws(5);
  for (let round = 0; round < 3000; round += 1) {
    const original = [...ders, ...crls][draw(ders.length + crls.length)];
    try {
      (draw(2) ? readCertificate : readRevocationList)(damaged(original, draw));
    } catch (error) {
      assert(error instanceof MalformedCollateral, String(error));
    }
  }
});

test('long texts without an end are read in a moment', () => {
  const started = performance.now();
  for (const text of [' '.repeat(4_000_000) + 'x', '-----BEGIN X509 CRL-----\n' + ' '.repeat(4_000_000), 'ab '.repeat(1_000_000)]) crlDer(utf8(text), '');
  assert.throws(() => splitPem(utf8(('-----BEGIN CERTIFICATE-----\n' + 'A'.repeat(30)).repeat(1000)), ''), Malformed);
  assert(performance.now() - started < 3000);
});

test('the shared example of a policy that accepts nothing accepts nothing', async () => {
  const { evidence, collateral, at } = open(verdicts[0]);
  const empty = await readPolicy({ ...standingPolicy(new Uint8Array(32)), mr_enclaves: [], tcb: [], anchors: [], platforms: [] });
  const found = await objections(appraise(evidence, collateral, empty, { at }));
  for (const name of ['chain appraisal 2.2', 'measurement appraisal 8.3', 'tcb-status appraisal 8.5', 'platform appraisal 8.9']) assert(found.includes(name), name);
  assert.equal(readJson('verdicts.json').length > 57, true);
});
