import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../../..');

/** Each file breaks one rule, or none. */
const FILES: Readonly<Record<string, readonly [source: string, rule: string | undefined]>> = {
  'core/contract/ok.ts': [
    "import * as z from 'zod/mini';\nexport type Ok = 1;\nexport const zed = z;",
    undefined,
  ],
  'core/contract/node.ts': ["import 'node:fs';", 'core-contract-packages'],
  'core/contract/domain.ts': [
    "import type { Rule } from '../domain/rule.ts';\nexport type R = Rule;",
    'core-contract-imports',
  ],
  'core/domain/rule.ts': ['export type Rule = 1;\nexport const rule = 1;', undefined],
  'core/domain/sdk.ts': ["import '@aws-sdk/client-dynamodb';", 'core-domain-packages'],
  'core/domain/store.ts': ["import '../../store/ok.ts';", 'core-domain-imports'],
  'store/ok.ts': ["import '@aws-sdk/client-dynamodb';\nimport '../core/domain/rule.ts';", undefined],
  'store/socket.ts': ["import 'ws';", 'store-packages'],
  'functions/one/index.ts': ["import '../shared/common.ts';\nimport '../../store/ok.ts';", undefined],
  'functions/shared/common.ts': ['export const common = 1;', undefined],
  'functions/two/index.ts': ["import '../one/index.ts';", 'functions-apart'],
  'agent/type.ts': ["import type { Rule } from '../core/domain/rule.ts';\nexport type R = Rule;", undefined],
  'agent/value.ts': [
    "import { rule } from '../core/domain/rule.ts';\nexport const r = rule;",
    'domain-types-only',
  ],
  'agent/store.ts': ["import '../store/ok.ts';", 'agent-imports'],
  'cli/function.ts': ["import '../functions/one/index.ts';", 'cli-imports'],
  'cli/cloud.ts': ["import '../local/ok.ts';", 'local-importers'],
  'lib/ok.ts': ["import '../core/contract/ok.ts';", undefined],
  'lib/function.ts': ["import '../functions/one/index.ts';", 'lib-imports'],
  'local/ok.ts': ["import 'ws';", undefined],
  'local/contract.ts': [
    "import type { Ok } from '../core/contract/ok.ts';\nexport type O = Ok;",
    'local-imports',
  ],
  'local/nowhere.ts': ["import './gone.ts';", 'no-unresolvable'],
  'local/a.ts': ["import './b.ts';", 'no-circular'],
  // An import cycle is reported once, at one of its members.
  'local/b.ts': ["import './a.ts';", undefined],
  'bin/ok.ts': ["import '../lib/ok.ts';\nimport '../local/ok.ts';", undefined],
  'test/unit/process.ts': ["import 'node:child_process';", 'unit-test-processes'],
  'test/integration/process.ts': ["import 'node:child_process';", undefined],
  'scripts/cdk.ts': ["import '../lib/ok.ts';", 'lib-importers'],
};

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

describe('the import rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-imports-'));
  let violations: readonly Violation[];

  beforeAll(() => {
    for (const [path, [source]] of Object.entries(FILES)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), source);
    }
    for (const name of ['.dependency-cruiser.mjs', 'package.json', 'tsconfig.json'])
      cpSync(join(ROOT, name), join(folder, name));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const cruiser = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
    let report: string;
    try {
      const args = [cruiser, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', '.'];
      report = execFileSync(process.execPath, args, {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, NODE_OPTIONS: '' },
      });
    } catch (error) {
      report = (error as { readonly stdout: string }).stdout;
    }
    violations = (JSON.parse(report) as { summary: { violations: Violation[] } }).summary.violations;
  }, 30_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(Object.entries(FILES).map(([path, [, rule]]) => [path, rule] as const))(
    '%s breaks %s',
    (path, rule) => {
      const broken = violations.filter(({ from }) => from === path).map((violation) => violation.rule.name);
      if (rule === undefined) expect(broken).toEqual([]);
      else expect(broken).toContain(rule);
    },
  );
});
