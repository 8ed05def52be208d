/** A scope-token of RFC 6749 §3.3: lists of them are joined by spaces, and quoted in challenges. */
export function isScope(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value);
}
