/**
 * Judges cases by this module, for comparison with another implementation: reads a JSON list of
 * `{evidence, collateral, policy, at_ms}` (bytes in hexadecimal) from standard input, writes a JSON list of verdicts.
 */
import { readFileSync } from 'node:fs';
import { appraise, AppraisalRefused, Malformed, readCollateral, readPolicy } from '../index.js';
import { hex } from '../src/base/bytes.js';
import { bytes } from './vectors.js';

/** @param {{evidence: string, collateral: string, policy: unknown, at_ms: number}} item */
async function judge(item) {
  const policy = await readPolicy(item.policy);
  try {
    const result = await appraise(bytes(item.evidence), readCollateral(bytes(item.collateral)), policy, { at: item.at_ms });
    return {
      verdict: 'accepted',
      findings: [],
      policy_digest: hex(result.policyDigest),
      status: result.tcb.status,
      tcb_date_ms: result.tcb.date,
      advisories: result.tcb.advisories.map(({ id, sources }) => [id, sources]),
      shortfalls: result.tcb.shortfalls,
      expires_at_ms: result.collateral.expiresAt,
      numbers: [result.collateral.tcbEvaluationDataNumber, result.collateral.rootCrlNumber, result.collateral.pckCrlNumber],
      ppid: hex(result.platform.ppid),
      simulated: result.simulated,
      confessions: result.confessions.length,
    };
  } catch (error) {
    if (error instanceof AppraisalRefused) {
      return { verdict: 'refused', findings: error.findings.map(({ check, section, message }) => [check, section, message]) };
    }
    if (error instanceof Malformed) return { verdict: 'malformed', findings: [], error: error.name, message: error.message };
    throw error;
  }
}

const verdicts = [];
for (const item of JSON.parse(readFileSync(0, 'utf8'))) verdicts.push(await judge(item));
process.stdout.write(JSON.stringify(verdicts));
