/**
 * Loads a template: refuses what is not implemented, then creates each resource on its engine in dependency order.
 * Problems do not stop the walk, so that all of them are reported at once.
 */
import type { PropertyRules, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { type Problem, TemplateProblem, TemplateRefusedError } from '../errors.ts';
import { checkProperties, type Finding, references, unknownIntrinsics, withoutAccepted } from './check.ts';
import { IntrinsicError, noValue, resolve, type Scope } from './intrinsics.ts';
import { asRecord, asString, isJsonObject, type Json, type JsonObject } from './json.ts';
import { createScope, type TemplateEnvironment } from './scope.ts';

export interface LoadedStack {
  readonly outputs: Readonly<Record<string, Json>>;
  /** The created resources by logical id. */
  readonly resources: ReadonlyMap<string, ResolvedResource & { readonly identity: ResourceIdentity }>;
}

interface Declared {
  readonly logicalId: string;
  readonly path: string;
  readonly type: string;
  readonly raw: JsonObject;
  readonly dependsOn: readonly string[];
}

const templateSections = [
  ...['AWSTemplateFormatVersion', 'Description', 'Metadata', 'Parameters', 'Conditions', 'Mappings'],
  ...['Resources', 'Outputs', 'Rules'],
];
const resourceAttributes = [
  ...['Type', 'Properties', 'Metadata', 'DependsOn', 'Condition'],
  ...['DeletionPolicy', 'UpdateReplacePolicy'],
];
/** CDK adds it to check that an account is bootstrapped; not needed here. */
const bootstrapRule = 'CheckBootstrapVersion';

const dependencyList = (value: Json | undefined): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String);

const declare = (logicalId: string, raw: JsonObject): Declared => ({
  logicalId,
  raw,
  path: asString(asRecord(raw.Metadata)['aws:cdk:path']) ?? logicalId,
  type: asString(raw.Type) ?? '(none)',
  dependsOn: [...new Set([...dependencyList(raw.DependsOn), ...references(raw.Properties ?? {})])],
});

class Loader {
  readonly #template: JsonObject;
  readonly #environment: TemplateEnvironment;
  readonly #engines = new Map<string, { engine: ResourceEngine; rules: PropertyRules }>();
  readonly #declared = new Map<string, Declared>();
  readonly #created = new Map<string, Promise<ResourceIdentity | undefined>>();
  readonly #identities = new Map<string, ResourceIdentity>();
  readonly #resources = new Map<string, ResolvedResource & { readonly identity: ResourceIdentity }>();
  readonly #turns = new Map<ResourceEngine, Promise<unknown>>();
  readonly #problems: Problem[] = [];
  readonly #scope: Scope;

  constructor(template: JsonObject, environment: TemplateEnvironment, engines: readonly ResourceEngine[]) {
    this.#template = template;
    this.#environment = environment;
    for (const engine of engines) {
      for (const [type, rules] of Object.entries(engine.types)) this.#engines.set(type, { engine, rules });
    }
    this.#scope = createScope(template, environment, (logicalId) => this.#identities.get(logicalId));
  }

