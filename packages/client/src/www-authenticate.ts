import type { ReceivedChallenge } from './credential-source.js';

const mostCharacters = 16_384;
const mostChallenges = 32;
const mostParams = 32;

/**
 * Reads the challenges of a WWW-Authenticate field (RFC 9110 §11.6.1), or of several that were joined by commas.
 *
 * @returns none when anything in it breaks the grammar: half a field could be misread as another
 */
export function parseWwwAuthenticate(field: string | null | undefined): readonly ReceivedChallenge[] {
  if (field === null || field === undefined || field.length > mostCharacters) return [];
  return new Reader(field).challenges() ?? [];
}

/** Walks over the field once, by sticky expressions each of which is a character class. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  challenges(): readonly ReceivedChallenge[] | undefined {
    const found: ReceivedChallenge[] = [];
    for (;;) {
      this.#take(/[ \t,]*/y);
      if (this.#done()) return found;
      const challenge = this.#challenge();
      if (challenge === undefined || found.length === mostChallenges) return undefined;
      found.push(challenge);
    }
  }

  /** auth-scheme [ 1*SP ( token68 / #auth-param ) ], up to the comma after it. */
  #challenge(): ReceivedChallenge | undefined {
    const scheme = this.#token()?.toLowerCase();
    if (scheme === undefined) return undefined;
    const spaces = this.#take(/ */y);
    if (this.#atComma()) return { scheme, params: {} };
    if (spaces === '') return undefined;
    const token68 = this.#token68();
    if (token68 !== undefined) return { scheme, params: {}, token68 };
    const params = this.#params();
    return params && { scheme, params };
  }

  #token68(): string | undefined {
    const start = this.#at;
    const value = this.#take(/[A-Za-z0-9\-._~+/]+/y) + this.#take(/=*/y);
    if (value !== '' && this.#atComma()) return value;
    this.#at = start;
    return undefined;
  }

  /** Ends before a comma after which no parameter comes, but the next challenge. */
  #params(): Readonly<Record<string, string>> | undefined {
    const params = new Map<string, string>();
    for (;;) {
      const name = this.#token()?.toLowerCase();
      if (name === undefined || !this.#equals()) return undefined;
      const value = this.#quoted() ?? this.#token();
      // A name occurs once a challenge (RFC 9110 §11.2).
      if (value === undefined || params.has(name) || params.size === mostParams) return undefined;
      params.set(name, value);
      if (!this.#atComma()) return undefined;
      if (!this.#nextIsParam()) return Object.fromEntries(params);
    }
  }

  #nextIsParam(): boolean {
    const start = this.#at;
    this.#take(/[ \t,]*/y);
    const name = this.#at;
    const isParam = this.#token() !== undefined && this.#equals() && !this.#done() && !this.#take(/=/y);
    this.#at = isParam ? name : start;
    return isParam;
  }

  #token(): string | undefined {
    const token = this.#take(/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y);
    return token === '' ? undefined : token;
  }

  #equals(): boolean {
    return (
      this.#take(/[ \t]*/y) !== undefined && this.#take(/=/y) === '=' && this.#take(/[ \t]*/y) !== undefined
    );
  }

  /** RFC 9110 §5.6.4. */
  #quoted(): string | undefined {
    if (this.#take(/"/y) === '') return undefined;
    let value = '';
    for (;;) {
      value += this.#take(/[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]*/y);
      const next = this.#text[this.#at++];
      if (next === '"') return value;
      const escaped = next === '\\' ? this.#text[this.#at++] : undefined;
      if (escaped === undefined || !/[\t \x21-\x7e\x80-\xff]/.test(escaped)) return undefined;
      value += escaped;
    }
  }

  /** Whether the challenge or parameter is over: nothing follows, or a comma. */
  #atComma(): boolean {
    const start = this.#at;
    this.#take(/[ \t]*/y);
    if (this.#done() || this.#text[this.#at] === ',') return true;
    this.#at = start;
    return false;
  }

  #done(): boolean {
    return this.#at >= this.#text.length;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ''] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }
}
