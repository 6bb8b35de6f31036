/**
 * One client for tests in other languages: reads `{url, policy, deployment, now_ms?, max_elapsed_seconds?, requests?,
 * repeat?}` as JSON from standard input, attests, makes the requests and writes what happened as JSON.
 */
import { readFileSync } from 'node:fs';
import { AppraisalRefused, connect, StrongroomError } from '../index.js';
import { visit } from './visit.js';

const task = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await visit({ connect, AppraisalRefused, StrongroomError }, task)));
