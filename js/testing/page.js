/** Attests the service that `/task` names and shows the verdict; `/result` gets what happened. */
import { AppraisalRefused, connect, StrongroomError } from '../index.js';
import { visit } from './visit.js';

const row = (/** @type {string} */ name, /** @type {unknown} */ value) => {
  const line = document.createElement('tr');
  const [head, cell] = [document.createElement('th'), document.createElement('td')];
  head.textContent = name;
  cell.textContent = String(value);
  line.append(head, cell);
  document.querySelector('#facts')?.append(line);
};

const shown = /** @type {HTMLElement} */ (document.querySelector('#verdict'));
try {
  const task = await (await fetch('/task')).json();
  const outcome = /** @type {any} */ (await visit({ connect, AppraisalRefused, StrongroomError }, { url: location.origin, ...task }));
  shown.textContent = outcome.verdict;
  shown.className = outcome.verdict;
  for (const [check, section, message] of outcome.findings) row(check, `${message} (${section})`);
  if (outcome.verdict === 'attested') {
    row('measurement', outcome.mr_enclave);
    row('TCB status', outcome.tcb_status);
    row('deployment', outcome.deployment);
    row('machine', outcome.machine);
    row('taken all the same', outcome.confessions.join('; ') || 'nothing');
    row('answer', outcome.responses.map((/** @type {any} */ item) => `${item.status} ${item.body}`).join(' '));
  }
  await fetch('/result', { method: 'POST', body: JSON.stringify({ ...outcome, agent: navigator.userAgent }) });
} catch (error) {
  shown.textContent = `broken: ${error}`;
  await fetch('/result', { method: 'POST', body: JSON.stringify({ verdict: 'broken', message: String(/** @type {any} */ (error).stack) }) });
}
