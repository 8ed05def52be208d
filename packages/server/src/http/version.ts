/** An absent A2A-Version means 0.3 (A2A 1.0 §3.6.2); versions from 0.3 on, below 1.0, speak the 0.3 shapes. */
export function isLegacyVersion(versionHeader: string | undefined): boolean {
  const version = versionHeader?.trim() ?? '';
  // No version is longer, and what comes here comes from anybody.
  return version === '' || (version.length <= 16 && /^0\.(?:[3-9]|[1-9]\d+)(?:\.\d+)*$/.test(version));
}
