import { SESSIONS_ROUTES } from '../../core/contract/http/routes/sessions.ts';
import type { QueryDependencies } from '../shared/hosts/query-host.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import { createExec } from './exec.ts';
import { createReadLogs } from './logs.ts';
import { createOpenSession, createRevokeSession, type SessionDependencies } from './sessions.ts';
import { createVerifyIsolation } from './verify-isolation.ts';

type SessionsDependencies = HttpDependencies & QueryDependencies & SessionDependencies;

export const createHandler = (dependencies: SessionsDependencies): LambdaHandler =>
  createHttpHandler(
    SESSIONS_ROUTES,
    {
      execInContainer: createExec(dependencies),
      getContainerLogs: createReadLogs(dependencies),
      openSession: createOpenSession(dependencies),
      revokeSession: createRevokeSession(dependencies),
      verifyContainerIsolation: createVerifyIsolation(dependencies),
    },
    dependencies,
  );
