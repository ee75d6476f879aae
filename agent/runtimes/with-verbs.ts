import type { Runtime } from './runtime.ts';

/** The runtime with some verbs replaced. */
export const withVerbs = (runtime: Runtime, verbs: Partial<Runtime>): Runtime =>
  new Proxy(runtime, {
    get: (target, name) => {
      const member: unknown = Reflect.get(Object.hasOwn(verbs, name) ? verbs : target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
