/** What the engine's thread is asked. Tokens are bytes, keys the 32 bytes of an Ed25519 public key. */
export interface Jobs {
  /** What is wrong with a configuration. */
  readonly check: {
    readonly ask: {
      readonly keys: readonly Uint8Array[];
      readonly authorizer: string;
      readonly subject: string;
    };
    readonly answer: readonly string[];
  };
  /** Proves the signatures. */
  readonly read: {
    readonly ask: Signed;
    readonly answer: {
      /** Of all blocks, in lower-case hex, the authority block's first. */
      readonly revocationIds: readonly string[];
      /** Seconds since the epoch, where the token's checks say it in the usual form. */
      readonly expiresAt: number | undefined;
    };
  };
  /** Who it is: the values that the query finds. */
  readonly subjects: {
    readonly ask: Signed & { readonly query: string; readonly limits: RunLimits };
    readonly answer: readonly string[];
  };
  /** Whether the token and the authorizer allow a call. */
  readonly authorize: {
    readonly ask: Signed & {
      readonly authorizer: string;
      readonly facts: readonly RequestFact[];
      readonly limits: RunLimits;
    };
    readonly answer: { readonly allowed: true } | { readonly allowed: false; readonly detail: string };
  };
}

export interface Signed {
  readonly token: Uint8Array;
  readonly key: Uint8Array;
}

export interface RunLimits {
  /** Milliseconds. */
  readonly time: number;
  readonly facts: number;
  readonly iterations: number;
}

/** A fact about the request: its name and its terms. */
export type RequestFact = readonly [name: string, ...terms: (string | { readonly date: string })[]];

export type Job = { readonly [Kind in keyof Jobs]: { readonly kind: Kind } & Jobs[Kind]['ask'] }[keyof Jobs];

export type Answer<Value> =
  | { readonly status: 'done'; readonly value: Value }
  /** The library does not take it, and says why. */
  | { readonly status: 'refused'; readonly detail: string };

/** What the thread says of a job. */
export interface Report {
  readonly answer: Answer<unknown>;
  /** The library panicked: its memory may be in any state. */
  readonly panicked: boolean;
  /** Bytes. WebAssembly memory grows and never shrinks. */
  readonly memory: number;
}
