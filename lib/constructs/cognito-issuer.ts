import { Fn, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  FeaturePlan,
  LambdaVersion,
  Mfa,
  OAuthScope,
  ResourceServerScope,
  UserPool,
  UserPoolOperation,
} from 'aws-cdk-lib/aws-cognito';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { SCOPES } from '../../core/contract/http/routes.ts';
import { RESOURCE_SERVER } from '../../core/contract/tenant-claim.ts';
import { acknowledge } from './acknowledge.ts';

export interface CognitoIssuerProps {
  /** Pre-token-generation trigger, V3: sets the tenant claim, which machine tokens do not have. */
  readonly addTenantClaim: IFunction;
  readonly removalPolicy: RemovalPolicy;
}

/**
 * The token issuer if the user configures none: a Cognito user pool whose clients are machines (client credentials). Its
 * access tokens have no audience, so API Gateway compares `client_id` with the authorizer's audiences.
 */
export class CognitoIssuer extends Construct {
  readonly issuer: string;
  readonly clientId: string;
  /** The token endpoint: `POST` with `grant_type=client_credentials`. */
  readonly tokenUrl: string;

  constructor(scope: Construct, id: string, props: CognitoIssuerProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const pool = new UserPool(this, 'UserPool', {
      selfSignUpEnabled: false,
      signInAliases: { username: true },
      mfa: Mfa.REQUIRED,
      mfaSecondFactor: { otp: true, sms: false },
      passwordPolicy: {
        minLength: 16,
        requireDigits: true,
        requireLowercase: true,
        requireUppercase: true,
        requireSymbols: true,
      },
      // Lower plans do not allow a trigger to change the access tokens of machines.
      featurePlan: FeaturePlan.ESSENTIALS,
      removalPolicy: props.removalPolicy,
    });
    acknowledge(
      pool,
      'The pool has no users who sign in with a password, only clients with a secret that Cognito generated.',
      'AwsSolutions-COG3',
      'AwsSolutions-COG8',
    );
    pool.addTrigger(UserPoolOperation.PRE_TOKEN_GENERATION_CONFIG, props.addTenantClaim, LambdaVersion.V3_0);
    const scopes = SCOPES.map(
      (scopeName) => new ResourceServerScope({ scopeName, scopeDescription: `Bulkhead: ${scopeName}` }),
    );
    const server = pool.addResourceServer('ResourceServer', { identifier: RESOURCE_SERVER, scopes });
    const client = pool.addClient('MachineClient', {
      generateSecret: true,
      authFlows: {},
      oAuth: {
        flows: { clientCredentials: true },
        scopes: scopes.map((one) => OAuthScope.resourceServer(server, one)),
      },
    });
    const stackUuid = Fn.select(2, Fn.split('/', stack.stackId));
    const domain = pool.addDomain('Domain', {
      // Domain prefixes share one namespace per Region across all accounts.
      cognitoDomain: { domainPrefix: Fn.join('-', ['bulkhead', stackUuid]) },
    });
    this.issuer = `https://cognito-idp.${stack.region}.${stack.urlSuffix}/${pool.userPoolId}`;
    this.clientId = client.userPoolClientId;
    this.tokenUrl = `${domain.baseUrl()}/oauth2/token`;
  }
}
