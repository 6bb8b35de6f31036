/** A client's visit to a service, the same in Node and in a page. */

const hex = (/** @type {Uint8Array} */ bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * Attest, make requests, and tell what happened in plain values.
 * @param {{connect: typeof import('../index.js').connect, AppraisalRefused: any, StrongroomError: any}} library
 * @param {{url: string, policy: unknown, deployment: string | null, now_ms?: number, max_elapsed_seconds?: number,
 *   requests?: {path: string, method?: string, body?: string, headers?: Record<string, string>}[], repeat?: number}} task
 */
export async function visit({ connect, AppraisalRefused, StrongroomError }, task) {
  const terms = { policy: task.policy, deployment: task.deployment, ...(task.max_elapsed_seconds && { maxElapsedSeconds: task.max_elapsed_seconds }) };
  const options = task.now_ms === undefined ? {} : { now: () => /** @type {number} */ (task.now_ms) };
  try {
    const started = performance.now();
    const peer = await connect(task.url, terms, options);
    const firstMs = performance.now() - started;
    const responses = [];
    for (const { path, method = 'POST', body, headers } of task.requests ?? []) {
      const response = await peer.fetch(path, { method, body, headers });
      responses.push({ status: response.status, headers: [...response.headers], body: await response.text() });
    }
    const fresh = [];
    const again = [];
    for (let round = 0; round < (task.repeat ?? 0); round += 1) {
      const one = performance.now();
      await connect(task.url, terms, options);
      const two = performance.now();
      peer.close();
      await peer.attest();
      fresh.push(two - one);
      again.push(performance.now() - two);
    }
    const { result, ...verdict } = /** @type {NonNullable<typeof peer.verdict>} */ (peer.verdict);
    return {
      verdict: 'attested',
      findings: [],
      first_ms: firstMs,
      fresh_ms: fresh,
      again_ms: again,
      responses,
      mr_enclave: hex(result.claims.mrEnclave),
      tcb_status: result.tcb.status,
      simulated: result.simulated,
      confessions: result.confessions,
      deployment: hex(verdict.deployment),
      deployment_pinned: verdict.deploymentPinned,
      machine: hex(verdict.machine),
      epoch: String(verdict.epoch),
      session: hex(verdict.session),
      batch_size: verdict.batchSize,
      expires_at_ms: verdict.expiresAt,
      policy_digest: hex(result.policyDigest),
    };
  } catch (error) {
    if (error instanceof AppraisalRefused) {
      const findings = /** @type {any} */ (error).findings.map((/** @type {any} */ item) => [item.check, item.section, item.message]);
      return { verdict: 'refused', findings, responses: [] };
    }
    if (error instanceof StrongroomError) {
      return { verdict: 'failed', findings: [], code: /** @type {any} */ (error).code, message: /** @type {any} */ (error).message, responses: [] };
    }
    throw error;
  }
}
