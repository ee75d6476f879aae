import { Stack } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { ENVIRONMENT, type StateMachineName } from '../../core/contract/deployment.ts';
import type { FunctionAssets } from '../bundling/bundle-functions.ts';
import {
  type EnvironmentKey,
  FUNCTION_NAMES,
  FUNCTION_SPECS,
  type FunctionName,
  type SecretKey,
} from '../function-specs.ts';
import type { ReservedConcurrency } from '../reserved-concurrency.ts';
import { ControlPlaneFunction } from './control-plane-function.ts';
import type { Data } from './data.ts';
import type { Events } from './events.ts';
import type { HostLink } from './host-link.ts';
import type { Secrets } from './secrets.ts';

/** The functions that the state machines call. */
export const WORKFLOW_FUNCTIONS: readonly FunctionName[] = [
  'place-container',
  'dispatch-command',
  'settle-operation',
];

type RuleKey = 'ruleMachine' | 'ruleRole' | 'ruleDeadLetters';
/** ARNs for the bus rules of conversion rules. */
export type RuleArns = Readonly<Record<RuleKey, string>>;

/** Created last, because it needs a machine that depends on another function. */
const MANAGES_RULES = 'conversion-rules';

export interface FunctionsProps {
  readonly assets: FunctionAssets;
  readonly data: Data;
  readonly events: Events;
  readonly hostLink: HostLink;
  readonly secrets: Secrets;
  /** Values of the environment variables, except those of the state machines. */
  readonly environment: Readonly<
    Record<Exclude<EnvironmentKey, 'stateMachines' | RuleKey | SecretKey>, string>
  >;
  readonly reservedConcurrency: ReservedConcurrency;
  readonly logs: ILogGroup;
}

const RULE_KEYS: readonly RuleKey[] = ['ruleMachine', 'ruleRole', 'ruleDeadLetters'];
const isRuleKey = (key: EnvironmentKey): key is RuleKey => (RULE_KEYS as readonly string[]).includes(key);
const isSecretKey = (key: EnvironmentKey): key is SecretKey =>
  key === 'signingSecret' || key === 'sessionSecret';
const ruleEnvironment = (rules: RuleArns | undefined): Record<string, string> =>
  rules === undefined ? {} : Object.fromEntries(RULE_KEYS.map((key) => [ENVIRONMENT[key], rules[key]]));

const COMMON_ENVIRONMENT: readonly EnvironmentKey[] = ['table', 'version', 'logLevel'];

/**
 * All functions, as in `FUNCTION_SPECS`. Created in steps, because machines refer to functions that they call and
 * functions to machines that they start: the constructor creates the functions that machines call, {@link complete} the
 * others, and {@link manageRules} the one that manages rules.
 */
export class Functions extends Construct {
  readonly #props: FunctionsProps;
  readonly #made = new Map<FunctionName, ControlPlaneFunction>();

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    this.#props = props;
    for (const name of WORKFLOW_FUNCTIONS) this.#make(name);
  }

  /** Creates the other functions, except the one that manages rules. Call once. */
  complete(stateMachineArns: Readonly<Record<StateMachineName, string>>): void {
    for (const name of FUNCTION_NAMES)
      if (!this.#made.has(name) && name !== MANAGES_RULES) this.#make(name, stateMachineArns);
  }

  /** Creates the last function and grants all functions their permissions on the machines. Call once, last. */
  manageRules(stateMachineArns: Readonly<Record<StateMachineName, string>>, rules: RuleArns): void {
    this.#make(MANAGES_RULES, stateMachineArns, rules);
    const answered = [...Object.values(stateMachineArns), rules.ruleMachine];
    for (const name of FUNCTION_NAMES) this.of(name).grantStateMachines(stateMachineArns, answered);
  }

  of(name: FunctionName): ControlPlaneFunction {
    const found = this.#made.get(name);
    if (found === undefined) throw new RangeError(`The function ${name} has not been created yet.`);
    return found;
  }

  lambda(name: FunctionName): IFunction {
    return this.of(name).lambda;
  }

  #make(
    name: FunctionName,
    stateMachineArns?: Readonly<Record<StateMachineName, string>>,
    rules?: RuleArns,
  ): void {
    const { assets, data, events, hostLink, secrets, reservedConcurrency, logs } = this.#props;
    this.#made.set(
      name,
      new ControlPlaneFunction(this, {
        functionName: name,
        spec: FUNCTION_SPECS[name],
        assetDirectory: assets.directoryOf(name),
        environment: { ...this.#environmentOf(name, stateMachineArns), ...ruleEnvironment(rules) },
        table: data.table,
        bus: events.bus,
        hostLink,
        secrets,
        additionalStatements: this.#statementsOf(name, rules),
        reservedConcurrency: reservedConcurrency[name],
        logs,
      }),
    );
  }

  #statementsOf(name: FunctionName, rules?: RuleArns): PolicyStatement[] {
    const { events } = this.#props;
    if (rules !== undefined) return events.ruleStatements(rules.ruleRole);
    switch (name) {
      case 'process-changes':
      case 'admit-waiting':
        return events.streamStatements();
      case 'settle-operation':
        return [events.sendStatement()];
      default:
        return [];
    }
  }

  #environmentOf(
    name: FunctionName,
    stateMachineArns?: Readonly<Record<StateMachineName, string>>,
  ): Record<string, string> {
    const spec = FUNCTION_SPECS[name];
    const environment: Record<string, string> = {};
    for (const key of spec.secrets) environment[ENVIRONMENT[key]] = this.#props.secrets.of[key].secretArn;
    for (const key of [...COMMON_ENVIRONMENT, ...spec.environment]) {
      if (isRuleKey(key) || isSecretKey(key)) continue;
      if (key !== 'stateMachines') environment[ENVIRONMENT[key]] = this.#props.environment[key];
      else if (stateMachineArns !== undefined) {
        const started = Object.fromEntries(
          spec.starts.map((machine) => [machine, stateMachineArns[machine]]),
        );
        environment[ENVIRONMENT.stateMachines] = Stack.of(this).toJsonString(started);
      }
    }
    return environment;
  }
}
