/**
 * `node synthesize.ts OUTDIR CONTEXT_JSON`, in a separate process: the CDK uses a full CPU and 200 MB, and must not delay
 * the progress line or the cloud.
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
