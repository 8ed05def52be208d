import { parse as parseCookie } from 'cookie';

/** Each pair is read on its own, because a parser of the whole field keeps only one of several equal names. */
export function cookieValues(fields: readonly string[], name: string): readonly string[] {
  return fields
    .flatMap((field) => field.split(';'))
    .flatMap((pair) => {
      const cookies = parseCookie(pair);
      return Object.hasOwn(cookies, name) ? [cookies[name] ?? ''] : [];
    });
}
