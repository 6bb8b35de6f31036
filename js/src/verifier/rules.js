/** Step 8: what a policy has to say about evidence (docs/spec/appraisal.md section 8). */
import { equal, hex } from '../base/bytes.js';
import { duration } from './inquiry.js';
import { PLATFORM_FLAGS } from './policy.js';

/** @typedef {import('./inquiry.js').Inquiry} Inquiry */
/** @typedef {import('./policy.js').Policy} Policy */
/** @typedef {import('./appraisal.js').Assessment} Assessment */
/** @typedef {import('./policy.js').TcbRule} TcbRule */

/** Judge an assessment under a policy; `issueDates` are of the parts whose age counts. @param {Inquiry} inquiry @param {Policy} policy @param {Assessment} assessment @param {Record<string, number>} issueDates */
export function judgePolicy(inquiry, policy, assessment, issueDates) {
  const { claims, platform, tcb } = assessment;
  judgeSimulated(inquiry, policy, assessment);
  judgeDebug(inquiry, policy, claims);
  judgeCode(inquiry, policy, claims);
  if (tcb) judgeTcbRules(inquiry, policy, claims, tcb);
  judgeCollateral(inquiry, policy, assessment, issueDates);
  if (policy.platforms && platform) {
    const listed = policy.platforms.some((ppid) => equal(ppid, platform.ppid));
    inquiry.require(listed, 'platform', '8.9', 'the platform is not one that the policy accepts', {
      expected: `one of ${policy.platforms.length} PPIDs`,
      actual: hex(platform.ppid),
    });
  }
  if (platform) judgeSettings(inquiry, policy, platform);
}

function judgeSimulated(/** @type {Inquiry} */ inquiry, /** @type {Policy} */ policy, /** @type {Assessment} */ assessment) {
  if (!assessment.simulated) return;
  const message = 'the evidence comes from a simulated platform, which proves no hardware';
  if (inquiry.require(policy.acceptSimulatedPlatform, 'simulated', '8.1', message)) {
    inquiry.confessions.push('a simulated platform is accepted: no hardware is proven');
  }
}

function judgeDebug(/** @type {Inquiry} */ inquiry, /** @type {Policy} */ policy, /** @type {Assessment['claims']} */ claims) {
  if (!claims.debug) return;
  const message = 'the enclave runs in debug mode, so its host can read and change it';
  if (inquiry.require(policy.acceptDebugEnclaves, 'debug', '8.2', message)) {
    inquiry.confessions.push('a debug enclave is accepted: its host can read and change it');
  }
}

/** Steps 8.3 and 8.4: the measurement is listed, or a signer's rule fits; otherwise each says what it wanted. @param {Inquiry} inquiry @param {Policy} policy @param {Assessment['claims']} claims */
function judgeCode(inquiry, policy, claims) {
  if (policy.mrEnclaves.some((item) => equal(item, claims.mrEnclave))) return;
  const ofSigner = policy.signers.filter((rule) => equal(rule.mrSigner, claims.mrSigner));
  const ofProduct = ofSigner.filter((rule) => rule.isvProdId === claims.isvProdId);
  if (ofProduct.some((rule) => claims.isvSvn >= rule.minimumIsvSvn)) return;
  inquiry.require(
    policy.mrEnclaves.length === 0 && policy.signers.length > 0,
    'measurement',
    '8.3',
    "the enclave's measurement is not one that the policy accepts",
    { expected: listed(policy.mrEnclaves.map(hex)) || 'no measurement is accepted', actual: hex(claims.mrEnclave) },
  );
  if (policy.signers.length === 0) return;
  let message = 'the enclave is an older version than the policy accepts';
  let expected = `ISVSVN at least ${Math.min(...ofProduct.map((rule) => rule.minimumIsvSvn))}`;
  let actual = `ISVSVN ${claims.isvSvn}`;
  if (ofSigner.length === 0) {
    message = "the enclave's signer is not one that the policy accepts";
    expected = listed(policy.signers.map((rule) => hex(rule.mrSigner)));
    actual = hex(claims.mrSigner);
  } else if (ofProduct.length === 0) {
    message = 'the signer is accepted for other products only';
    expected = `ISVPRODID ${ofSigner.map((rule) => rule.isvProdId).join(', ')}`;
    actual = `ISVPRODID ${claims.isvProdId}`;
  }
  inquiry.require(false, 'signer', '8.4', message, { expected, actual });
}

