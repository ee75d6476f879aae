/** `npm run bench`: runs every benchmark, one after the other. Each writes its report into docs/. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHMARKS = ['runtime', 'session', 'control-plane', 'docker-run', 'table-stream'];

const failed = BENCHMARKS.filter((name) => {
  process.stderr.write(`\n== ${name}\n`);
  const program = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  return spawnSync(process.execPath, [...process.execArgv, program], { stdio: 'inherit' }).status !== 0;
});
if (failed.length > 0) {
  process.stderr.write(`\nFailed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
