import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readLayout } from '../../../agent/runtimes/linux/image/oci-layout.ts';
import { writeLayout } from '../../helpers/oci-image.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layout-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const list = (length: number) => Array.from({ length }, (_, index) => `V${index}=x`);

describe('the configuration in an OCI layout', () => {
  test.each(['Entrypoint', 'Cmd', 'Env'])('is refused if %s has more than 1,024 entries', async (name) => {
    writeLayout(folder, { layers: [], config: { [name]: list(1_025) } });
    await expect(readLayout(folder)).rejects.toMatchObject({
      code: 'validation-failed',
      message: `The image is refused: ${name} of its configuration has more than 1024 entries`,
    });
  });

  test('may have 1,024 variables', async () => {
    writeLayout(folder, { layers: [], config: { Env: list(1_024) } });
    expect((await readLayout(folder)).defaults.env).toHaveLength(1_024);
  });
});
