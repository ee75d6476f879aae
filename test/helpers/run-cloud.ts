/** Runs the embedded cloud in a separate process, for tests that kill it: `run-cloud.ts <assembly> <state>`. */
import { startCloud } from '../../local/cloud.ts';

const [assemblyDir = '', stateDir = ''] = process.argv.slice(2);
const cloud = await startCloud({ assemblyDir, stateDir, overrides: { asyncRetryDelaysMs: [5, 5] } });
process.stdout.write(
  `${JSON.stringify({ endpoints: cloud.endpoints, credentials: cloud.credentials, dynamoDb: cloud.dynamoDbProcessId() })}\n`,
);
