/** A regular expression for a path such as `/containers/{id}`, with a group per parameter. `{name+}` can contain slashes. */
export const pathExpression = (path: string): RegExp =>
  new RegExp(
    `^${path.replace(/\{(\w+)(\+?)\}/g, (_, name, rest) => `(?<${name}>${rest === '+' ? '.+' : '[^/]+'})`)}$`,
  );
