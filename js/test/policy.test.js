/** Policies: every setting is there, an unknown one is refused, and each mistake names its setting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Malformed, Misconfigured } from '../src/base/errors.js';
import { connect } from '../src/connect.js';
import { readInvitation } from '../src/invitation.js';
import { readPolicy, standingPolicy } from '../src/verifier/policy.js';

const settings = standingPolicy(new Uint8Array(32).fill(1), { simulatedRoot: new Uint8Array(91) });

test('a standing policy takes one measurement and no leniency but the one asked for', async () => {
  const simulated = await readPolicy(settings);
  assert(simulated.acceptSimulatedPlatform);
  assert(simulated.anchors.every((anchor) => anchor.simulated));
  const real = await readPolicy(standingPolicy(new Uint8Array(32)));
  assert(!real.acceptSimulatedPlatform && !real.acceptDebugEnclaves);
  assert.equal(real.anchors[0].name, 'Intel SGX Root CA');
  assert.equal(real.digest.length, 32);
});

test('each mistake names its setting', async () => {
  for (const name of Object.keys(settings)) {
    const { [name]: _, ...rest } = /** @type {Record<string, unknown>} */ (settings);
    await assert.rejects(readPolicy(rest), (error) => error instanceof Misconfigured && error.setting === name);
  }
  const rule = settings.tcb[0];
  const wrong = /** @type {[object, string][]} */ ([
    [{ version: 2 }, 'version'], [{ more: 1 }, 'more'], [{ accept_debug_enclaves: 1 }, 'accept_debug_enclaves'], [{ mr_enclaves: ['00'] }, 'mr_enclaves'],
    [{ mr_enclaves: 'any' }, 'mr_enclaves'], [{ tcb: [{ ...rule, status: 'Revoked' }] }, 'tcb[0].status'], [{ tcb: [{ ...rule, status: 'Good' }] }, 'tcb[0].status'],
    [{ tcb: [{ ...rule, more: 1 }] }, 'tcb[0].more'], [{ tcb: [{ ...rule, advisories: [1] }] }, 'tcb[0].advisories'], [{ anchors: ['other'] }, 'anchors[0]'],
    [{ anchors: [{ ...settings.anchors[0], simulated: false }] }, 'anchors[0]'], [{ platforms: ['00'] }, 'platforms'], [{ smt_enabled: 'yes' }, 'smt_enabled'],
    [{ maximum_collateral_age_seconds: -1 }, 'maximum_collateral_age_seconds'], [{ expired_collateral_grace_seconds: 'any' }, 'expired_collateral_grace_seconds'],
    [{ minimum_tcb_evaluation_data_number: 1.5 }, 'minimum_tcb_evaluation_data_number'], [{ trust_domains: [{}] }, 'trust_domains'], [{ tcb: [5] }, 'tcb[0]'],
    [{ signers: [{ mr_signer: '00'.repeat(32), isv_prod_id: 65536, minimum_isv_svn: 0 }] }, 'signers[0].isv_prod_id'],
  ]);
  for (const [changes, setting] of wrong) {
    await assert.rejects(readPolicy({ ...settings, ...changes }), (error) => error instanceof Misconfigured && error.setting === setting, setting);
  }
  await assert.rejects(readPolicy(null), Misconfigured);
});

test('terms are checked before anything is sent', async () => {
  const refused = async (/** @type {any} */ url, /** @type {any} */ terms) => {
    let sent = 0;
    const fetch = async () => {
      sent += 1;
      return new Response();
    };
    await assert.rejects(connect(url, terms, { fetch }), Misconfigured);
    assert.equal(sent, 0);
  };
  const url = 'http://127.0.0.1:1';
  await refused('ftp://host', { policy: settings, deployment: null });
  await refused('nowhere', { policy: settings, deployment: null });
  await refused('https://user@host', { policy: settings, deployment: null });
  await refused(url, { policy: settings });
  await refused(url, { policy: settings, deployment: '00' });
  await refused(url, { policy: {}, deployment: null });
  await refused(url, { policy: settings, deployment: null, maxElapsedSeconds: NaN });
  await refused(url, { policy: settings, deployment: null, deploymnet: null });
});

test('texts that are no invitation are malformed', () => {
  for (const text of ['', 'strongroom1:', 'strongroom1:!!', 'strongroom1:AA', 'strongroom2:oA', `strongroom1:${'A'.repeat(2048)}`]) {
    assert.throws(() => readInvitation(text), Malformed);
  }
});
