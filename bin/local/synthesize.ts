/**
 * `node synthesize.ts OUTDIR CONTEXT_JSON`, a process of its own: the CDK takes all of one processor and 200 MB, and
 * neither the progress line nor the cloud should pay for it.
 */
import { synthesize } from '../../lib/app.ts';

const [outdir = '', context = '{}'] = process.argv.slice(2);
try {
  synthesize({ outdir, context: JSON.parse(context) });
} catch (error) {
  const isWanted = process.env.BULKHEAD_DEBUG === '1' || !(error instanceof Error);
  console.error(isWanted ? error : error.message);
  process.exitCode = 1;
}