const listed = (/** @type {string[]} */ texts) => [...new Set(texts)].sort().join(', ');

/** Steps 8.5, 8.6 and 8.15: one rule fits the status and this measurement, takes every advisory and the TCB date. @param {Inquiry} inquiry @param {Policy} policy @param {Assessment['claims']} claims @param {NonNullable<Assessment['tcb']>} tcb */
function judgeTcbRules(inquiry, policy, claims, tcb) {
  const rules = policy.tcb.filter(
    (rule) => rule.status === tcb.status && (rule.measurement === undefined || equal(rule.measurement, claims.mrEnclave)),
  );
  const accepted = listed(policy.tcb.map((rule) => rule.status)) || 'no TCB status';
  const why = tcb.shortfalls.length ? ` (${tcb.shortfalls.join('; ')})` : '';
  const fits = inquiry.require(rules.length > 0, 'tcb-status', '8.5', `TCB status is ${tcb.status}, policy accepts ${accepted}${why}`, {
    expected: accepted,
    actual: tcb.status,
  });
  if (!fits) return;
  const age = inquiry.at - tcb.date;
  const unaccepted = (/** @type {TcbRule} */ rule) =>
    tcb.advisories.filter((item) => rule.advisories !== undefined && !rule.advisories.includes(item.id));
  const overdue = (/** @type {TcbRule} */ rule) => (rule.maximumTcbAgeMs === undefined ? -Infinity : age - rule.maximumTcbAgeMs);
  const best = rules.reduce((nearest, rule) => {
    const fewer = unaccepted(rule).length - unaccepted(nearest).length || (overdue(rule) < overdue(nearest) ? -1 : 0);
    return fewer < 0 ? rule : nearest;
  });
  const surplus = unaccepted(best);
  inquiry.require(surplus.length === 0, 'advisory', '8.6', `advisories with TCB status ${tcb.status} that the policy does not accept`, {
    actual: surplus.map((item) => `${item.id} (${item.sources.join(' and ')})`).join(', '),
  });
  if (best.maximumTcbAgeMs === undefined) return;
  inquiry.ends.push(tcb.date + best.maximumTcbAgeMs);
  inquiry.require(age <= best.maximumTcbAgeMs, 'tcb-status', '8.15', `TCB status ${tcb.status} is of an older TCB than the policy accepts${why}`, {
    expected: `at most ${duration(best.maximumTcbAgeMs)}`,
    actual: duration(age),
  });
}

function judgeCollateral(/** @type {Inquiry} */ inquiry, /** @type {Policy} */ policy, /** @type {Assessment} */ assessment, /** @type {Record<string, number>} */ issueDates) {
  const number = assessment.collateral.tcbEvaluationDataNumber;
  const least = policy.minimumTcbEvaluationDataNumber;
  inquiry.require(number >= least, 'freshness', '8.7', 'the collateral belongs to an older TCB evaluation than the policy accepts', {
    expected: `at least ${least}`,
    actual: String(number),
  });
  const greatest = policy.maximumCollateralAgeMs;
  if (greatest === undefined) return;
  for (const [name, issued] of Object.entries(issueDates)) {
    const age = inquiry.at - issued;
    inquiry.ends.push(issued + greatest);
    inquiry.require(age <= greatest, 'freshness', '8.8', `${name} is older than the policy accepts`, {
      expected: `at most ${duration(greatest)}`,
      actual: duration(age),
    });
  }
}

/** Step 8.14: what the policy wants on is on, what it wants off is off, and undefined is neither. @param {Inquiry} inquiry @param {Policy} policy @param {NonNullable<Assessment['platform']>} platform */
function judgeSettings(inquiry, policy, platform) {
  // a certificate of the Processor CA states none of them, and for the SGX type Standard they have no meaning
  const stated = platform.sgxType === 'standard' ? undefined : platform.configuration;
  const found = { smt_enabled: stated?.smtEnabled, dynamic_platform: stated?.dynamicPlatform, cached_keys: stated?.cachedKeys };
  for (const name of PLATFORM_FLAGS) {
    const wanted = policy.platformFlags[name];
    const fits = wanted === undefined || found[name] === wanted;
    inquiry.require(fits, 'configuration', '8.14', `the platform's setting ${name} is not what the policy wants`, {
      expected: `${name} = ${wanted}`,
      actual: String(found[name]),
    });
  }
}
