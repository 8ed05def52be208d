/** An auth-param (RFC 9110 §11.2) up to its value, at a place in a field. */
const AUTH_PARAM = /[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*=/y;

/**
 * The Authorization fields that `Headers` joined with commas. A comma that stands between the parameters of one credential,
 * or in one of its quoted strings, is a part of it; any other one begins the next.
 */
export function separateCredentials(joined: string): readonly string[] {
  if (!joined.includes(',')) return [joined];
  const fields: string[] = [];
  let start = 0;
  let quoted = false;
  for (let index = 0; index < joined.length; index++) {
    const character = joined[index];
    if (quoted && character === '\\') index++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === ',' && !isAuthParam(joined, index + 1)) {
      fields.push(joined.slice(start, index));
      start = index + 1;
    }
  }
  // A string that nobody closed could hide a field.
  const separate = quoted ? joined.split(',') : [...fields, joined.slice(start)];
  return separate.map((field) => field.trim());
}

function isAuthParam(text: string, index: number): boolean {
  AUTH_PARAM.lastIndex = index;
  return AUTH_PARAM.test(text);
}
