import { META_ROUTES } from '../../core/contract/http/routes/meta.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';

interface MetaDependencies extends HttpDependencies {
  readonly version: string;
  /** The OpenAPI document. */
  readonly openApi: object;
}

/** Public routes. The health check reads nothing: the response itself is the check. */
export const createHandler = (dependencies: MetaDependencies): LambdaHandler => {
  const { version, openApi } = dependencies;
  return createHttpHandler(
    META_ROUTES,
    {
      getHealth: async () => ({ status: 200, body: { status: 'ok' } }),
      getVersion: async () => ({ status: 200, body: { version, apiVersion: 'v1' } }),
      getOpenApi: async () => ({ status: 200, body: openApi }),
    },
    dependencies,
  );
};