  async load(): Promise<LoadedStack> {
    this.#checkSections();
    this.#declareResources();
    for (const resource of this.#declared.values()) this.#check(resource);
    this.#refuseCycles();
    await Promise.all([...this.#declared.keys()].map((logicalId) => this.#create(logicalId)));
    const outputs = this.#problems.length === 0 ? this.#outputs() : {};
    if (this.#problems.length > 0) throw new TemplateRefusedError(this.#problems);
    return { outputs, resources: this.#resources };
  }

  #problem(
    resource: Pick<Declared, 'logicalId' | 'path' | 'type'>,
    finding: Finding,
    section = 'Properties',
  ): void {
    const { logicalId, path, type } = resource;
    const property =
      finding.property === '' || section === '' ? finding.property : `${section}.${finding.property}`;
    this.#problems.push({ logicalId, path, type, property, message: finding.message });
  }

  #checkSections(): void {
    const whole = { logicalId: 'template', path: this.#environment.stackName, type: 'template' };
    for (const section of Object.keys(this.#template)) {
      if (!templateSections.includes(section)) {
        this.#problem(whole, { property: section, message: 'section is not implemented' }, '');
      }
    }
    for (const rule of Object.keys(asRecord(this.#template.Rules))) {
      if (rule !== bootstrapRule) {
        this.#problem(whole, { property: `Rules.${rule}`, message: 'is not implemented' }, '');
      }
    }
    for (const name of Object.keys(asRecord(this.#template.Conditions))) {
      this.#attempt({ ...whole, logicalId: name, type: 'Condition' }, () => this.#scope.condition(name));
    }
  }

  #declareResources(): void {
    for (const [logicalId, raw] of Object.entries(asRecord(this.#template.Resources))) {
      const resource = declare(logicalId, asRecord(raw));
      const condition = asString(resource.raw.Condition);
      const wanted =
        condition === undefined || (this.#attempt(resource, () => this.#scope.condition(condition)) ?? true);
      if (wanted) this.#declared.set(logicalId, resource);
    }
  }

  #check(resource: Declared): void {
    for (const attribute of Object.keys(resource.raw)) {
      if (!resourceAttributes.includes(attribute)) {
        this.#problem(resource, { property: attribute, message: 'is not implemented' }, '');
      }
    }
    const properties = asRecord(resource.raw.Properties);
    const rules = this.#engines.get(resource.type)?.rules;
    if (rules === undefined) {
      this.#problem(resource, { property: '', message: 'resource type is not implemented' });
    } else {
      for (const finding of checkProperties(properties, rules)) this.#problem(resource, finding);
    }
    for (const finding of unknownIntrinsics(properties, '')) this.#problem(resource, finding);
    for (const name of resource.dependsOn) {
      if (!name.startsWith('AWS::') && !this.#declared.has(name) && !this.#isParameter(name)) {
        this.#problem(resource, {
          property: '',
          message: `refers to '${name}', which is not in the template`,
        });
      }
    }
  }

  #isParameter(name: string): boolean {
    return Object.hasOwn(asRecord(this.#template.Parameters), name);
  }

  #dependencies(resource: Declared): string[] {
    return resource.dependsOn.filter((name) => this.#declared.has(name));
  }

  #refuseCycles(): void {
    const state = new Map<string, 'open' | 'done'>();
    const visit = (logicalId: string): void => {
      const resource = this.#declared.get(logicalId);
      if (resource === undefined || state.get(logicalId) === 'done') return;
      state.set(logicalId, 'open');
      for (const name of this.#dependencies(resource)) {
        if (state.get(name) !== 'open') visit(name);
        else {
          this.#problem(resource, { property: '', message: `has a circular dependency on '${name}'` });
          this.#created.set(logicalId, Promise.resolve(undefined));
        }
      }
      state.set(logicalId, 'done');
    };
    for (const logicalId of this.#declared.keys()) visit(logicalId);
  }

  #create(logicalId: string): Promise<ResourceIdentity | undefined> {
    const begun = this.#created.get(logicalId);
    if (begun !== undefined) return begun;
    const creation = this.#createNow(logicalId);
    this.#created.set(logicalId, creation);
    return creation;
  }

  async #createNow(logicalId: string): Promise<ResourceIdentity | undefined> {
    const resource = this.#declared.get(logicalId);
    const implementation = resource && this.#engines.get(resource.type);
    if (resource === undefined || implementation === undefined) return undefined;
    const before = await Promise.all(this.#dependencies(resource).map((name) => this.#create(name)));
    // A resource that could not be created has been reported; its dependents cannot be checked further.
    if (before.includes(undefined)) return undefined;
    const properties = this.#attempt(resource, () =>
      resolve(withoutAccepted(asRecord(resource.raw.Properties), implementation.rules), this.#scope),
    );
    if (properties === undefined || properties === noValue || !isJsonObject(properties)) return undefined;
    const resolved: ResolvedResource = {
      ...{ logicalId, path: resource.path, type: resource.type, properties },
      metadata: asRecord(resource.raw.Metadata),
    };
    const statically = new Set(
      this.#problems.filter((one) => one.logicalId === logicalId).map((one) => one.property),
    );
    for (const finding of checkProperties(properties, implementation.rules)) {
      if (!statically.has(`Properties.${finding.property}`)) this.#problem(resource, finding);
    }
    return this.#createOn(implementation.engine, resource, resolved);
  }

  async #createOn(engine: ResourceEngine, resource: Declared, resolved: ResolvedResource) {
    try {
      const identity = await this.#inTurn(engine, () => engine.create(resolved));
      this.#identities.set(resource.logicalId, identity);
      this.#resources.set(resource.logicalId, { ...resolved, identity });
      return identity;
    } catch (error) {
      if (!(error instanceof TemplateProblem)) throw error;
      for (const finding of error.found) this.#problem(resource, finding);
      return undefined;
    }
  }

  /** One creation at a time per engine; independent resources are processed in parallel. */
  async #inTurn<T>(engine: ResourceEngine, work: () => T | Promise<T>): Promise<T> {
    const turn = (this.#turns.get(engine) ?? Promise.resolve()).then(work);
    this.#turns.set(
      engine,
      turn.catch(() => undefined),
    );
    return turn;
  }

  #attempt<T>(resource: Pick<Declared, 'logicalId' | 'path' | 'type'>, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof IntrinsicError)) throw error;
      this.#problem(resource, { property: '', message: error.message });
      return undefined;
    }
  }

  #outputs(): Record<string, Json> {
    const outputs: Record<string, Json> = {};
    for (const [name, raw] of Object.entries(asRecord(this.#template.Outputs))) {
      const output = asRecord(raw);
      const where = { logicalId: name, path: name, type: 'Output' };
      const condition = asString(output.Condition);
      const wanted = condition === undefined || this.#attempt(where, () => this.#scope.condition(condition));
      const value = wanted
        ? this.#attempt(where, () => resolve(output.Value ?? null, this.#scope))
        : undefined;
      if (value !== undefined && value !== noValue) outputs[name] = value;
    }
    return outputs;
  }
}

/**
 * @throws TemplateRefusedError with all problems. Engines may already have resources then, so stop them.
 */
export const loadTemplate = (
  template: JsonObject,
  environment: TemplateEnvironment,
  engines: readonly ResourceEngine[],
): Promise<LoadedStack> => new Loader(template, environment, engines).load();
