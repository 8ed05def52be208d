/**
 * What somebody else wrote, for a message of ours: in quotation marks and cut, so that it can neither pose as our words, end
 * a line, steer a terminal, nor flood a log.
 */
export function quote(text: string, most = 100): string {
  return JSON.stringify(text.slice(0, most)).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}
