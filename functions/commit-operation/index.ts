import { createInternalDependencies } from '../shared/internal.ts';
import { createCommitOperationHandler } from './handler.ts';

export const handler = createCommitOperationHandler(createInternalDependencies('commit-operation'));
