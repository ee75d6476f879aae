import { type LoadedDefinition, loadDefinition } from '../definition/load-definition.ts';
import type { Machine } from '../interpreter/model.ts';
import type { JsonObject } from '../json.ts';
import type { ExecutionRow } from './store.ts';

export interface StateMachineInput {
  name: string;
  arn: string;
  /** The definition, JSON text or parsed. */
  definition: string | JsonObject;
  roleArn: string;
  loggingConfiguration?: JsonObject;
  tracingConfiguration?: JsonObject;
}

export interface StateMachine extends Machine {
  createdAt: number;
  loggingConfiguration: JsonObject;
  tracingConfiguration: JsonObject;
}

/** The state machines of this process, and the definitions of open executions. */
export class Machines {
  readonly #machines = new Map<string, StateMachine>();
  readonly #definitions = new Map<string, LoadedDefinition>();

  /** @throws DefinitionRefusedError */
  create(input: StateMachineInput, now: number): StateMachine {
    const source = typeof input.definition === 'string' ? input.definition : JSON.stringify(input.definition);
    const machine = {
      arn: input.arn,
      name: input.name,
      roleArn: input.roleArn,
      definition: this.#load(source),
      createdAt: this.#machines.get(input.arn)?.createdAt ?? now,
      loggingConfiguration: input.loggingConfiguration ?? { level: 'OFF', includeExecutionData: false },
      tracingConfiguration: input.tracingConfiguration ?? { enabled: false },
    };
    this.#machines.set(input.arn, machine);
    return machine;
  }

  get(arn: string): StateMachine | undefined {
    return this.#machines.get(arn);
  }

  list(): StateMachine[] {
    return [...this.#machines.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** The machine as it was when the execution started. */
  ofExecution(row: ExecutionRow, source: string): Machine {
    const { machine_arn: arn, machine_name: name, role_arn: roleArn } = row;
    return { arn, name, roleArn, definition: this.#load(source) };
  }

  #load(source: string): LoadedDefinition {
    const known = this.#definitions.get(source);
    if (known) return known;
    const definition = loadDefinition(source);
    this.#definitions.set(source, definition);
    return definition;
  }
}
