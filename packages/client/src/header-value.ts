/** Whether this can be a field value as it is (RFC 9110 §5.5): visible ASCII, spaces in the middle at most. */
export function isHeaderValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value);
}
